"""I2CVB: ``<patient>/T2W/*.dcm`` with the masks as DICOM in ``<patient>/GT/prostate/*.dcm``.

Lemaître et al., "Computer-Aided Detection and diagnosis for prostate cancer based on mono and multi-parametric MRI: a
review" (2015), https://i2cvb.github.io.
"""

from functools import partial
from pathlib import Path

from data_prep.sources.case import Listing, SourceCase, SourceOptions

NAME = "i2cvb"
SITE = "I2CVB"
# Masks are stored as 1 or, as a picture, 255.
LABELS = frozenset({0, 1, 255})


def recognises(folder: Path) -> bool:
    """Whether a patient has both folders."""
    return any(_below(patient, "gt", "prostate") for patient in _patients(folder))


def find_cases(folder: Path, site: str | None, options: SourceOptions) -> Listing:
    """List the patients' folders."""
    # Imported here: the decoders of DICOM take a while to load.
    from data_prep.sources.series_folder import files_below, read_series_folder

    listing = Listing()
    for patient in _patients(folder):
        image, label = _below(patient, "t2w"), _below(patient, "gt", "prostate")
        listing.cases.append(
            SourceCase(
                site=site or SITE,
                name=patient.name,
                patient=patient.name,
                source=image.relative_to(folder).as_posix(),
                image=image,
                label=label,
                files=files_below(image) + (files_below(label) if label else ()),
                read_image=partial(read_series_folder, image),
                read_label=partial(read_series_folder, label) if label else None,
                labels=LABELS,
            )
        )
    return listing


def _patients(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob("*") if path.name.casefold() == "t2w" and path.is_dir())


def _below(folder: Path, *names: str) -> Path | None:
    """The folder of these names below a folder, in any capitals."""
    for name in names:
        folder = next(
            (path for path in sorted(folder.iterdir()) if path.name.casefold() == name and path.is_dir()), None
        )
        if folder is None:
            return None
    return folder
