"""Import of one case in a worker process: the case is read, checked, and written into the staging folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.foundation.nifti import Volume
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
        name: the case's name in the dataset.
        patient: the patient's name in the dataset.
        folder: the raw folder's name in the dataset.
        origin: hash of the case's original files, see :meth:`Pseudonyms.origin`.
        case: the case as its source describes it.
    """

    name: str
    patient: str
    folder: str
    origin: str
    case: SourceCase


@dataclass(frozen=True)
class ImportedCase:
    """The result of importing a case.

    Attributes:
        entry: the case's entry in ``dataset.json``; None if the case has findings and was not written.
        findings: the reasons why the case was not imported.
        labels: the labels of the prostate in the source's mask; None without a mask.
        is_rounded: whether the mask's values were rounded to these labels.
    """

    entry: dict[str, Any] | None
    findings: list[Finding]
    labels: tuple[int, ...] | None = None
    is_rounded: bool = False


def import_case(task: CaseImport, staging: Path, keep_source: bool, n4: bool) -> ImportedCase:
    """Write a case without faults into ``staging``: the unchanged (or N4 corrected) image, and the mask as uint8 0/1.

    Args:
        task: the case.
        staging: folder for its files.
        keep_source: whether the case's entry names its place in the raw folder.
        n4: whether to correct the bias field.
    """
    checked = check_case(task.case)
    if checked.findings:
        return ImportedCase(None, checked.findings)
    image, label = checked.image, checked.label
    if n4:
        # itk is imported here because it takes seconds to load, and few imports need it.
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
        # The mask gets the image's affine: the two differed only by rounding, and are equal from here on.
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
