"""Finding of the series in a folder tree; only headers are read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.uid import MediaStorageDirectoryStorage
from tqdm import tqdm

from custom_components.foundation.errors import InputError
from data_prep.dicom.headers import TAGS, NotDicomError, Slice, begins_as_dicom, parsing, read_dataset, slices_of
from data_prep.dicom.values import text
from data_prep.findings import Finding, FindingsError, findings_of
from data_prep.folder_tree import FolderTree, read_tree

# A file with this ending that is not DICOM counts as damaged.
DICOM_SUFFIXES = (".dcm", ".ima")
MASK_MODALITIES = ("SEG", "RTSTRUCT")


@dataclass(frozen=True)
class Series:
    """The unordered slices of one series, or of one stack if an enhanced image has several stacks."""

    slices: tuple[Slice, ...]

    @property
    def first(self) -> Slice:
        """One slice, for the values that all slices share: patient, study, description."""
        return self.slices[0]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the series, each once, sorted by name."""
        return tuple(sorted({piece.path for piece in self.slices}))

    @property
    def name(self) -> str:
        """The name of the series on screen: number, stack and description."""
        stack = f" stack {self.first.stack}" if self.first.stack else ""
        number = "?" if self.first.number is None else self.first.number
        return f"{number}{stack} {self.first.description}".rstrip()


@dataclass(frozen=True)
class Study:
    """The series of one study, sorted by number."""

    uid: str
    patient_id: str
    series: tuple[Series, ...]


@dataclass
class Scan:
    """The content of a folder tree.

    Attributes:
        studies: the studies, in the order of their first file.
        mask_files: the files of the modalities SEG and RTSTRUCT.
        findings: DICOM files that could not be read, empty files, and folders and links that could not be followed.
        others: files that are not DICOM.
    """

    studies: list[Study] = field(default_factory=list)
    mask_files: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def scan_folder(folder: Path) -> Scan:
    """Read the header of every DICOM file below a folder, as :func:`scan_tree`.

    Raises:
        InputError: if there is no such folder, or the folder itself cannot be read.
    """
    return scan_tree(read_tree(folder))


def scan_tree(tree: FolderTree) -> Scan:
    """Read the header of every DICOM file of a tree, whatever the file's name is; a DICOMDIR is skipped."""
    scan = Scan(findings=tree.findings + unfinished_findings(tree))
    headers = read_headers(tqdm(tree.files, "reading headers", unit="file", disable=None, leave=False))
    scan.studies = [study_of(pieces) for pieces in headers.slices.values()]
    scan.mask_files, scan.others = headers.mask_files, headers.others
    scan.findings += headers.findings
    return scan


@dataclass
class Headers:
    """The headers of some files.

    Attributes:
        slices: the slices of each study, in the order of the files; by the UID of the study.
        mask_files: as in :class:`Scan`.
        findings: the DICOM files that could not be read, and empty files.
        others: as in :class:`Scan`.
    """

    slices: dict[str, list[Slice]] = field(default_factory=dict)
    mask_files: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def read_headers(files: Iterable[Path]) -> Headers:
    """Read the headers of files, DICOM or not; a DICOMDIR is skipped."""
    headers = Headers()
    for path in files:
        try:
            header = read_dataset(path, tags=TAGS)
            with parsing(path):
                is_index = header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
                is_mask = text(header, "Modality") in MASK_MODALITIES
            if is_index:
                continue
            if is_mask:
                headers.mask_files.append(path)
            else:
                for piece in slices_of(header, path):
                    headers.slices.setdefault(piece.study_uid, []).append(piece)
        except NotDicomError as error:
            if path.suffix.lower() in DICOM_SUFFIXES or path.stat().st_size == 0:
                headers.findings += findings_of(error, path)
            else:
                headers.others.append(path)
        except InputError as error:
            headers.findings += findings_of(error, path)
    return headers


def unfinished_findings(tree: FolderTree) -> list[Finding]:
    """The findings for the unfinished downloads of a tree that are DICOM."""
    problem = "is an unfinished download of a DICOM file"
    return [Finding(str(path), problem, "finish it, or remove it") for path in tree.unfinished if begins_as_dicom(path)]


def study_of(slices: Sequence[Slice]) -> Study:
    """The study of these slices, which are all its slices."""
    return Study(slices[0].study_uid, slices[0].patient_id, tuple(group_series(slices)))


def find_series(folder: Path) -> list[Series]:
    """Find every series below a folder.

    Raises:
        InputError: with one line for each damaged DICOM file, or if there is no DICOM image at all.
    """
    scan = scan_folder(folder)
    if scan.findings:
        raise FindingsError(scan.findings)
    if not scan.studies:
        raise InputError("holds no DICOM image", folder, advice="check the path")
    return [series for study in scan.studies for series in study.series]


def group_series(slices: Iterable[Slice]) -> list[Series]:
    """Group slices into series, sorted by number and stack."""
    groups: dict[tuple[str, str], list[Slice]] = {}
    for piece in slices:
        groups.setdefault((piece.series_uid, piece.stack), []).append(piece)
    series = [Series(tuple(group)) for group in groups.values()]
    return sorted(series, key=lambda one: (one.first.number or 0, one.first.stack))
