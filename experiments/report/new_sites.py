"""The section of a study of new sites: each student against the same network alone, and against its teachers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.report.bootstrap import estimate
from experiments.report.study import Model, StudyRecord
from reporting.table import NOTHING, Line, Table

BEST = "best teacher of each site"
# Two masks are the yardstick for a student that had none: are the teachers worth as much?
YARDSTICK = 2

Scores = dict[str, dict[str, float]]  # by site, the Dice of each case in percent


@dataclass(frozen=True)
class SiteDifference:
    """The mean over the sites of a paired difference of Dice, in points.

    Attributes:
        student: label of the student.
        against: label of the other model.
        sites: the mean difference at each site.
        low: lower end of the 95 % interval of the mean over the sites.
        high: upper end.
        cases: number of cases.
    """

    student: str
    against: str
    sites: dict[str, float]
    low: float
    high: float
    cases: int

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.sites.values())))

    def __str__(self) -> str:
        above = "The whole interval is above zero." if self.low > 0 else "The interval includes zero."
        verdict = "The whole interval is below zero." if self.high < 0 else above
        sites = f"mean over {len(self.sites)} sites" if len(self.sites) > 1 else "one site"
        return (
            f"{self.student}, minus {self.against}: {self.mean:+.1f} Dice points (95 % interval {self.low:+.1f} to "
            f"{self.high:+.1f}, {sites}, {self.cases} cases). {verdict}"
        )


def new_site_differences(study: StudyRecord) -> list[SiteDifference]:
    """Every student with masks against its network alone; every student without masks against teachers and two masks.

    In a plan of ablations, several students have the same network and masks: each is compared with the first one, too.
    Empty unless the study is one of new sites.
    """
    baselines, ensembles = study.models("baseline"), study.models("ensemble")
    differences = []
    first: dict[tuple[str, int | str], Model] = {}
    for student in study.models("student"):
        masks = student.rows[0].masks
        if masks is None:
            continue
        wanted = masks or YARDSTICK
        others = {model.label: _scores(model) for model in baselines if _fits(model, student, wanted)}
        if not masks:
            others = {**{model.label: _scores(model) for model in ensembles}, BEST: best_teachers(study), **others}
        if (reference := first.setdefault((student.network, masks), student)) is not student:
            others[reference.label] = _scores(reference)
        for label, scores in others.items():
            differences += _difference(student.label, _scores(student), label, scores)
    return differences


def difference_table(differences: Sequence[SiteDifference]) -> Table:
    """One line for each difference, with a column for each site."""
    sites = sorted({site for one in differences for site in one.sites})
    lines = [
        Line(
            [
                one.student,
                one.against,
                f"{one.mean:+.1f} ({one.low:+.1f} to {one.high:+.1f})",
                *(f"{one.sites[site]:+.1f}" if site in one.sites else NOTHING for site in sites),
                str(one.cases),
            ],
            "student",
        )
        for one in differences
    ]
    return Table(["student", "minus", "mean over the sites", *sites, "cases"], lines, texts=2)


def best_teachers(study: StudyRecord) -> Scores:
    """For each site, the scores of the teacher with the highest mean Dice there; only masks can tell which it is."""
    best: Scores = {}
    for teacher in study.models("teacher"):
        for site, scores in _scores(teacher).items():
            if site not in best or _mean(scores) > _mean(best[site]):
                best[site] = scores
    return best


def _fits(baseline: Model, student: Model, masks: int | str) -> bool:
    return baseline.network == student.network and baseline.rows[0].masks == masks


def _scores(model: Model) -> Scores:
    scores: dict[str, dict[str, list[float]]] = {}
    for row in model.rows:
        for name, case in row.cases.items():
            scores.setdefault(case["site"], {}).setdefault(name, []).append(100 * case["dice"])
    return {site: {name: float(np.mean(dice)) for name, dice in cases.items()} for site, cases in scores.items()}


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values())))


def _difference(student: str, own: Scores, against: str, other: Scores) -> list[SiteDifference]:
    pairs = {
        site: np.array([own[site][name] - other[site][name] for name in sorted(own[site].keys() & other[site].keys())])
        for site in sorted(own.keys() & other.keys())
    }
    pairs = {site: values for site, values in pairs.items() if len(values)}
    if not pairs:
        return []
    found = estimate([*pairs.values()])
    sites = {site: float(values.mean()) for site, values in pairs.items()}
    return [SiteDifference(student, against, sites, found.low, found.high, found.cases)]
