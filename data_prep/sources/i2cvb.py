"""The layout of I2CVB: ``<patient>/T2W/*.dcm``, with DICOM masks in ``<patient>/GT/prostate/*.dcm``.

Lemaître et al., "Computer-Aided Detection and diagnosis for prostate cancer based on mono and multi-parametric MRI: a
review" (2015), https://i2cvb.github.io.
"""

from functools import partial
from pathlib import Path

from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceCase, SourceOptions

NAME = "i2cvb"
SITE = "I2CVB"
# Masks are stored with the value 1 or, like pictures, with 255.
LABELS = frozenset({0, 1, 255})


def recognises(tree: FolderTree) -> bool:
    """Whether a patient has both folders."""
    return any(_below(tree, patient, "gt", "prostate") for patient in _patients(tree))


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the patients' folders."""
    # The DICOM decoders are imported here because they take some time to load.
    from data_prep.sources.series_folder import read_series_folder

    listing = Listing()
    found = [(_below(tree, patient, "t2w"), _below(tree, patient, "gt", "prostate")) for patient in _patients(tree)]
    files = tree.files_below(part for parts in found for part in parts if part)
    for image, label in found:
        patient = image.parent
        listing.cases.append(
            SourceCase(
                site=site or SITE,
                name=patient.name,
                patient=patient.name,
                source=image.relative_to(tree.root).as_posix(),
                image=image,
                label=label,
                files=files[image] + files.get(label, ()),
                read_image=partial(read_series_folder, image),
                read_label=partial(read_series_folder, label) if label else None,
                labels=LABELS,
            )
        )
    return listing


def _patients(tree: FolderTree) -> list[Path]:
    return sorted(path.parent for path in tree.folders if path.name.casefold() == "t2w")


def _below(tree: FolderTree, folder: Path, *names: str) -> Path | None:
    """The folder at the path ``names`` below a folder, in capital or small letters; None if there is none."""
    for name in names:
        named = (path for path in tree.children(folder) if path.name.casefold() == name)
        folder = next(filter(tree.is_folder, named), None)
        if folder is None:
            return None
    return folder
