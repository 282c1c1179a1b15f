"""DICOM as a hospital exports it: a folder tree of studies in any order, with or without masks (SEG, RTSTRUCT).

Each study gives one case, its axial T2w series. ``python -m data_prep series`` shows the picked series and the reasons.
"""

import contextlib
import hashlib
import itertools
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from custom_components.foundation.errors import InputError
from data_prep.dicom import Scan, Series, SeriesChoice, Study, read_series, scan_folder, select_series
from data_prep.dicom.headers import begins_as_dicom
from data_prep.dicom.masks import MaskFile, choose_mask, read_mask
from data_prep.dicom.series import study_of, unfinished_findings
from data_prep.findings import Finding, findings_of
from data_prep.folder_tree import FolderTree
from data_prep.parallel import in_processes
from data_prep.sources.archive_headers import ArchiveHeaders, StudyReader, in_parts
from data_prep.sources.case import Listing, SourceCase, SourceOptions, require_site
from data_prep.sources.stored_cases import StoredCases, pack, temporary_disk_error

NAME = "dicom"
FILES_TO_TRY = 20
STUDIES_AT_A_TIME = 16


def recognises(tree: FolderTree) -> bool:
    """Whether one of the first files begins as DICOM does."""
    return any(begins_as_dicom(path) for path in itertools.islice(tree.files, FILES_TO_TRY))


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions, jobs: int = 0) -> Listing:
    """List one case for each study. The cases lie in a file, because an archive may have many.

    Raises:
        InputError: if no site is given, or an option is wrong, such as a folder of masks without masks.
        WriteError: if the temporary folder is full.
    """
    site = require_site(tree.root, site)
    choice = SeriesChoice(options.series, options.tie)
    apart = _scan_masks(options.masks) if options.masks else Scan()
    try:
        with (
            tempfile.TemporaryDirectory() as scratch,
            contextlib.closing(ArchiveHeaders(Path(scratch, "headers.sqlite"))) as headers,
        ):
            headers.read(tree.files, jobs)
            # The folder of masks may lie within the imported folder.
            headers.add_masks(apart.mask_files)
            return _list(tree, site, choice, headers, apart, jobs)
    except sqlite3.Error as error:
        raise temporary_disk_error(error) from error


def _list(
    tree: FolderTree, site: str, choice: SeriesChoice, headers: ArchiveHeaders, apart: Scan, jobs: int
) -> Listing:
    cases = StoredCases()
    listing = Listing(cases, tree.findings + unfinished_findings(tree) + headers.findings)
    if headers.others:
        example = headers.first_other.relative_to(tree.root)
        listing.tell([f"ignored as no DICOM: {headers.others}, such as {example}"])
    damaged = {Path(finding.file).parent for finding in listing.findings}
    listing.findings += headers.mask_findings
    list_them = partial(
        _list_studies,
        file=headers.file,
        choice=choice,
        short=headers.folders_with_one_study(damaged),
        folder=tree.root,
        site=site,
    )
    of_cases: list[Finding] = []
    used: set[int] = set()
    for _, listed in in_processes(list_them, in_parts(headers.studies, STUDIES_AT_A_TIME), jobs):
        if not isinstance(listed, list):
            raise InputError(f"{tree.root}: listing its studies ended a process", advice="give fewer --jobs")
        for study in listed:
            if study.case is not None:
                cases.add(study.case)
            listing.findings += study.pick_findings
            of_cases += study.case_findings
            listing.tell(study.notes)
            used |= study.masks
    listing.findings += [finding for finding in apart.findings if finding not in listing.findings]
    listing.findings += of_cases
    for number, mask in headers.masks():
        if number not in used:
            listing.tell([f"{mask.path.name}: {mask.modality} of a series that was not picked"])
    return listing


@dataclass
class _ListedStudy:
    """One study as a worker lists it.

    Attributes:
        case: the packed case; None if the study gives none.
        pick_findings: the reason why no series was picked.
        case_findings: the faults of the picked series.
        notes: notes for the listing.
        masks: numbers of the masks that were drawn on the picked series.
    """

    case: bytes | None = None
    pick_findings: list[Finding] = field(default_factory=list)
    case_findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    masks: set[int] = field(default_factory=set)


def _list_studies(
    uids: Sequence[str], file: Path, choice: SeriesChoice, short: set[Path], folder: Path, site: str
) -> list[_ListedStudy]:
    """List some studies.

    Args:
        uids: UIDs of the studies.
        file: the file of :class:`ArchiveHeaders`.
        choice: the user's choice between series.
        short: folders with a damaged file that may be a slice of the only study there. A missing end slice leaves no
            gap. If a folder holds several studies, the damaged file's study is unknown, and no study is held back.
        folder: the archive.
        site: the site's name.
    """
    with StudyReader(file) as reader:
        return [_list_study(study_of(reader.slices(uid)), reader, choice, short, folder, site) for uid in uids]


def _list_study(
    study: Study, reader: StudyReader, choice: SeriesChoice, short: set[Path], folder: Path, site: str
) -> _ListedStudy:
    listed = _ListedStudy()
    series = _pick(study, choice, listed)
    if series is None:
        return listed
    masks = reader.masks_of(series)
    listed.masks |= masks.keys()
    if any(path.parent in short for path in series.files):
        problem = "its series may lack the damaged file beside it"
        listed.case_findings.append(Finding(str(series.files[0]), problem, "restore that file"))
        return listed
    try:
        listed.case = pack(_case(series, list(masks.values()), folder, site))
    except InputError as error:
        listed.case_findings += findings_of(error, series.files[0])
    return listed


def _scan_masks(folder: Path) -> Scan:
    if not folder.is_dir():
        raise InputError(f"--masks {folder}: no such folder")
    scan = scan_folder(folder)
    if not scan.mask_files:
        damaged = f", and {len(scan.findings)} damaged files" if scan.findings else ""
        raise InputError(f"--masks {folder}: holds no DICOM SEG or RTSTRUCT{damaged}; check the path")
    return scan


def _pick(study: Study, choice: SeriesChoice, listed: _ListedStudy) -> Series | None:
    if all(series.first.modality != "MR" for series in study.series):
        listed.notes.append(f"{study.patient_id}: a study without MR")
        return None
    selection = select_series(study.series, choice)
    listed.notes += [
        f"{study.patient_id}: series {series.name}: {reason}"
        for series, reason in selection.reasons
        if series is not selection.picked
    ]
    if selection.problem:
        advice = f"look with 'python -m data_prep series', then {choice.advice}"
        listed.pick_findings.append(Finding(str(study.series[0].files[0]), f"its study {selection.problem}", advice))
    return selection.picked


def _case(series: Series, masks: list[MaskFile], folder: Path, site: str) -> SourceCase:
    mask = choose_mask(series, masks)
    image = series.files[0]
    # The hash distinguishes a patient's studies, and does not change when another study is added.
    study = hashlib.sha256(series.first.study_uid.encode()).hexdigest()[:8]
    patient = re.sub(r"[^\w.-]+", "-", series.first.patient_id) or study
    return SourceCase(
        site=site,
        name=f"{patient}_{study}",
        patient=patient,
        source=image.relative_to(folder).as_posix(),
        image=image,
        label=mask.path if mask else None,
        files=(*series.files, *((mask.path,) if mask else ())),
        read_image=partial(read_series, series),
        read_label=partial(read_mask, mask) if mask else None,
        labels=frozenset({0, 1}),
    )
