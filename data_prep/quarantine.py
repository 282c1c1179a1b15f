"""``quarantine.json``: the cases that were not taken into a dataset, and why.

The user sees a finding with its file and detail; the dataset keeps it under the case's name in the dataset alone.
"""

from pathlib import Path

from custom_components.files import read_json, write_json
from data_prep.findings import Finding
from data_prep.pseudonyms import Pseudonyms
from data_prep.sources.case import SourceCase


class Quarantine:
    """The findings of one import.

    Attributes:
        findings: as the user sees them.
        rows: as the dataset keeps them.
    """

    def __init__(self, folder: Path, pseudonyms: Pseudonyms) -> None:
        self.findings: list[Finding] = []
        self.rows: list[dict[str, str]] = []
        self.folder_id = pseudonyms.path_id(str(folder.resolve()))
        self._folder = folder
        self._pseudonyms = pseudonyms

    def add_case(self, case: SourceCase, findings: list[Finding]) -> None:
        """Put a case away for its findings."""
        for finding in findings:
            self._add(self._pseudonyms.case_id(case), finding)

    def add_file(self, finding: Finding) -> None:
        """Put away what makes no case at all."""
        self._add(self.file_id(finding), finding)

    def file_id(self, finding: Finding) -> str:
        """What stands for the case's name where there is no case."""
        return self._pseudonyms.path_id(self._relative(Path(finding.file)).as_posix())

    def _add(self, name: str, finding: Finding) -> None:
        # Without the detail where ids are hashed: it may hold the names that the hashes hide.
        problem = finding.full_problem if self._pseudonyms.key is None else finding.problem
        self.findings.append(finding)
        self.rows.append({"case": name, "folder": self.folder_id, "problem": problem, "advice": finding.advice})

    def _relative(self, path: Path) -> Path:
        return path.relative_to(self._folder) if path.is_relative_to(self._folder) else path


def read_quarantine(dataset: Path) -> list[dict[str, str]]:
    """The rows of a dataset's ``quarantine.json``; none when there is no such file."""
    path = dataset / "quarantine.json"
    return read_json(path)["findings"] if path.exists() else []


def write_quarantine(dataset: Path, rows: list[dict[str, str]]) -> None:
    """Write ``quarantine.json``, or take it away when nothing is quarantined any more."""
    path = dataset / "quarantine.json"
    if rows:
        write_json(path, {"findings": sorted(rows, key=lambda row: (row["case"], row["problem"]))})
    else:
        path.unlink(missing_ok=True)
