"""One case: read, checked, and written where the import picks it up. This is what a worker process does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.errors import InputError
from custom_components.files import file_sha256
from custom_components.nifti import Volume
from data_prep.checks import check_case
from data_prep.dataset_writer import staged
from data_prep.files import voxel_sha256
from data_prep.findings import Finding
from data_prep.sources.case import SourceCase
from data_prep.volumes import write_volume


@dataclass(frozen=True)
class CaseImport:
    """A case to import.

    Attributes:
        name: its name in the dataset.
        patient: its patient's name in the dataset.
        folder: the raw folder's name in the dataset.
        origin: hash of what it is made from.
        case: the case as its source has it.
    """

    name: str
    patient: str
    folder: str
    origin: str
    case: SourceCase


@dataclass(frozen=True)
class ImportedCase:
    """What became of a case.

    Attributes:
        entry: its entry in ``dataset.json``; None when it has findings, and nothing was written.
        findings: why it was not taken.
        labels: the prostate's values in the source's mask; None without a mask.
        is_rounded: whether the mask's values were rounded to these.
    """

    entry: dict[str, Any] | None
    findings: list[Finding]
    labels: tuple[int, ...] | None = None
    is_rounded: bool = False


def import_case(task: CaseImport, staging: Path, keep_source: bool, n4: bool) -> ImportedCase:
    """Write a case without faults into ``staging``: the image as it is (or N4 corrected), the mask as uint8 0/1.

    Args:
        task: the case.
        staging: folder for its files.
        keep_source: whether its entry tells where in the raw folder it lay.
        n4: whether to correct the bias field.
    """
    checked = check_case(task.case)
    if checked.findings:
        return ImportedCase(None, checked.findings)
    image, label = checked.image, checked.label
    if n4:
        # Imported here: itk takes seconds to load, and few imports need it.
        from data_prep.bias_field import correct_bias_field

        try:
            image = correct_bias_field(image)
        except InputError as error:
            advice = "take it out, or import everything without --n4"
            finding = Finding(str(task.case.image), "cannot be corrected", advice, str(error))
            return ImportedCase(None, [finding])

    image_file, label_file = (staged(staging, task.name, kind) for kind in ("image", "label"))
    write_volume(image_file, image)
    labels = None
    if label is not None:
        labels = tuple(int(value) for value in np.unique(label.voxels) if value > 0)
        # The mask takes the image's affine: the two agree but for their rounding, from here on exactly.
        write_volume(label_file, Volume((label.voxels > 0).astype(np.uint8), image.affine))
    entry = {
        "case": task.name,
        "site": task.case.site,
        "patient": task.patient,
        "image": f"images/{task.name}.nii.gz",
        "label": f"labels/{task.name}.nii.gz" if label is not None else None,
        "shape": list(image.voxels.shape),
        "spacing_mm": image.spacing_mm,
        "image_sha256": file_sha256(image_file),
        "label_sha256": file_sha256(label_file) if label is not None else None,
        "voxel_sha256": voxel_sha256(image.voxels),
        "folder": task.folder,
        "origin": task.origin,
    }
    if keep_source:
        entry["source"] = task.case.source
    return ImportedCase(entry, [], labels, checked.is_rounded)
