"""Segment NIfTI volumes and write their masks."""

import sys
from collections.abc import Sequence
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume, is_nifti_name, volume_name, voxel_mm3
from custom_components.foundation.volumes import (
    check_volumes,
    list_volumes,
    read_fit_volume,
    require_volumes,
    write_mask,
)
from student_runner.student import Student

MM3_PER_ML = 1000


def segment_file(student: Student, image: Path, out: Path) -> None:
    """Segment one volume.

    Args:
        student: the opened student.
        image: a NIfTI.
        out: the file of the mask if the name ends as a NIfTI's does; otherwise the folder for the mask.

    Raises:
        InputError: if the volume cannot be segmented, or if the mask would replace it.
        WriteError: if the mask cannot be written.
    """
    mask = out if is_nifti_name(out) and not out.is_dir() else out / f"{volume_name(image)}.nii.gz"
    _require_other_files([image], [mask])
    print(_segment(student, image, read_fit_volume(image), mask))


def segment_folder(student: Student, folder: Path, out: Path) -> None:
    """Segment all volumes of a folder. All are read once before the first is segmented.

    Raises:
        InputError: if there is no volume, if one cannot be segmented, or if a mask would replace a volume.
        WriteError: if a mask cannot be written.
    """
    from tqdm import tqdm  # imported here: one volume does not need it

    images = [Path(path) for path in list_volumes(folder)]
    require_volumes(folder, images)
    if is_nifti_name(out) and not out.is_dir():
        raise InputError("is the name of one file", out, f"{folder} holds {len(images)} volumes; give a folder")
    masks = [out / f"{volume_name(image)}.nii.gz" for image in images]
    _require_other_files(images, masks)
    check_volumes(images)
    bar = tqdm(images, "segmenting", unit="volume", disable=None)
    for image, mask in zip(bar, masks, strict=True):
        bar.write(_segment(student, image, read_fit_volume(image), mask))


def _segment(student: Student, image: Path, volume: Volume, mask: Path) -> str:
    segmented = student.segment(volume)
    write_mask(mask, segmented.mask, volume.affine)
    if segmented.warning:
        print(f"warning: {image}: {segmented.warning}", file=sys.stderr)
    volume_ml = float(segmented.mask.sum()) * voxel_mm3(volume.affine) / MM3_PER_ML
    return f"{mask}: prostate {volume_ml:.1f} ml"


def _require_other_files(images: Sequence[Path], masks: Sequence[Path]) -> None:
    """Refuse to write a mask in the place of an image."""
    taken = {image.resolve() for image in images}
    for mask in masks:
        if mask.resolve() in taken:
            raise InputError("the mask would replace this image", mask, "write it into another folder")
