import base64
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sample_study import CASES, ROWS, SPLIT_SHA256, TEACHERS, change, write_run

from custom_components import loss_terms
from custom_components.foundation.errors import InputError
from custom_components.metrics import summarise
from experiments.report import load_study, render_table, write_report
from experiments.report.comparison import compare, comparisons, conclusions
from experiments.report.figures import distillation_losses, segmentation_losses, weights_by_site
from experiments.report.paper import table_1, table_2
from experiments.report.pictures import chosen_cases
from experiments.report.runs import run_table, shared_settings
from experiments.report.scores import site_tables
from experiments.report.study import Model


def test_page_holds_every_row_and_embeds_its_pictures(sample, page_of_sample):
    page = page_of_sample.read_text(encoding="utf-8")
    assert page_of_sample == sample / "report.html"
    for label in ("DeepLabV3+", "PSPNet", "ENet alone", "ENet &lt;distilled&gt;", "ESPNet alone", "ESPNet distilled"):
        assert f'<th scope="row">{label}</th>' in page
    sources = re.findall(r'src="([^"]*)"', page)
    # The pictures: four cases of the answer; two picture grids, reliability, validation Dice, two kinds of loss terms,
    # and weights.
    assert len(sources) == 4 + 7
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert "http" not in page
    assert SPLIT_SHA256 in page
    assert "1 of 4" in page  # the ENet baseline missed one case
    assert "4 test" in page
    assert "273.94 G" in page  # the figure of DeepLabV3+ in the paper's table 1


def test_table_for_the_terminal(sample):
    study = load_study(sample)
    head, rule, *lines = render_table(study.rows).splitlines()
    assert re.split(r"\s{2,}", head) == [
        *("model", "role", "trained on", "Dice %", "HD95 mm", "ASD mm", "missed", "HK", "RUNMC", "params"),
    ]
    assert set(rule) == {"-"}
    assert len(lines) == len(ROWS)
    scores = study.rows[2].evaluation["summary"]
    cells = re.split(r"\s{2,}", lines[2])
    assert cells[:3] == ["ENet alone", "baseline", "all sites"]
    assert cells[3] == f"{100 * scores['all']['dice_mean']:.1f} ± {100 * scores['all']['dice_std']:.1f}"
    assert cells[6:] == ["1 of 4", f"{100 * scores['sites']['HK']['dice_mean']:.1f}", cells[8], "354 k"]
    assert lines[0].endswith("58.00 M")


def test_each_site_has_its_table(sample):
    study = load_study(sample)
    tables = site_tables(study.rows)
    assert list(tables) == ["HK", "RUNMC"]
    assert tables["HK"].columns == ["model", "role", "Dice %", "HD95 mm", "ASD mm", "missed"]
    line = tables["HK"].lines[2].cells
    summary = study.rows[2].evaluation["summary"]["sites"]["HK"]
    assert (line[0], line[5]) == ("ENet alone", "1 of 2")
    assert line[3:5] == [f"{summary['hd95_mm_mean']:.1f}", f"{summary['asd_mm_mean']:.1f}"]


def test_seeds_get_a_column_only_where_they_differ(small):
    write_run(small / "bundles/enet_kd_1", ROWS[3])
    rows = json.loads((small / "study.json").read_text())["rows"]
    assert "seed" not in render_table(load_study(small).rows)
    change(small / "study.json", rows=[*rows[:2], {**rows[2], "name": "enet_kd_1", "seed": 1}, rows[2]])
    study = load_study(small)
    assert "seed" in render_table(study.rows).splitlines()[0]
    assert [row.name for row in study.rows] == ["pspnet", "enet", "enet_kd", "enet_kd_1"]
    assert [found.seeds for found in comparisons(study)] == [1]  # the baseline has one seed
    assert (
        'ENet &lt;distilled&gt;</th><td class="words">student</td><td class="words">all sites</td><td>1</td>'
        in write_report(small).read_text()
    )


