"""A fault found in the data, in the parts that a person or a program needs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from custom_components.errors import InputError

# Exit code of a command that did its work and found faults in the data.
SOME_FINDINGS = 3
ERROR = re.compile(r"(?P<problem>(?:(?! \()[^;:])+)(?: \((?P<detail>.*?)\))?(?:; (?P<advice>[^;]*))?")


@dataclass(frozen=True)
class Finding:
    """One fault: which file, what is wrong, what to do.

    Attributes:
        file: for the screen alone.
        problem: a fixed sentence with numbers at most; no word of it comes from a path, a tag or a library.
        advice: as fixed as the problem.
        detail: all else that helps the user; names of patients may be in it.
    """

    file: str
    problem: str
    advice: str
    detail: str = ""

    @property
    def full_problem(self) -> str:
        """Problem and detail."""
        return f"{self.problem} ({self.detail})" if self.detail else self.problem

    def __str__(self) -> str:
        return f"{self.file}: {self.full_problem}; {self.advice}"

    def as_dict(self) -> dict[str, str]:
        return {"file": self.file, "problem": self.full_problem, "advice": self.advice}


def findings_of(error: InputError, files: Iterable[Path]) -> list[Finding]:
    """The finding in each line of an error: ``file: problem (detail); advice``, about one of ``files``.

    Only known files are cut off, since a path may hold ``: `` itself; a line that is written otherwise is all detail.
    """
    names = sorted({str(path) for path in files}, key=len, reverse=True)
    return [_finding_of(line, names) for line in str(error).splitlines()]


def _finding_of(line: str, names: list[str]) -> Finding:
    file = next((name for name in names if line.startswith(f"{name}: ")), None)
    match = ERROR.fullmatch(line.removeprefix(f"{file}: ")) if file else None
    if match is None:
        return Finding(file or names[0], "cannot be used", "mend what is said of it", line)
    return Finding(file, match["problem"], match["advice"] or "check the path", match["detail"] or "")
