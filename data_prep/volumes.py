"""NIfTI out, with bytes that depend on nothing but the content, and masks on the grid of their image."""

import gzip
from pathlib import Path

import nibabel
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.nifti import Volume


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """``label`` with its axes turned and flipped to run as those of ``image``; no voxel is resampled."""
    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    affine = label.affine @ inv_ornt_aff(turn, label.voxels.shape)
    return Volume(apply_orientation(label.voxels, turn), affine)


def write_volume(path: Path, volume: Volume) -> None:
    """Write ``.nii.gz`` without header text, time stamp or file name: equal volumes give equal bytes."""
    image = nibabel.Nifti1Image(volume.voxels, volume.affine, dtype=volume.voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    image.set_qform(volume.affine, code="scanner")
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as stream,
    ):
        stream.write(image.to_bytes())
