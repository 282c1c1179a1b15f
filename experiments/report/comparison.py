"""Students against their baselines and their teachers, case by case."""

from dataclasses import dataclass

import numpy as np

from experiments.report.study import Model, Study

RESAMPLES = 10_000
# More comparisons than this are counted instead of told one by one.
TOLD = 4


@dataclass(frozen=True)
class Comparison:
    """A student's Dice minus its baseline's, or its teacher's, on the same cases, in Dice points (percent).

    Where one of the two has fewer seeds, ``seeds`` is that number.
    """

    student: Model
    baseline: Model
    difference: float
    low: float
    high: float
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
        """What the interval allows to say."""
        if self.low > 0:
            return "The whole interval is above zero."
        if self.high < 0:
            return "The whole interval is below zero: the teachers did harm."
        return "The interval includes zero: these cases cannot tell the two apart."


def findings(study: Study) -> list[str]:
    """The result of a study in sentences: each comparison, or of many how they came out."""
    found = comparisons(study)
    if len(found) <= TOLD:
        return [f"{one}. {one.verdict}" for one in found]
    sentences = []
    for fair, against in ((False, "alone"), (True, "alone with cross-entropy")):
        group = [one for one in found if one.baseline.with_cross_entropy == fair]
        if group:
            better, worse = sum(one.low > 0 for one in group), sum(one.high < 0 for one in group)
            students = len({(one.student.network, one.student.label) for one in group})
            what = "distilled students" if len(group) == students else "pairs of distilled student and baseline"
            sentences.append(
                f"Against the same network trained {against}: of {len(group)} {what}, {better} come out better "
                f"(95 % interval above zero), {worse} worse, and {len(group) - better - worse} cannot be told apart on "
                f"{group[0].cases} cases."
            )
    return sentences


def comparisons(study: Study) -> list[Comparison]:
    """Compares each kind of student with each kind of baseline of its network."""
    return [
        compare(student, baseline)
        for student in study.models("student")
        for baseline in study.models("baseline")
        if student.network == baseline.network
    ]


def over_teachers(study: Study) -> list[Comparison]:
    """Compares each kind of student that has one teacher with that teacher."""
    return [
        compare(student, teacher) for student in study.models("student") for teacher in only_teacher(student, study)
    ]


def only_teacher(student: Model, study: Study) -> list[Model]:
    """The evaluated teacher of a student that has one alone, else none."""
    teachers = study.teachers_of(student.rows[0])
    return [Model(teachers)] if len(teachers) == 1 and teachers[0].evaluation else []


def compare(student: Model, baseline: Model) -> Comparison:
    """The paired difference of two models.

    A case's difference is that of its mean Dice over the seeds; the interval is a percentile bootstrap over the cases,
    and so says how the result may vary with the patients, not with the seeds.

    Raises:
        ValueError: When the two have no case in common.
    """
    cases = sorted(set.intersection(*(set(row.cases) for row in student.rows + baseline.rows)))
    if not cases:
        raise ValueError(f"{student.label} and {baseline.label} have no case in common")
    differences = 100 * (student.mean_dice(cases) - baseline.mean_dice(cases))
    drawn = np.random.default_rng(0).choice(differences, size=(RESAMPLES, len(cases)))
    low, high = np.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return Comparison(
        student=student,
        baseline=baseline,
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        cases=len(cases),
        seeds=min(len(student.rows), len(baseline.rows)),
    )
