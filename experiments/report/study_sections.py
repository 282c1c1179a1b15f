"""The sections of a study's report, independent of the format of its file."""

from experiments.report import figures, paper, runs
from experiments.report.comparison import conclusions
from experiments.report.network_costs import network_costs
from experiments.report.new_sites import difference_table, new_site_differences
from experiments.report.pictures import chosen_cases, picture_grid
from experiments.report.run_record import RunRecord
from experiments.report.scores import score_table, site_tables
from experiments.report.study import StudyRecord
from experiments.report.times import times_section
from reporting.blocks import Block, Conclusion, Facts, Heading, Note, Picture, Section


def study_sections(study: StudyRecord) -> list[Section]:
    """All sections of the report that the study has content for."""
    parts = [
        Section("Result", _result(study)),
        Section("The new sites", _new_sites(study)),
        Section("The paper's tables", _paper(study)),
        Section("By site", _by_site(study)),
        Section("Pictures", _pictures(study)),
        Section("Calibration", _calibration(study)),
        Section("Size and speed", _complexity(study)),
        Section("Training", _training(study)),
        Section("Adaptive weights", _weights(study)),
        times_section(study),
        Section("Settings and runs", _settings_and_runs(study)),
    ]
    return [part for part in parts if part.blocks]


def study_summary(study: StudyRecord) -> str:
    """The line below the title: the number of runs, the dataset and the number of cases."""
    counts = ", ".join(f"{count} {part}" for part, count in study.split.get("counts", {}).items())
    done = len(study.evaluated)
    runs_ = f"{done} runs" if done == len(study.rows) else f"{done} of {len(study.rows)} runs so far"
    return f"{runs_} on {study.dataset.name}" + (f", cases: {counts}" if counts else "")


def _result(study: StudyRecord) -> list[Block]:
    note = (
        f"The scores are computed per volume, on the {study.settings['scored_on']} cases. Dice is the mean ± the "
        "standard deviation over the cases. HD95 and ASD are mean distances between surfaces in mm; smaller is better. "
        "A case is missed when the prediction shares no voxel with the prostate. An empty prediction gets the diagonal "
        "of the image as its distances, and these enter the means. A column that is named after a site holds the mean "
        "Dice of that site's cases. A row of dashes has no scores yet. Each interval is a bootstrap interval over "
        "these cases."
    )
    if study.settings["scored_on"] == "validation":
        note += " These are validation cases: use their scores to choose settings, and do not report them as a result."
    # In a study of new sites every site counts the same, however many cases it has.
    found = [str(one) for one in new_site_differences(study)] or conclusions(study)
    return [*map(Conclusion, found), score_table(study.rows), Note(note)]


def _new_sites(study: StudyRecord) -> list[Block]:
    differences = new_site_differences(study)
    if not differences:
        return []
    note = (
        "Each site in turn is new: the teachers come from the other sites, and the student has images of the new site "
        "with the given number of masks. The figures are paired differences of Dice in points, and the mean over the "
        "sites has its 95 % bootstrap interval over the cases in brackets. “Best teacher of each site” is the teacher "
        "with the highest Dice on the site's test cases: nobody can pick it without masks."
    )
    return [difference_table(differences), Note(note)]


def _paper(study: StudyRecord) -> list[Block]:
    if study.has_new_sites:
        return []  # the paper has no new sites
    blocks: list[Block] = []
    tables = {"One teacher (table 1)": paper.table_1(study), "Several teachers (table 2)": paper.table_2(study)}
    for title, table in tables.items():
        if table.lines:
            blocks += [Heading(title), table]
    if blocks:
        blocks.append(
            Note(
                "Each Dice is the mean over volumes and seeds in percent; the lowest and the highest seed stand in "
                "brackets. “over alone” is the paired difference between the student and the same network trained "
                "alone with the paper's equation 4; its 95 % bootstrap interval over the cases stands in brackets. "
                "“over alone with cross-entropy” is the difference to the same network trained alone with "
                "cross-entropy added, which starts without the plateau of equation 4. “over its teacher” is the "
                "difference to the student's only teacher. The columns “paper” hold the paper's figures. The paper "
                "measured them on its own test cases of six sites at 384x384, so they come from another experiment "
                "than ours. A row with a loss of its own or other special settings has no figure of the paper. The "
                "text of the paper gives 75.5 for ESPNet alone."
            )
        )
    return blocks


