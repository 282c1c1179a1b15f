"""Join the folds of a cross-validation: runs that differ only in the fold become one line of the report."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from custom_components.metrics import summarise
from custom_components.metrics.calibration import join_calibrations
from experiments.plan import without_fold
from experiments.report.run_record import RunRecord


@dataclass(frozen=True)
class JoinedRun(RunRecord):
    """The runs of a cross-validation that differ only in the fold, as one run.

    The score of a case comes from the run that has not seen the case in its training. Curves, provenance and weights
    are those of the first fold.

    Attributes:
        parts: the runs, in the order of the folds.
    """

    parts: tuple[RunRecord, ...] = ()

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """The scores of the evaluated folds together; None until one fold is evaluated."""
        done = [part.evaluation for part in self.parts if part.evaluation]
        if not done:
            return None
        cases = [case for own in done for case in own["cases"]]
        joined = {**done[0], "cases": cases, "summary": summarise(cases)}
        calibrations = [own["calibration"] for own in done if "calibration" in own]
        return {**joined, "calibration": join_calibrations(calibrations)} if calibrations else joined

    def prediction(self, case: str) -> Path:
        return next(part.prediction(case) for part in self.parts if case in part.cases)


def join_folds(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Join runs that differ only in the fold into one run, whose name has no fold. All other runs stay as they are."""
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(without_fold(run.name, run.fold), []).append(run)
    joined = []
    for name, parts in groups.items():
        first = parts[0]
        if not first.fold:
            joined += parts
            continue
        own = {field.name: getattr(first, field.name) for field in fields(RunRecord)}
        teachers = dict.fromkeys(without_fold(teacher, part.fold) for part in parts for teacher in part.teachers)
        own |= {"name": name, "teachers": [*teachers]}
        joined.append(JoinedRun(**own, parts=tuple(parts)))
    return joined
