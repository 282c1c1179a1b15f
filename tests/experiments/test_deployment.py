"""The choice of the model to deploy, and its words, on made-up scores."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.report.comparison import compare
from experiments.report.deployment import choices, mean_dice, ranked_candidates
from experiments.report.study import Model
from experiments.report.verdict import answer, cost, named

STEADY = {f"A{number}": 0.8 for number in range(8)}


def row(label, dice, role="student", masks=None, seed=0, params=354_000, network="enet", missed=()):
    """A row whose cases are named by the letter of their site and a number."""
    cases = {
        name: {"site": name[0], "dice": value, "hd95_mm": 5.0, "missed": name in missed} for name, value in dice.items()
    }
    evaluation = {"params": params}
    name = f"{network}_{seed}"
    return SimpleNamespace(
        **{"label": label, "role": role, "masks": masks, "seed": seed, "network": network, "name": name},
        **{"cases": cases, "evaluation": evaluation},
    )


def study(*rows, scored_on="test"):
    def models(role):
        labels = dict.fromkeys(one.label for one in rows if one.role == role)
        return [Model([one for one in rows if one.label == label]) for label in labels]

    return SimpleNamespace(
        models=models,
        rows=rows,
        has_new_sites=any(one.masks is not None for one in rows),
        settings={"scored_on": scored_on},
    )


def shifted(by):
    """The scores of ``STEADY``, lower by a number of points, or by one number for each case."""
    return {
        name: value - down / 100 for (name, value), down in zip(STEADY.items(), np.broadcast_to(by, 8), strict=True)
    }


def words(*rows):
    own = study(*rows)
    (one,) = choices(own)
    said = answer(one, own)
    return said.text, said.detail


def test_the_candidate_with_the_highest_mean_dice_is_chosen_and_the_others_follow():
    (choice,) = choices(
        study(
            row("second", shifted(2), "baseline"),
            row("first", STEADY),
            row("last", shifted([20, 0, 20, 0, 20, 0, 20, 0])),
            row("a teacher", dict.fromkeys(STEADY, 0.99), "teacher"),
        )
    )
    assert choice.best.label == "first"
    assert choice.dice.mean == pytest.approx(80)
    assert [(rival.model.label, round(rival.lead.mean, 6)) for rival in choice.rivals] == [("second", 2), ("last", 10)]
    assert [rival.told_apart for rival in choice.rivals] == [True, True]
    assert choice.stand_in is None


@pytest.mark.parametrize(("cases", "told_apart"), [(5, False), (6, True)])
def test_fewer_than_six_cases_tell_no_two_models_apart(cases, told_apart):
    first, second = (dict(list(scores.items())[:cases]) for scores in (STEADY, shifted(2)))
    (choice,) = choices(study(row("first", first), row("second", second)))
    assert choice.rivals[0].told_apart == told_apart


def test_the_seeds_of_a_case_are_averaged_before_the_cases_are_drawn():
    """Each seed differs from case to case, and their mean does not: only the spread over the cases counts."""
    waves = np.array([10, -10] * 4)
    (choice,) = choices(
        study(
            row("first", shifted(waves), seed=0),
            row("first", shifted(-waves), seed=1),
            row("second", shifted(3 + waves), "baseline", seed=0),
            row("second", shifted(3 - waves), "baseline", seed=1),
        )
    )
    assert (choice.dice.mean, choice.dice.low, choice.dice.high) == pytest.approx((80, 80, 80))
    lead = choice.rivals[0].lead
    assert (lead.mean, lead.low, lead.high, lead.cases) == pytest.approx((3, 3, 3, 8))
    found = compare(choice.best, choice.rivals[0].model)
    assert (found.difference, found.low, found.high, found.spread) == pytest.approx((3, 3, 3, 0), abs=1e-9)
    assert (found.cases, found.seeds) == (8, 2)


def test_a_candidate_of_fewer_cases_is_not_ranked():
    part = dict(list(dict.fromkeys(STEADY, 0.99).items())[:3])
    own = study(row("under way", part), row("whole", STEADY, "baseline"))
    assert [model.label for model in ranked_candidates(own)] == ["whole"]


def test_without_a_candidate_there_is_no_choice():
    assert choices(study(row("a teacher", STEADY, "teacher"))) == []


NEW_SITES = (
    row("mean of the teachers", {"A1": 0.5, "A2": 0.5, "B1": 0.6}, "ensemble"),
    row("none", {"A1": 0.7, "A2": 0.7, "B1": 0.5}, masks=0),
    row("alone, 1", {"A1": 0.5, "A2": 0.5, "B1": 0.5}, "baseline", masks=1),
    row("two", {"A1": 0.6, "A2": 0.6, "B1": 0.8}, masks=2),
    row("alone, all", {"A1": 0.9, "A2": 0.9, "B1": 0.9}, "baseline", masks="all"),
)


def test_at_a_new_site_the_choice_depends_on_the_number_of_masks():
    """A site with one mask can deploy the student that needs none. Each site counts the same."""
    found = choices(study(*NEW_SITES))
    assert [(one.masks, one.best.label, round(one.dice.mean, 6)) for one in found] == [
        (0, "none", 60),  # the mean over the cases would be 63.3
        (1, "none", 60),
        (2, "two", 70),
        ("all", "alone, all", 90),
    ]
    assert [[rival.model.label for rival in one.rivals] for one in found] == [
        [],
        ["alone, 1"],
        ["none", "alone, 1"],
        ["two", "none", "alone, 1"],
    ]
    # Without rivals, the mean of the teachers stands in: +20 points at A, -10 at B.
    assert found[0].stand_in.model.label == "mean of the teachers"
    assert found[0].stand_in.lead.mean == pytest.approx(5)
    assert [one.stand_in for one in found[1:]] == [None] * 3


def test_the_dice_of_one_site_is_the_mean_over_its_cases():
    own = study(*NEW_SITES)
    (model,) = [model for model in ranked_candidates(own) if model.label == "two"]
    assert mean_dice(model, own, "A").mean == pytest.approx(60)


def test_the_answer_names_the_masks_of_the_site():
    own = study(*NEW_SITES)
    said = [answer(one, own).text for one in choices(own)]
    assert [text.split(".")[0] for text in said] == [
        "With no mask of your site, deploy “none”",
        "With one mask of your site, deploy “none”",
        "With 2 masks of your site, deploy “two”",
        "With masks of all cases of your site, deploy “alone, all”",
    ]


def test_a_clear_lead_is_said():
    assert words(row("first", STEADY), row("second", shifted(2))) == (
        "Deploy “first”. Its mean Dice is 80.0 on 8 test cases (95 % interval 80.0 to 80.0).",
        "It leads the runner-up, “second”, by +2.0 (+2.0 to +2.0) Dice points. "
        "The whole interval is above zero: it is the better one on cases like these.",
    )


def test_models_that_the_cases_cannot_tell_apart_are_named_and_the_smallest_of_them():
    near = shifted([20, -18, 20, -18, 20, -18, 20, -18])
    _, detail = words(
        row("first", STEADY), row("second", near), row("third", near, params=184_000), row("far", shifted(30))
    )
    assert detail.startswith("It leads the runner-up, “second”, by +1.0 (-")
    assert detail.endswith(
        "Dice points. The interval includes zero: these 8 cases cannot tell the two apart. "
        "The cases also do not tell it from “third”. Of these, “third” is the smallest (184 k parameters)."
    )


def test_a_lead_over_the_runner_up_may_be_clear_where_a_later_one_is_not():
    _, detail = words(row("first", STEADY), row("even", shifted(2)), row("uneven", shifted([60, -40] * 4)))
    assert "above zero: it is the better one on cases like these. The cases do not tell it from “uneven”." in detail


def test_a_network_alone_that_beats_the_students_is_said():
    text, detail = words(row("alone", STEADY, "baseline"), row("distilled", shifted(5)))
    assert text.startswith("Deploy “alone”.")
    assert detail.endswith("It was trained alone: no distilled student has a higher mean Dice here.")


def test_a_missed_prostate_is_said():
    _, detail = words(row("first", STEADY, missed=["A3"]), row("second", shifted(1)))
    assert detail.endswith("It missed the prostate in 1 of 8 cases.")


def test_a_model_with_more_wrong_voxels_than_right_ones_is_not_recommended():
    text, _ = words(row("best", shifted(31)), row("worse", shifted(40)))
    assert text.startswith("Deploy none of these models yet. The best one is “best”. Its mean Dice is 49.0 on 8 ")
    assert words(row("best", shifted(30)))[0].startswith("Deploy “best”. Its mean Dice is 50.0 ")


def test_a_single_model_is_compared_with_its_best_teacher():
    better = dict.fromkeys(STEADY, 0.9)
    teachers = [row("weak", shifted(40), "teacher"), row("strong", better, "teacher")]
    assert words(row("student", STEADY), *teachers)[1] == (
        "It is the only candidate. Its difference to “strong” is -10.0 (-10.0 to -10.0) Dice points. "
        "The whole interval is below zero: “strong” is the better one on cases like these."
    )
    assert words(row("student", STEADY))[1] == (
        "It is the only model with scores on these cases, so there is nothing to compare it with."
    )


def test_one_case_has_no_interval():
    text, detail = words(row("first", {"A1": 0.8}), row("second", {"A1": 0.7}))
    assert text == "Deploy “first”. Its mean Dice is 80.0 on 1 test case."
    assert detail == (
        "It leads the runner-up, “second”, by +10.0 Dice points. Fewer than 6 cases cannot tell any two models apart."
    )


@pytest.mark.parametrize(
    ("rows", "weights"),
    [
        ([row("a", STEADY)], "weights in bundles/enet_0/models"),
        ([row("a", STEADY), row("a", STEADY, seed=1)], "weights in bundles/enet_0/models, seed 0"),
        ([row("a", STEADY, masks=0)], "train it with the images of your site before you deploy it"),
    ],
)
def test_the_cost_names_the_weights(rows, weights):
    parts = cost(Model(rows)).split("; ")
    assert parts[0].startswith("354 k parameters, ")
    assert parts[0].endswith(" ms for a slice of 1x384x384 on a CPU")
    assert parts[1] == weights


def test_a_network_that_was_not_timed_has_no_time():
    assert cost(Model([row("a", STEADY, network="own")])) == "354 k parameters; weights in bundles/own_0/models"


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C"], "A, B and C"),
        (["A", "B", "C", "D"], "A, B, C and 1 other"),
        (["A", "B", "C", "D", "E"], "A, B, C and 2 others"),
    ],
)
def test_names_in_a_sentence(labels, text):
    assert named(labels) == text