def _by_site(study: StudyRecord) -> list[Block]:
    return [block for site, table in site_tables(study.rows).items() for block in (Heading(site), table)]


def _pictures(study: StudyRecord) -> list[Block]:
    blocks: list[Block] = []
    for network in study.networks_of("student"):
        columns = _grid_columns(study, network)
        if columns and chosen_cases(columns):
            note = (
                f"The cases with the best, the median and the worst Dice of {columns[-1].label}. Each picture shows "
                "the slice with the most prostate, seen from the feet. The yellow line is the ground truth. The scores "
                "are those of the whole volume."
            )
            blocks += [Picture(picture_grid(columns, study.dataset), f"Segmentations by {network}"), Note(note)]
    return blocks


def _grid_columns(study: StudyRecord, network: str) -> list[RunRecord]:
    """The runs of a network in the order of the paper's figure 2: alone, from one teacher, from several teachers.

    Each kind is shown by its first run.
    """
    baselines = [model.rows[0] for model in study.models("baseline") if model.network == network]
    students = [model.rows[0] for model in study.models("student") if model.network == network]
    one = [row for row in students if len(row.teachers) == 1]
    several = [row for row in students if len(row.teachers) > 1]
    return [*baselines[:1], *one[:1], *several[:1]] if students else []


def _calibration(study: StudyRecord) -> list[Block]:
    calibrated = [row for row in _first_seeds(study) if row.evaluation and "calibration" in row.evaluation]
    if not calibrated:
        return []
    note = (
        "A model gives each voxel a probability of prostate. The curve shows how often the voxels of one probability "
        "are prostate in truth, over all cases, within 10 mm of the prostate's bounding box. On the dotted line the "
        "probabilities are right; below the line the model is too sure. ECE is the expected calibration error in "
        "percent: the mean distance between the curve and the dotted line, weighted by the number of voxels."
    )
    return [Picture(figures.reliability(calibrated), "Reliability of the probabilities"), Note(note)]


def _complexity(study: StudyRecord) -> list[Block]:
    table, note = network_costs(study)
    return [table, Note(note)] if table.lines else []


def _training(study: StudyRecord) -> list[Block]:
    trained = [row for row in study.rows if row.training]
    if not trained:
        return []
    first = [row for row in _first_seeds(study) if row.training]
    distilled = [row for row in first if figures.has_distillation_terms(row)]
    blocks = [
        Heading("Validation Dice"),
        Picture(figures.validation_dice(trained), "Validation Dice over the epochs"),
        Heading("Segmentation terms"),
        Picture(figures.segmentation_losses(first), "Segmentation loss terms"),
    ]
    if distilled:
        blocks += [
            Heading("Distillation terms (log axis)"),
            Picture(figures.distillation_losses(distilled), "Distillation loss terms"),
        ]
    note = "Each curve of a loss term shows the term before weighting, as its mean over an epoch, for the first seed."
    return [*blocks, Note(note)]


def _weights(study: StudyRecord) -> list[Block]:
    weighted = [row for row in _first_seeds(study) if len(row.teachers) > 1 and figures.weights_by_site(row.training)]
    if not weighted:
        return []
    note = (
        "Each curve is the mean weight of a teacher in an epoch. Where each slice has weights of its own, each site "
        "has a panel of its own. The dotted line is the weight that equal teachers would have."
    )
    return [Picture(figures.adaptive_weights(weighted), "Weights of the teachers"), Note(note)]


def _first_seeds(study: StudyRecord) -> list[RunRecord]:
    lowest = {}
    for row in sorted(study.rows, key=lambda row: row.seed):
        lowest.setdefault((row.network, row.label), row.name)
    return [row for row in study.rows if row.name in lowest.values()]


def _settings_and_runs(study: StudyRecord) -> list[Block]:
    split = study.split
    facts = {
        "dataset": study.dataset.name,
        "split": f"{split['name']}, sha256 {split['sha256']}",
        **study.machine,
        # A setting without a value, such as the field of view of whole images, is left out.
        **{name: value for name, value in study.settings.items() if value not in (None, [])},
        "settings of every run": runs.settings_text(runs.shared_settings(study.rows)) or "none",
    }
    return [Facts(facts), runs.run_table(study), *map(Note, runs.predicted_teachers(study))]