def test_paired_difference(small):
    _, baseline, student = load_study(small).rows
    for case, (alone, distilled) in enumerate([(0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9)]):
        name = CASES[case][1]
        baseline.cases[name]["dice"], student.cases[name]["dice"] = alone, distilled
    found = compare(Model([student]), Model([baseline]))
    # Each case gains 10 points, and so does each resample of the cases. So the interval has no width.
    assert (found.difference, found.low, found.high) == pytest.approx((10, 10, 10))
    assert str(found) == (
        "ENet <distilled> minus ENet alone: +10.0 Dice points (95 % interval +10.0 to +10.0, over 4 cases, one seed)"
    )
    student.cases[CASES[0][1]]["dice"] = 0.1
    found = compare(Model([student]), Model([baseline]))
    assert found.difference == pytest.approx((-40 + 10 + 10 + 10) / 4)
    assert found.low < found.difference < found.high == pytest.approx(10)
    assert "cannot tell" in found.verdict


def in_two_folds(study, rows):
    """Make the study a cross-validation of two folds, which have two of the four cases each; return its split."""
    runs, hashes = [], {"fold1": "a" * 64, "fold2": "b" * 64}
    for row in rows:
        for place, fold in enumerate(hashes):
            name = f"{row['name']}_{fold}"
            write_run(study / "bundles" / name, row)
            file = study / "bundles" / name / "output" / "evaluation.json"
            cases = json.loads(file.read_text())["cases"][2 * place : 2 * place + 2]
            change(file, cases=cases, summary=summarise(cases), split={"name": "all", "sha256": hashes[fold]})
            shared = {"seed": 0, "sites": [], "settings": {}}
            teachers = [f"{teacher}_{fold}" for teacher in row.get("teachers", [])]
            runs.append({**shared, **row, "name": name, "fold": fold, "teachers": teachers})
    split = {"name": "2 folds", "sha256": "c" * 64, "counts": {"test": 4}, "folds": hashes}
    change(study / "study.json", rows=runs, split=split)
    return split


def test_the_folds_of_a_model_are_one_row_of_all_cases(small):
    """Two folds of two cases each make one row with the scores of all four."""
    whole = load_study(small)
    split = in_two_folds(small, ROWS[1:3])
    study = load_study(small)
    assert [row.name for row in study.rows] == ["pspnet", "enet"]
    assert [run.name for run in study.runs] == ["pspnet_fold1", "pspnet_fold2", "enet_fold1", "enet_fold2"]
    for joined, former in zip(study.rows, whole.rows[:2], strict=True):
        assert joined.evaluation["summary"] == former.evaluation["summary"]
        assert joined.cases == former.cases
        # Both folds have the calibration of the former run, so it counts twice as many voxels.
        ours, before = joined.evaluation["calibration"]["bins"], former.evaluation["calibration"]["bins"]
        assert ours == [{"voxels": 4 * before[0]["voxels"], "probability": 0.1, "frequency": 0.2}]
    assert study.rows[1].prediction("HK_Case02").parts[-4] == "enet_fold2"
    assert len(run_table(study).lines) == 4
    page = write_report(small).read_text()
    assert "pspnet" in page
    assert "every fold has weights of its own, so train it once on all cases before you deploy it" in page
    # A fold that is scored on the cases of another one is refused.
    change(small / "study.json", split={**split, "folds": {**split["folds"], "fold2": "d" * 64}})
    with pytest.raises(InputError, match=r"\A\S*evaluation\.json: evaluated on another split than the study's"):
        load_study(small)


def test_an_interval_around_zero_says_what_these_cases_could_show(small):
    _, baseline, student = load_study(small).rows
    for case, difference in enumerate((-0.1, 0.1, -0.1, 0.1)):
        name = CASES[case][1]
        baseline.cases[name]["dice"], student.cases[name]["dice"] = 0.5, 0.5 + difference
    found = compare(Model([student]), Model([baseline]))
    # The standard deviation of ±10 points in four cases is 10 √(4/3), and z.975 + z.8 is 2.802.
    assert found.spread == pytest.approx(11.547, abs=1e-3)
    assert "would show a difference of 16.2 points in four of five such studies" in found.verdict


def test_students_are_compared_with_baselines_of_their_network(sample):
    pairs = [(found.student.label, found.baseline.label) for found in comparisons(load_study(sample))]
    assert pairs == [("ENet <distilled>", "ENet alone"), ("ESPNet distilled", "ESPNet alone")]


