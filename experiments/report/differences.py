"""A table of each student's paired differences: over all cases, at each site, and the least that the study can show."""

from collections.abc import Sequence

from experiments.report.comparison import Comparison, comparisons, over_teachers, smallest_difference
from experiments.report.study import StudyRecord
from reporting.blocks import Block, Note
from reporting.table import NOTHING, Line, Table


def student_differences(study: StudyRecord) -> list[Block]:
    """The differences of each student to its network trained alone, and to its only teacher; empty without any."""
    found = comparisons(study) + over_teachers(study)
    if not found or study.has_new_sites:  # the section of the new sites has a table of its own
        return []
    note = (
        "Each figure is a paired difference of Dice in points. A case with several seeds counts once, with its mean "
        "over the seeds; the 95 % bootstrap interval is over the cases. “shown from” is the smallest true difference "
        "that would show in four of five such studies, with this number of cases and this spread over them."
    )
    return [_table(found), Note(note)]


def _table(found: Sequence[Comparison]) -> Table:
    sites = sorted({site for one in found for site in one.student.cases.values()})
    columns = ["student", "minus", "difference (95 % interval)", "shown from", *sites, "cases", "seeds"]
    lines = [
        Line(
            [
                one.student.label,
                one.baseline.label,
                f"{one.difference:+.1f} ({one.low:+.1f} to {one.high:+.1f})",
                f"{smallest_difference(one.spread, one.cases):.1f}" if one.cases > 1 else NOTHING,
                *(_at_site(site, one) for site in sites),
                str(one.cases),
                str(one.seeds),
            ],
            "student",
        )
        for one in found
    ]
    return Table(columns, lines, texts=2)


def _at_site(site: str, one: Comparison) -> str:
    cases = [case for case, own in one.student.cases.items() if own == site and case in one.baseline.cases]
    if not cases:
        return NOTHING
    return f"{100 * (one.student.mean_dice(cases) - one.baseline.mean_dice(cases)).mean():+.1f}"
