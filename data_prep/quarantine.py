"""``quarantine.json``: the cases that were not imported into a dataset, with the reasons.

The screen shows a finding with its file and its detail. ``quarantine.json`` names the case as the dataset does, and no
file.
"""

from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from data_prep.findings import Finding
from data_prep.pseudonyms import Pseudonyms
from data_prep.sources.case import SourceCase


class Quarantine:
    """The findings of one import.

    Attributes:
        findings: the findings for the screen.
        rows: the findings for ``quarantine.json``.
    """

    def __init__(self, folder: Path, pseudonyms: Pseudonyms) -> None:
        self.findings: list[Finding] = []
        self.rows: list[dict[str, str]] = []
        self.folder_id = pseudonyms.path_id(str(folder.resolve()))
        self._folder = folder
        self._pseudonyms = pseudonyms

    def add_case(self, case: SourceCase, findings: list[Finding]) -> None:
        """Quarantine a case with its findings."""
        for finding in findings:
            self._add(self._pseudonyms.case_id(case), finding)

    def add_file(self, finding: Finding) -> None:
        """Quarantine a file or folder that belongs to no case."""
        self._add(self.file_id(finding), finding)

    def file_id(self, finding: Finding) -> str:
        """The name of a finding's file, used in place of a case's name."""
        return self._pseudonyms.path_id(self._relative(Path(finding.file)).as_posix())

    def _add(self, name: str, finding: Finding) -> None:
        # If ids are hashed, the detail is left out, because it may hold the names that the hashes hide.
        problem = finding.full_problem if self._pseudonyms.key is None else finding.problem
        self.findings.append(finding)
        self.rows.append({"case": name, "folder": self.folder_id, "problem": problem, "advice": finding.advice})

    def _relative(self, path: Path) -> Path:
        return path.relative_to(self._folder) if path.is_relative_to(self._folder) else path


def read_quarantine(dataset: Path) -> list[dict[str, str]]:
    """Read the rows of a dataset's ``quarantine.json``; none if there is no such file.

    Raises:
        InputError: if the file does not hold a list of findings.
    """
    path = dataset / "quarantine.json"
    if not path.exists():
        return []
    rows = read_json(path).get("findings")
    if not isinstance(rows, list) or any(not isinstance(row, dict) or {"case", "problem"} - row.keys() for row in rows):
        raise InputError(f"{path}: is no list of findings; remove it, the next import finds them again")
    return rows


def write_quarantine(dataset: Path, rows: list[dict[str, str]]) -> None:
    """Write ``quarantine.json``, or remove it if there are no rows."""
    path = dataset / "quarantine.json"
    if rows:
        write_json(path, {"findings": sorted(rows, key=lambda row: (row["case"], row["problem"]))})
    else:
        path.unlink(missing_ok=True)