def test_paper_tables_set_each_student_beside_its_counterpart(sample):
    study = load_study(sample)
    one, several = table_1(study), table_2(study)
    # PSPNet has seen all sites, and DeepLabV3+ one site. The paper has a figure only for the student of PSPNet alone.
    assert [(line.cells[0], line.cells[3]) for line in one.lines] == [
        ("PSPNet", "86.3"),
        ("ESPNet alone", "75.2"),
        ("ESPNet distilled", "81.7"),
    ]
    student = one.lines[-1].cells
    found = next(found for found in comparisons(study) if found.student.network == "espnet")
    assert student[4] == f"{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
    assert student[5] == "+6.5"
    teacher = compare(Model([study.rows[5]]), Model([study.rows[1]]))
    assert student[7] == f"{teacher.difference:+.1f} ({teacher.low:+.1f} to {teacher.high:+.1f})"
    assert [line.cells[7] for line in several.lines] == ["–", "–", "–"]
    assert [line.cells[0] for line in several.lines] == ["DeepLabV3+", "ENet alone", "ENet <distilled>"]
    assert [line.cells[3] for line in several.lines] == ["–", "80.0", "–"]


@pytest.mark.parametrize(
    ("row", "settings", "figure"),
    [
        (
            2,
            {"loss::preset": "paper", "train::trainer::max_epochs": 3, "learning_rate": 0.1, "tracking": "mlflow"},
            "84.2",
        ),
        (2, {"loss::preset": "emkd", "loss::beta": None}, "84.2"),
        # These options are those of the preset "measured".
        (
            2,
            {
                "loss::preset": "emkd",
                "loss::terms::cross_entropy::weight": 0.5,
                "loss::weighting": "inverse",
                "loss::scope": "sample",
                "loss::beta": "1.0",
            },
            "84.2",
        ),
        (2, {"loss::beta": 2.0}, "–"),
        (2, {"loss::preset": "paper", "loss::alpha": 0}, "–"),
        (2, {"loss::preset": "paper", "loss::terms::prediction::temperature": 2}, "–"),
        (2, {"loss::weighting": "uniform"}, "–"),
        (2, {"gland_slices_only": True}, "–"),
        (2, {"online": True}, "–"),
        (1, {"loss::cross_entropy_weight": 0, "augmentation": 0}, "80.0"),
        (1, {"loss::cross_entropy_weight": 0, "loss::lovasz_weight": 0.5}, "–"),
        (1, {"loss::cross_entropy_weight": 0, "optimizer::weight_decay": 0.1}, "–"),
        (0, {"batch_size": 4, "precision": "auto"}, "86.3"),
        (0, {"network_def::backbone": "resnet101"}, "–"),
    ],
)
def test_a_row_of_other_settings_has_no_counterpart_in_the_paper(small, row, settings, figure):
    rows = json.loads((small / "study.json").read_text())["rows"]
    rows[row]["settings"] = settings
    change(small / "study.json", rows=rows)
    assert table_1(load_study(small)).lines[row].cells[3] == figure


def test_a_baseline_with_cross_entropy_is_another_baseline(small):
    rows = json.loads((small / "study.json").read_text())["rows"]
    fair = {**rows[1], "name": "enet_ce", "label": "ENet fair", "settings": {"loss::cross_entropy_weight": 0.5}}
    write_run(small / "bundles/enet_ce", ROWS[2])
    change(small / "study.json", rows=[*rows, fair])
    lines = {line.cells[0]: line.cells for line in table_1(load_study(small)).lines}
    assert lines["ENet fair"][3] == "–"
    assert lines["ENet <distilled>"][4] == lines["ENet <distilled>"][6]  # both baselines have the same scores


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"loss::cross_entropy_weight": 0}, False),
        ({"loss::terms::cross_entropy::weight": 0}, False),
        ({"loss::terms::cross_entropy::weight": "0.1", "loss::cross_entropy_weight": 0}, True),
    ],
)
def test_either_flag_says_whether_a_network_had_cross_entropy(sample, settings, expected):
    row = replace(load_study(sample).rows[2], settings=settings)
    assert Model([row]).with_cross_entropy == expected


def test_the_terms_of_the_table_are_drawn_in_its_order(sample, monkeypatch):
    monkeypatch.setitem(loss_terms.DISTILLING, "mean_logit", "a.new.Term")
    row = load_study(sample).rows[3]
    training = {**row.training, "mean_logit": row.training["prediction"]}
    row = SimpleNamespace(label=row.label, seed=row.seed, training=training)
    for draw, expected in (
        (segmentation_losses, ["dice", "lovasz"]),
        (distillation_losses, ["importance", "region contrast", "prediction", "mean logit"]),
    ):
        (axes,) = draw([row]).axes
        assert [line.get_label() for line in axes.lines] == expected
        assert len({line.get_color() for line in axes.lines}) == len(expected)


