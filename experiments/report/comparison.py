"""Compares each student with its baselines and with its teacher, case by case."""

from dataclasses import dataclass
from statistics import NormalDist

from experiments.report.bootstrap import estimate
from experiments.report.study import Model, StudyRecord

# A report with more comparisons counts them instead of listing each.
MOST_LISTED = 4


@dataclass(frozen=True)
class Comparison:
    """The Dice of a student minus the Dice of another model on the same cases, in Dice points (percent).

    Attributes:
        student: the distilled model.
        baseline: the model that the student is compared with: its network trained alone, or its teacher.
        difference: mean over the cases.
        low: lower end of the 95 % interval of the difference.
        high: upper end of the 95 % interval of the difference.
        spread: standard deviation of the difference over the cases.
        cases: number of cases.
        seeds: number of seeds of the student or of the baseline, whichever is smaller.
    """

    student: Model
    baseline: Model
    difference: float
    low: float
    high: float
    spread: float
    cases: int
    seeds: int

    def __str__(self) -> str:
        seeds = "one seed" if self.seeds == 1 else f"the mean of {self.seeds} seeds"
        return (
            f"{self.student.label} minus {self.baseline.label}: {self.difference:+.1f} Dice points "
            f"(95 % interval {self.low:+.1f} to {self.high:+.1f}, over {self.cases} cases, {seeds})"
        )

    @property
    def verdict(self) -> str:
        """A sentence that says what the interval shows."""
        if self.low > 0:
            return "The whole interval is above zero."
        if self.high < 0:
            return "The whole interval is below zero: the teachers did harm."
        least = smallest_difference(self.spread, self.cases)
        return (
            "The interval includes zero: these cases cannot tell the two apart. With this spread over the cases they "
            f"would show a difference of {least:.1f} points in four of five such studies."
        )


def conclusions(study: StudyRecord) -> list[str]:
    """The result of a study in sentences: one for each comparison, or a count of the outcomes of many comparisons."""
    found = comparisons(study)
    if len(found) <= MOST_LISTED:
        return [f"{one}. {one.verdict}" for one in found]
    sentences = []
    for fair, against in ((False, "alone"), (True, "alone with cross-entropy")):
        group = [one for one in found if one.baseline.with_cross_entropy == fair]
        if group:
            better, worse = sum(one.low > 0 for one in group), sum(one.high < 0 for one in group)
            students = len({(one.student.network, one.student.label) for one in group})
            subject = "distilled students" if len(group) == students else "pairs of distilled student and baseline"
            sentences.append(
                f"Against the same network trained {against}: of {len(group)} {subject}, {better} come out better "
                f"(95 % interval above zero), {worse} worse, and {len(group) - better - worse} cannot be told apart on "
                f"{group[0].cases} cases."
            )
    return sentences


def comparisons(study: StudyRecord) -> list[Comparison]:
    """Compares each student with each baseline of the same network and, at a new site, with the same masks."""
    return [
        compare(student, baseline)
        for student in study.models("student")
        for baseline in study.models("baseline")
        if (student.network, student.rows[0].masks) == (baseline.network, baseline.rows[0].masks)
        and share_cases(student, baseline)
    ]


def over_teachers(study: StudyRecord) -> list[Comparison]:
    """Compares each student that has only one teacher with this teacher."""
    return [
        compare(student, teacher) for student in study.models("student") for teacher in only_teacher(student, study)
    ]


def only_teacher(student: Model, study: StudyRecord) -> list[Model]:
    """The teacher in a list, if the student has only one and it is evaluated on a case of it; else an empty list."""
    teachers = study.teachers_of(student.rows[0])
    one = len(teachers) == 1 and teachers[0].evaluation and share_cases(student, Model(teachers))
    return [Model(teachers)] if one else []


def share_cases(one: Model, other: Model) -> bool:
    """Whether two models can be compared; in a cross-validation under way they may have the cases of other folds."""
    return not one.cases.keys().isdisjoint(other.cases)


def compare(student: Model, baseline: Model) -> Comparison:
    """The paired difference of two models.

    The Dice of a case is its mean over the seeds. The interval is a percentile bootstrap over the cases, so it shows
    how the result varies with the patients and not how it varies with the seeds.

    Raises:
        ValueError: when the two models have no case in common.
    """
    cases = sorted(set(student.cases) & set(baseline.cases))
    if not cases:
        raise ValueError(f"{student.label} and {baseline.label} have no case in common")
    differences = 100 * (student.mean_dice(cases) - baseline.mean_dice(cases))
    found = estimate([differences])
    return Comparison(
        student=student,
        baseline=baseline,
        difference=found.mean,
        low=found.low,
        high=found.high,
        spread=float(differences.std(ddof=1)) if len(cases) > 1 else 0.0,
        cases=len(cases),
        seeds=min(len(student.rows), len(baseline.rows)),
    )


def smallest_difference(spread: float, cases: int) -> float:
    """The smallest true difference that a paired comparison shows (two-sided, 5 %) with a probability of 80 %.

    δ = (z_.975 + z_.8) spread / √cases, as for a paired z test (Cohen, Statistical Power Analysis for the Behavioral
    Sciences, 1988, chapter 2).

    Args:
        spread: standard deviation over the cases of the paired difference, in the unit of the result.
        cases: number of cases.

    >>> round(smallest_difference(5.0, 42), 2)
    2.16
    >>> round(smallest_difference(5.0, 12), 2)
    4.04
    """
    return (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) * spread / cases**0.5
