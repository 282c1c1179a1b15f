import json

import pytest
from sample_study import CASES, ROWS, change, write_run

from experiments.report import load_study
from experiments.report.comparison import compare, comparisons, conclusions
from experiments.report.study import Model


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