def test_weights_are_shown_by_site_where_they_were_logged_so(sample):
    training = load_study(sample).rows[3].training
    assert {site: list(weights) for site, weights in weights_by_site(training).items()} == {
        "HK": list(TEACHERS),
        "RUNMC": list(TEACHERS),
    }
    assert list(weights_by_site({"epoch": [1.0], "weight_pspnet": [1.0]})) == [""]


def test_many_comparisons_are_counted(sample, monkeypatch):
    assert len(conclusions(load_study(sample))) == 2
    monkeypatch.setattr("experiments.report.comparison.MOST_LISTED", 1)
    (sentence,) = conclusions(load_study(sample))
    assert sentence.startswith(
        "Against the same network trained alone: of 2 distilled students, 1 come out better (95 % interval above zero)"
    )


def test_a_student_of_two_baselines_is_counted_in_pairs(small, monkeypatch):
    rows = json.loads((small / "study.json").read_text())["rows"]
    other = {**rows[1], "name": "enet_other", "label": "ENet alone, other"}
    write_run(small / "bundles/enet_other", ROWS[2])
    change(small / "study.json", rows=[*rows, other])
    monkeypatch.setattr("experiments.report.comparison.MOST_LISTED", 1)
    assert "of 2 pairs of distilled student and baseline, " in conclusions(load_study(small))[0]


@pytest.mark.usefixtures("page_of_sample")
def test_markdown_and_figures_hold_what_the_page_holds(sample):
    text = (sample / "report.md").read_text(encoding="utf-8")
    assert "| ENet <distilled> | student | all sites |" in text
    assert SPLIT_SHA256 in text
    assert "Pictures" not in text
    kept = json.loads((sample / "results.json").read_text())
    assert [row["name"] for row in kept["rows"]] == [row["name"] for row in ROWS]
    assert kept["rows"][1]["paper_dice_percent"] == 86.3
    assert len(kept["rows"][0]["cases"]) == len(CASES)
    assert {found["student"] for found in kept["comparisons"]} == {"ENet <distilled>", "ESPNet distilled"}


def test_figures_compare_a_student_with_its_only_teacher(small):
    write_report(small)
    (found,) = json.loads((small / "results.json").read_text())["over_teachers"]
    assert (found["student"], found["teacher"]) == ("ENet <distilled>", "PSPNet")
    student, teacher = load_study(small).rows[2], load_study(small).rows[0]
    points = [100 * (student.cases[case]["dice"] - teacher.cases[case]["dice"]) for case in student.cases]
    assert found["dice_points"] == pytest.approx(sum(points) / len(points), abs=0.005)


def test_settings_that_all_runs_share_are_told_once(small):
    rows = json.loads((small / "study.json").read_text())["rows"]
    epochs, seed_only = {"train::trainer::max_epochs": 3}, {"val_interval": 2}
    settings = [epochs | seed_only, epochs, epochs | {"batch_size": 4}]
    rows = [{**row, "settings": own} for row, own in zip(rows, settings, strict=True)]
    change(small / "study.json", rows=rows)
    study = load_study(small)
    assert shared_settings(study.rows) == epochs
    assert [line.cells[1] for line in run_table(study).lines] == ["val_interval 2", "–", "batch_size 4"]
    assert "- settings of every run: max_epochs 3" in (write_report(small).parent / "report.md").read_text()


def test_a_run_of_code_that_was_in_no_commit_says_so(small):
    models = small / "bundles" / "pspnet" / "models"
    models.mkdir()
    (models / "provenance.json").write_text('{"git_revision": "0123456789abcdef+changes"}')
    assert run_table(load_study(small)).lines[0].cells[-1] == "0123456789ab+changes"


def test_a_teacher_that_may_have_seen_test_cases_is_told(small):
    told = {"nnunet": {"saw_test_cases": False, "by": "the user's word"}}
    models = small / "bundles" / "enet_kd" / "models"
    models.mkdir()
    (models / "provenance.json").write_text(json.dumps({"predicted_teachers": told}))
    write_report(small)
    assert (
        "The teacher nnunet is a folder of predictions. Its model was not trained on test cases (source: the user's "
        "word)." in (small / "report.md").read_text()
    )


