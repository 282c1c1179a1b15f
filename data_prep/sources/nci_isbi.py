"""The layout of NCI-ISBI 2013: a DICOM folder for each patient, and an NRRD mask with the patient's name (1 peripheral
zone, 2 central gland).

Bloch et al., "NCI-ISBI 2013 Challenge: Automated Segmentation of Prostate Structures" (2015), doi
10.7937/K9/TCIA.2015.zF0vlOPv. ``Prostate3T`` patients are from Nijmegen (RUNMC in the multi-site data), ``ProstateDx``
patients from Boston (BMC).
"""

import re
from functools import partial
from pathlib import Path

from data_prep.findings import Finding
from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceCase, SourceOptions

NAME = "nci_isbi"
LABELS = frozenset({0, 1, 2})
PATIENT = re.compile(r"(?P<collection>Prostate3T|ProstateDx)-\d+-\d+", re.IGNORECASE)
SITES = {"prostate3t": "RUNMC", "prostatedx": "BMC"}


def recognises(tree: FolderTree) -> bool:
    """Whether an NRRD file has the name of a patient of the challenge."""
    return any(PATIENT.match(path.name) for path in _masks(tree))


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the patients' folders, each with the mask of the same name. ``site`` replaces the challenge's two sites."""
    # itk is imported here because it takes seconds to load.
    from data_prep.itk_volumes import read_itk_volume
    from data_prep.sources.series_folder import read_series_folder

    listing = Listing()
    masks: dict[str, Path] = {}
    for path in _masks(tree):
        match = PATIENT.match(path.name)
        if match is None:
            listing.notes.append(f"ignored, named like no patient: {path.relative_to(tree.root).as_posix()}")
        elif (first := masks.setdefault(match[0].casefold(), path)) != path:
            listing.findings.append(
                Finding(str(path), "is a second mask of its patient", "remove one of the two", f"beside {first.name}")
            )
    patients = sorted(path for path in tree.folders if PATIENT.fullmatch(path.name))
    files = tree.files_below(patients)
    for patient in patients:
        match = PATIENT.fullmatch(patient.name)
        label = masks.pop(match[0].casefold(), None)
        listing.cases.append(
            SourceCase(
                site=site or SITES[match["collection"].casefold()],
                name=patient.name,
                patient=patient.name,
                source=patient.relative_to(tree.root).as_posix(),
                image=patient,
                label=label,
                files=(*files[patient], *((label,) if label else ())),
                read_image=partial(read_series_folder, patient),
                read_label=partial(read_itk_volume, label) if label else None,
                labels=LABELS,
            )
        )
    for mask in masks.values():
        listing.findings.append(Finding(str(mask), "has no DICOM folder of its patient", "add it or take the mask out"))
    return listing


def _masks(tree: FolderTree) -> list[Path]:
    return sorted(path for path in tree.files if path.suffix.casefold() == ".nrrd")
