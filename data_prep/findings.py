"""A finding: a fault in the data, in parts that people and programs can use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from custom_components.foundation.errors import InputError

# Exit code of a command that did its work and found faults in the data.
SOME_FINDINGS = 3


@dataclass(frozen=True)
class Finding:
    """One fault: the file, the problem, and the advice.

    Attributes:
        file: the file's path, for the screen only.
        problem: a fixed sentence, which may hold numbers, but no word from a path, a tag or a library.
        advice: a fixed sentence that says what to do.
        detail: other text that helps the user; it may hold the names of patients.
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


class FindingsError(InputError):
    """Several findings, one line each; ``findings`` holds them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.args = (findings,)
        self.findings = list(findings)


def findings_of(error: InputError, file: Path) -> list[Finding]:
    """Turn an error into findings.

    Args:
        error: the finding gets the error's fields. If the error has no ``where``, its sentence may hold private names,
            so the whole sentence becomes the detail.
        file: the file that was read. An error without ``where`` is about this file.
    """
    if isinstance(error, FindingsError):
        return error.findings
    if not error.where:
        return [Finding(str(file), "cannot be used", "correct the fault that the message names", str(error))]
    return [Finding(error.where, error.what, error.advice or "check the path", error.detail)]
