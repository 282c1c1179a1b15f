import json
from dataclasses import replace

import pytest
from sample_study import ROWS, change, write_run

from experiments.report import load_study
from experiments.report.comparison import compare, comparisons
from experiments.report.paper import table_1, table_2
from experiments.report.study import Model


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
        (2, {"loss::preset": "annealed"}, "–"),
        (2, {"cache_teachers": True, "augmentation": 0}, "84.2"),
        (2, {"cache_teachers": True, "augmentation_views": 4}, "84.2"),
        # Moved answers have no features, so two terms of the paper are missing.
        (2, {"cache_teachers": True}, "–"),
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
