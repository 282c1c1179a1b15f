"""A fault found in the data, in the three parts that a person or a program needs."""

from dataclasses import asdict, dataclass

from custom_components.errors import InputError

# Exit code of a command that did its work and found faults in the data.
SOME_FINDINGS = 3


@dataclass(frozen=True)
class Finding:
    """One fault: which file, what is wrong, what to do."""

    file: str
    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.advice}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_error(cls, error: InputError) -> "Finding":
        """The finding of an error written 'file: problem; advice'."""
        file, _, rest = str(error).partition(": ")
        problem, _, advice = rest.rpartition("; ")
        return cls(file, problem, advice) if problem else cls(file, rest, "check the path")
