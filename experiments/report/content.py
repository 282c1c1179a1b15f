"""What a report says, whatever it is written in: sections of text, tables, pictures and facts."""

from experiments.report import figures, paper, runs
from experiments.report.comparison import findings
from experiments.report.complexity import complexity_table
from experiments.report.pictures import picture_grid
from experiments.report.scores import score_table, site_tables
from experiments.report.study import Row, Study
from reporting import Block, Facts, Finding, Heading, Note, Picture, Section


def sections(study: Study) -> list[Section]:
    """The whole report, without the parts that the study has nothing for."""
    parts = [
        Section("Result", _result(study)),
        Section("The paper's tables", _paper(study)),
        Section("By site", _by_site(study)),
        Section("Pictures", _pictures(study)),
        Section("Calibration", _calibration(study)),
        Section("Size and speed", _complexity(study)),
        Section("Training", _training(study)),
        Section("Adaptive weights", _weights(study)),
        Section("What was run", _what_was_run(study)),
    ]
    return [part for part in parts if part.blocks]


def summary(study: Study) -> str:
    """The line below the title."""
    counts = ", ".join(f"{count} {part}" for part, count in study.split.get("counts", {}).items())
    done = len(study.evaluated)
    runs_ = f"{done} runs" if done == len(study.rows) else f"{done} of {len(study.rows)} runs so far"
    return f"{runs_} on {study.dataset.name}" + (f", cases: {counts}" if counts else "")


def _result(study: Study) -> list[Block]:
    note = (
        f"Scores are per volume, on {study.settings['scored_on']} cases: mean ± standard deviation over the cases. "
        "HD95 and ASD are surface distances in mm, smaller is better. A case is missed when the prediction shares no "
        "voxel with the prostate; where nothing at all was predicted, its distances are the diagonal of the image, and "
        "enter the mean. Columns named after a site hold its mean Dice. A row with dashes has not been run yet. "
        "Intervals: bootstrap over these cases."
    )
    if study.settings["scored_on"] == "validation":
        note += " These are validation cases: the scores are for choosing settings, not for reporting."
    return [*map(Finding, findings(study)), score_table(study.rows), Note(note)]


def _paper(study: Study) -> list[Block]:
    blocks: list[Block] = []
    for title, table in (("One teacher (table 1)", paper.table_1(study)), ("Several (table 2)", paper.table_2(study))):
        if table.lines:
            blocks += [Heading(title), table]
    if blocks:
        blocks.append(
            Note(
                "Volume Dice in percent: the mean over cases and seeds, in brackets the lowest and highest seed. "
                "“over alone” is the paired difference to the same network trained alone with the paper's equation 4, "
                "with its 95 % bootstrap interval over the cases; “over alone with cross-entropy” that to the network "
                "trained with cross-entropy added, which starts without the plateau of equation 4; “over its teacher” "
                "that to the one teacher. The columns “paper” hold "
                "its figures, of its own six-site test cases at 384x384: beside ours, not the same experiment. A row "
                "with a loss of its own or other special settings has no counterpart there. Its "
                "text gives 75.5 for ESPNet alone."
            )
        )
    return blocks


def _by_site(study: Study) -> list[Block]:
    return [block for site, table in site_tables(study.rows).items() for block in (Heading(site), table)]


def _pictures(study: Study) -> list[Block]:
    blocks: list[Block] = []
    for network in study.networks_of("student"):
        columns = _grid_columns(study, network)
        if columns:
            note = (
                f"The best, median and worst case by the Dice of {columns[-1].label}, each at the slice with most "
                "prostate, seen from the feet. Yellow: ground truth. The figures are of the whole volume."
            )
            blocks += [Picture(picture_grid(columns, study.dataset), f"{network} on its cases"), Note(note)]
    return blocks


def _grid_columns(study: Study, network: str) -> list[Row]:
    """As in the paper's figure 2: a network alone, from one teacher, from several; the first row of each kind."""
    baselines = [model.rows[0] for model in study.models("baseline") if model.network == network]
    students = [model.rows[0] for model in study.models("student") if model.network == network]
    one = [row for row in students if len(row.teachers) == 1]
    several = [row for row in students if len(row.teachers) > 1]
    return [*baselines[:1], *one[:1], *several[:1]] if students else []


def _calibration(study: Study) -> list[Block]:
    calibrated = [row for row in _first_seeds(study) if row.evaluation and "calibration" in row.evaluation]
    if not calibrated:
        return []
    note = (
        "How often a voxel that is called prostate with some probability is prostate, over all cases, within 10 mm of "
        "the prostate's bounding box. On the dotted line a model is as sure as it should be; below it, too sure. ECE: "
        "the expected calibration error, the mean distance from the line over the voxels, in percent."
    )
    return [Picture(figures.reliability(calibrated), "Reliability of the probabilities"), Note(note)]


def _complexity(study: Study) -> list[Block]:
    table, note = complexity_table(study)
    return [table, Note(note)] if table.lines else []


def _training(study: Study) -> list[Block]:
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
    return [*blocks, Note("Terms before weighting, mean over an epoch, of the first seed of each.")]


def _weights(study: Study) -> list[Block]:
    weighted = [row for row in _first_seeds(study) if len(row.teachers) > 1 and figures.weights_by_site(row.training)]
    if not weighted:
        return []
    note = "Mean weight of each teacher in an epoch, by the site of the slices where each slice has its own weights. "
    return [Picture(figures.adaptive_weights(weighted), "Teachers' weights"), Note(note + "Dotted: equal weights.")]


def _first_seeds(study: Study) -> list[Row]:
    lowest = {}
    for row in sorted(study.rows, key=lambda row: row.seed):
        lowest.setdefault((row.network, row.label), row.name)
    return [row for row in study.rows if row.name in lowest.values()]


def _what_was_run(study: Study) -> list[Block]:
    split = study.split
    facts = {
        "dataset": study.dataset.name,
        "split": f"{split['name']}, sha256 {split['sha256']}",
        **study.machine,
        # What is not set, such as the field of view of whole images, is not told.
        **{name: value for name, value in study.settings.items() if value not in (None, [])},
        "of every run": runs.settings_text(runs.shared_settings(study.rows)) or "no setting",
    }
    return [Facts(facts), runs.run_table(study)]
