"""The report's section of a study of new sites: each student against its network alone and against its teachers."""

from types import SimpleNamespace

import pytest

from experiments.report.new_sites import BEST, difference_table, new_site_differences


def model(role: str, label: str, masks: int | str | None, network: str = "enet", **dice: float):
    """A model whose cases are named by the letter of their site and a number."""
    cases = {name: {"site": name[0], "dice": value} for name, value in dice.items()}
    row = SimpleNamespace(label=label, masks=masks, cases=cases)
    return role, SimpleNamespace(rows=[row], label=label, network=network)


def study(*models):
    return SimpleNamespace(models=lambda role: [one for own, one in models if own == role])


def test_the_differences_are_means_over_the_sites():
    found = new_site_differences(
        study(
            model("teacher", "of A", None, B1=0.7, B2=0.7, B3=0.1),
            model("teacher", "of C", None, A1=0.6, B1=0.4, B2=0.4, B3=0.4),
            model("ensemble", "mean", None, A1=0.5, B1=0.6, B2=0.6, B3=0.6),
            model("baseline", "alone, 2", 2, A1=0.4, B1=0.5, B2=0.5, B3=0.5),
            model("student", "none", 0, A1=0.8, B1=0.6, B2=0.7, B3=0.8),
            model("student", "two", 2, A1=0.5, B1=0.5, B2=0.5, B3=0.8),
        )
    )
    told = {
        (one.student, one.against): (round(one.mean, 1), {site: round(v, 1) for site, v in one.sites.items()})
        for one in found
    }
    assert told == {
        ("none", "mean"): (20.0, {"A": 30.0, "B": 10.0}),
        ("none", BEST): (20.0, {"A": 20.0, "B": 20.0}),  # the best of B is "of A", with a mean of 50
        ("none", "alone, 2"): (30.0, {"A": 40.0, "B": 20.0}),
        ("two", "alone, 2"): (10.0, {"A": 10.0, "B": 10.0}),
    }
    # Site A has one case. Of B's three differences 0, 0 and 30 the mean is between 0 and 30: the interval is 5 to 20.
    last = found[-1]
    assert (last.low, last.high, last.cases) == (pytest.approx(5), pytest.approx(20), 4)
    assert difference_table(found).lines[-1].cells == [
        "two",
        "alone, 2",
        "+10.0 (+5.0 to +20.0)",
        "+10.0",
        "+10.0",
        "4",
    ]
    assert str(last) == (
        "two, minus alone, 2: +10.0 Dice points (95 % interval +5.0 to +20.0, mean over 2 sites, 4 cases). "
        "The whole interval is above zero."
    )


def test_students_of_one_network_and_masks_are_also_compared_with_the_first_one():
    found = new_site_differences(
        study(
            model("baseline", "alone", 1, A1=0.5, A2=0.5),
            model("student", "distilled", 1, A1=0.6, A2=0.7),
            model("student", "soft", 1, A1=0.4, A2=0.4),
            model("student", "two", 2, A1=0.8, A2=0.8),
            model("student", "of another network", 1, "espnet", A1=0.8, A2=0.8),
        )
    )
    assert {(one.student, one.against): round(one.mean, 1) for one in found} == {
        ("distilled", "alone"): 15.0,
        ("soft", "alone"): -10.0,
        ("soft", "distilled"): -25.0,
    }


def test_a_single_new_site_is_no_mean_over_sites():
    (one,) = new_site_differences(
        study(model("baseline", "alone", 2, A1=0.5, A2=0.5), model("student", "two", 2, A1=0.6, A2=0.6))
    )
    assert str(one) == (
        "two, minus alone: +10.0 Dice points (95 % interval +10.0 to +10.0, one site, 2 cases). "
        "The whole interval is above zero."
    )
