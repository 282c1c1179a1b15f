"""Which model to deploy: the candidate with the highest mean Dice, and whether the cases tell it from the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.bootstrap import Estimate, estimate
from experiments.report.study import Model, StudyRecord

# With fewer cases, even differences of one sign can be chance: with five cases the probability is 2 · ½⁵ = 6 %.
FEWEST_CASES = 6


@dataclass(frozen=True)
class Rival:
    """A model that was not chosen.

    Attributes:
        model: the model.
        lead: the paired difference of Dice by which the chosen model is ahead, in points.
    """

    model: Model
    lead: Estimate

    @property
    def told_apart(self) -> bool:
        """Whether the cases show that the chosen model is better."""
        return self.lead.low > 0 and self.lead.cases >= FEWEST_CASES


@dataclass(frozen=True)
class Choice:
    """The model to deploy.

    Attributes:
        masks: the number of masks that the new site has, or ``all`` for those of all its cases; None in other studies.
        best: the candidate with the highest mean Dice.
        dice: its Dice in percent.
        rivals: the other candidates, from the highest mean Dice down.
        stand_in: without rivals, the best teacher or ensemble of the same cases, if there is one.
    """

    masks: int | str | None
    best: Model
    dice: Estimate
    rivals: list[Rival]
    stand_in: Rival | None

    @property
    def cases(self) -> list[str]:
        """The names of the cases that decide."""
        return [*self.best.cases]


def choices(study: StudyRecord) -> list[Choice]:
    """The model to deploy; in a study of new sites one for each number of masks, with the fewest first.

    A site with some masks can also deploy a model that needs fewer of them.
    """
    ranked = ranked_candidates(study)
    if not study.has_new_sites:
        return [_choice(None, ranked, study)] if ranked else []
    counts = {_amount(model.rows[0].masks): model.rows[0].masks for model in ranked}
    return [
        _choice(masks, [model for model in ranked if _amount(model.rows[0].masks) <= amount], study)
        for amount, masks in sorted(counts.items())
    ]


def candidates(study: StudyRecord) -> list[Model]:
    """The distilled students and the networks trained alone that have scores."""
    return [model for role in ("student", "baseline") for model in study.models(role) if model.cases]


def ranked_candidates(study: StudyRecord) -> list[Model]:
    """The candidates that are scored on all cases, from the highest mean Dice down.

    All cases are those of the candidate with the most cases: while folds are not done, and at sites with too few masks
    for a candidate, some candidates have fewer.
    """
    found = candidates(study)
    everything = max((set(model.cases) for model in found), key=len, default=set())
    complete = [model for model in found if set(model.cases) >= everything]
    return sorted(complete, key=lambda model: -mean_dice(model, study).mean)


def mean_dice(model: Model, study: StudyRecord, site: str | None = None) -> Estimate:
    """The mean Dice of a model in percent, over its cases or over the cases of one site."""
    cases = [case for case, own in model.cases.items() if site in (None, own)]
    return _estimate(100 * model.mean_dice(cases), [model.cases[case] for case in cases], study)


def _choice(masks: int | str | None, ranked: Sequence[Model], study: StudyRecord) -> Choice:
    best, *others = ranked
    rivals = [_rival(best, other, study) for other in others]
    stand_ins = [model for role in ("ensemble", "teacher") for model in study.models(role) if _covers(model, best)]
    stand_in = max(stand_ins, key=lambda model: mean_dice(model, study).mean) if stand_ins and not rivals else None
    return Choice(masks, best, mean_dice(best, study), rivals, stand_in and _rival(best, stand_in, study))


def _rival(best: Model, other: Model, study: StudyRecord) -> Rival:
    cases = [*best.cases]
    lead = 100 * (best.mean_dice(cases) - other.mean_dice(cases))
    return Rival(other, _estimate(lead, [*best.cases.values()], study))


def _covers(model: Model, best: Model) -> bool:
    return set(model.cases) >= set(best.cases)


def _estimate(values: np.ndarray, sites: Sequence[str], study: StudyRecord) -> Estimate:
    """The mean over the cases; in a study of new sites the mean over the sites."""
    if not study.has_new_sites:
        return estimate([values])
    return estimate([values[np.array(sites) == site] for site in sorted(set(sites))])


def _amount(masks: int | str | None) -> float:
    """A number of masks; all masks are more than any number."""
    return masks if isinstance(masks, int) else math.inf