def test_best_median_and_worst_case(sample):
    student = load_study(sample).rows[3]
    assert chosen_cases([student]) == {"best": "RUNMC_Case01", "median": "RUNMC_Case02", "worst": "HK_Case02"}


def test_a_study_under_way_is_reported(small):
    (small / "bundles/enet_kd/output/done.json").unlink()
    page = write_report(small).read_text()
    assert "2 of 3 runs so far" in page
    assert 'ENet &lt;distilled&gt;</th><td class="words">student</td><td class="words">all sites</td><td>–</td>' in page


@pytest.mark.parametrize("ready", [("enet_fold1", "enet_fold2", "enet_kd_fold2"), ("enet_fold1", "enet_kd_fold2")])
def test_folds_under_way_show_cases_that_all_models_of_a_picture_have(small, ready):
    in_two_folds(small, [*ROWS[1:3], {**ROWS[3], "teachers": ["pspnet"]}])
    for row in ("enet", "enet_kd"):
        for fold in ("fold1", "fold2"):
            if f"{row}_{fold}" not in ready:
                (small / "bundles" / f"{row}_{fold}" / "output/done.json").unlink()
    _, baseline, student = load_study(small).rows
    shared = set(baseline.cases) & set(student.cases)
    assert set(chosen_cases([baseline, student]).values()) == shared
    assert ("Segmentations by enet" in write_report(small).read_text()) == bool(shared)


def test_a_study_without_any_result_is_reported(small):
    for row in ROWS[1:4]:
        (small / "bundles" / row["name"] / "output/done.json").unlink()
        (small / "bundles" / row["name"] / "output/training.csv").unlink()
    assert "0 of 3 runs so far" in write_report(small).read_text()


def test_a_training_without_a_line_in_its_log_is_reported(small):
    log = small / "bundles/enet/output/training.csv"
    for text in ("", "epoch,loss,val_mean_dice\n"):
        log.write_text(text)
        assert "ENet alone" in write_report(small).read_text()


def test_faults_are_named(small):
    with pytest.raises(InputError, match=r"\A\S+/study\.json: no such file\Z"):
        write_report(small / "nowhere")
    evaluation = small / "bundles/enet/output/evaluation.json"
    change(evaluation, split={"name": "all", "sha256": "other"})
    with pytest.raises(InputError, match=r"\A\S+/enet.output.evaluation\.json: evaluated on another split"):
        write_report(small)
    change(evaluation, split={"name": "all", "sha256": SPLIT_SHA256}, part="validation")
    with pytest.raises(
        InputError, match=r"\A\S+/enet.output.evaluation\.json: evaluated on validation, the study's .* test"
    ):
        write_report(small)
    change(evaluation, part="test")
    prediction = small / "bundles/enet_kd/output/predictions/RUNMC_Case01.nii.gz"
    whole = prediction.read_bytes()
    prediction.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"\A\S+/predictions.RUNMC_Case01\.nii\.gz: is truncated or damaged"):
        write_report(small)
    prediction.write_bytes(whole)
    (small / "bundles/enet_kd/output/predictions/HK_Case02.nii.gz").unlink()
    with pytest.raises(InputError, match=r"\A\S+/predictions.HK_Case02\.nii\.gz: no such file"):
        write_report(small)
    rows = json.loads((small / "study.json").read_text())["rows"]
    change(small / "study.json", rows=[{**rows[0], "role": "pupil"}])
    with pytest.raises(InputError, match=r"\A\S+/study\.json: row pspnet has the role pupil"):
        write_report(small)
    change(small / "study.json", rows=rows[1:])
    with pytest.raises(
        InputError, match=r"\A\S+/study\.json: row enet_kd was distilled from pspnet, which is no row\Z"
    ):
        write_report(small)


def test_a_label_with_dollars_is_no_formula(small):
    """Matplotlib would read the label as a formula, and fail or leave out the dollars."""
    rows = json.loads((small / "study.json").read_text())["rows"]
    label = r'<b>&" $\nonsense$'
    change(small / "study.json", rows=[*rows[:2], {**rows[2], "label": label}])
    page = write_report(small).read_text(encoding="utf-8")
    assert r'<th scope="row">&lt;b&gt;&amp;&#34; $\nonsense$</th>' in page
    assert "<b>" not in page
