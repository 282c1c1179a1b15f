import base64
import json
import re
from types import SimpleNamespace

import pytest
from sample_study import CASES, ROWS, SPLIT_SHA256, TEACHERS, change, write_run

from custom_components import loss_terms
from custom_components.foundation.errors import InputError
from experiments.report import load_study, render_table, write_report
from experiments.report.comparison import comparisons
from experiments.report.figures import distillation_losses, segmentation_losses, weights_by_site
from experiments.report.pictures import chosen_cases
from experiments.report.runs import run_table, shared_settings
from experiments.report.scores import site_tables


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
