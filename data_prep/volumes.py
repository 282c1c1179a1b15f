"""Writing of NIfTI files whose bytes depend on the content alone."""

import gzip
from pathlib import Path

import nibabel

from custom_components.foundation.nifti import Volume


def write_volume(path: Path, volume: Volume) -> None:
    """Write voxels (H, W, D) as ``.nii.gz`` without text, time stamp or file name: equal volumes give equal bytes."""
    image = nibabel.Nifti1Image(volume.voxels, volume.affine, dtype=volume.voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    image.set_qform(volume.affine, code="scanner")
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as stream,
    ):
        stream.write(image.to_bytes())
