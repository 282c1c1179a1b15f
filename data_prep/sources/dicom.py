"""DICOM as a hospital exports it: a folder tree of studies in any order, with or without masks (SEG, RTSTRUCT).

Each study gives one case, its axial T2w series. ``python -m data_prep series`` shows the picked series and the reasons.
"""

import hashlib
import itertools
import re
from functools import partial
from pathlib import Path

from custom_components.foundation.errors import InputError
from data_prep.dicom import Scan, Series, SeriesChoice, Study, read_series, scan_folder, scan_tree, select_series
from data_prep.dicom.headers import begins_as_dicom
from data_prep.dicom.masks import MaskFile, choose_mask, read_mask, read_mask_file
from data_prep.findings import Finding, findings_of
from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceCase, SourceOptions, require_site

NAME = "dicom"
FILES_TO_TRY = 20


def recognises(tree: FolderTree) -> bool:
    """Whether one of the first files begins as DICOM does."""
    return any(begins_as_dicom(path) for path in itertools.islice(tree.files, FILES_TO_TRY))


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List one case for each study.

    Raises:
        InputError: if no site is given, or an option is wrong, such as a folder of masks without masks.
    """
    folder = tree.root
    site = require_site(folder, site)
    choice = SeriesChoice(options.series, options.tie)
    scan = scan_tree(tree)
    listing = Listing(findings=scan.findings)
    if scan.others:
        listing.notes.append(f"ignored as no DICOM: {len(scan.others)}, such as {scan.others[0].relative_to(folder)}")
    apart = _scan_masks(options.masks) if options.masks else Scan()
    # The folder of masks may lie within the imported folder.
    masks = _read_mask_files(list(dict.fromkeys(scan.mask_files + apart.mask_files)), listing)
    picked = [series for study in scan.studies if (series := _pick(study, choice, listing))]
    short = _folders_with_damage(scan)
    listing.findings += [finding for finding in apart.findings if finding not in listing.findings]
    for series in picked:
        if any(path.parent in short for path in series.files):
            problem = "its series may lack the damaged file beside it"
            listing.findings.append(Finding(str(series.files[0]), problem, "restore that file"))
            continue
        try:
            listing.cases.append(_case(series, masks, folder, site))
        except InputError as error:
            listing.findings += findings_of(error, series.files[0])
    for file in masks:
        if not any(file.is_of(series) for series in picked):
            listing.notes.append(f"{file.path.name}: {file.modality} of a series that was not picked")
    return listing


def _scan_masks(folder: Path) -> Scan:
    if not folder.is_dir():
        raise InputError(f"--masks {folder}: no such folder")
    scan = scan_folder(folder)
    if not scan.mask_files:
        damaged = f", and {len(scan.findings)} damaged files" if scan.findings else ""
        raise InputError(f"--masks {folder}: holds no DICOM SEG or RTSTRUCT{damaged}; check the path")
    return scan


def _folders_with_damage(scan: Scan) -> set[Path]:
    """Folders with a damaged file and one study: the file may be a slice of that study, and a missing end slice leaves
    no gap.

    If a folder holds several studies, the damaged file's study is unknown, and no study is held back.
    """
    studies: dict[Path, set[str]] = {}
    for study in scan.studies:
        for path in (path for series in study.series for path in series.files):
            studies.setdefault(path.parent, set()).add(study.uid)
    damaged = {Path(finding.file).parent for finding in scan.findings}
    return {folder for folder in damaged if len(studies.get(folder, ())) == 1}


def _read_mask_files(paths: list[Path], listing: Listing) -> list[MaskFile]:
    files = []
    for path in paths:
        try:
            files.append(read_mask_file(path))
        except InputError as error:
            listing.findings += findings_of(error, path)
    return files


def _pick(study: Study, choice: SeriesChoice, listing: Listing) -> Series | None:
    if all(series.first.modality != "MR" for series in study.series):
        listing.notes.append(f"{study.patient_id}: a study without MR")
        return None
    selection = select_series(study.series, choice)
    listing.notes += [
        f"{study.patient_id}: series {series.name}: {reason}"
        for series, reason in selection.reasons
        if series is not selection.picked
    ]
    if selection.problem:
        advice = f"look with 'python -m data_prep series', then {choice.advice}"
        listing.findings.append(Finding(str(study.series[0].files[0]), f"its study {selection.problem}", advice))
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
