"""Students against their baselines, case by case."""

from dataclasses import dataclass

import numpy as np

from experiments.report.study import Row, Study

RESAMPLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """A student's Dice minus its baseline's on the same cases, in Dice points (percent).

    Where one of the two has fewer seeds, ``seeds`` is that number.
    """

    student: str
    baseline: str
    difference: float
    low: float
    high: float
    cases: int
    seeds: int

    def __str__(self) -> str:
        seeds = "one seed" if self.seeds == 1 else f"the mean of {self.seeds} seeds"
        return (
            f"{self.student} minus {self.baseline}: {self.difference:+.1f} Dice points "
            f"(95 % interval {self.low:+.1f} to {self.high:+.1f}, over {self.cases} test cases, {seeds})"
        )

    @property
    def verdict(self) -> str:
        """What the interval allows to say."""
        if self.low > 0:
            return "The whole interval is above zero."
        if self.high < 0:
            return "The whole interval is below zero: the teachers did harm."
        return "The interval includes zero: these cases cannot tell the two apart."


def comparisons(study: Study) -> list[Comparison]:
    """Compares each kind of student with each kind of baseline of its network."""
    return [
        compare(_seeds(study, student), _seeds(study, baseline))
        for network in study.networks_of("student")
        for student in study.first_seed("student", network)
        for baseline in study.first_seed("baseline", network)
    ]


def compare(students: list[Row], baselines: list[Row]) -> Comparison:
    """The paired difference of two groups of rows, each the seeds of one model.

    A case's difference is that of its mean Dice over the seeds; the interval is a percentile bootstrap over the cases,
    and so says how the result may vary with the patients, not with the seeds.

    Raises:
        ValueError: When the two have no test case in common.
    """
    cases = sorted(set.intersection(*(set(row.cases) for row in students + baselines)))
    if not cases:
        raise ValueError(f"{students[0].label} and {baselines[0].label} have no test case in common")
    differences = 100 * (_mean_dice(students, cases) - _mean_dice(baselines, cases))
    drawn = np.random.default_rng(0).choice(differences, size=(RESAMPLES, len(cases)))
    low, high = np.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return Comparison(
        student=students[0].label,
        baseline=baselines[0].label,
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        cases=len(cases),
        seeds=min(len(students), len(baselines)),
    )


def _seeds(study: Study, first: Row) -> list[Row]:
    kind = (first.role, first.network, first.label)
    return [row for row in study.evaluated if (row.role, row.network, row.label) == kind]


def _mean_dice(rows: list[Row], cases: list[str]) -> np.ndarray:
    return np.mean([[row.cases[case]["dice"] for case in cases] for row in rows], axis=0)
