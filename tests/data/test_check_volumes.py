"""The check of volumes ahead of evaluation and inference."""

import gzip

import nibabel
import numpy as np
import pytest

from custom_components.data import check_volumes
from custom_components.foundation.errors import InputError


def save(path, shape=(6, 5, 4), dtype=np.float32):
    nibabel.save(nibabel.Nifti1Image(np.arange(np.prod(shape)).reshape(shape).astype(dtype), np.eye(4)), path)
    return path


@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 1), (6, 5, 4, 1), (6, 5, 4, 1, 1)])
@pytest.mark.parametrize("name", ["case.nii", "case.nii.gz"])
def test_one_volume_is_fit(tmp_path, shape, name):
    check_volumes([save(tmp_path / name, shape)])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_grey_values_of_any_type_are_fit(tmp_path, dtype):
    check_volumes([str(save(tmp_path / "case.nii.gz", dtype=dtype))])


@pytest.mark.parametrize(
    ("edges", "change", "message"),
    [
        (
            (80, 80, 80),
            lambda image: image.header.set_xyzt_units("micron"),
            "is not in mm but in another unit of length",
        ),
        (
            (1, 1, 1),
            lambda image: image.affine.__setitem__((0, 1), 0.2),
            "is sheared, two of its axes meet at 78.69 degrees",
        ),
    ],
)
def test_what_would_lie_elsewhere_is_named(tmp_path, edges, change, message):
    # 80 microns are a voxel that an MRI may have.
    image = nibabel.Nifti1Image(np.arange(120.0).reshape(6, 5, 4), np.diag([*edges, 1.0]))
    change(image)
    nibabel.save(image, tmp_path / "case.nii.gz")
    with pytest.raises(InputError, match=rf"\A{tmp_path}/case\.nii\.gz: {message}"):
        check_volumes([tmp_path / "case.nii.gz"])


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_the_middle(path):
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + b"\xff" * 100 + content[half + 100 :])


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("case.nii.gz", cut_in_half),
        ("case.nii", cut_in_half),
        ("case.nii.gz", spoil_the_middle),
        ("case.nii.gz", lambda path: path.write_text("no NIfTI")),
        ("case.nii.gz", lambda path: path.write_bytes(gzip.compress(b"no NIfTI"))),
        ("case.nii", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_damaged_file_is_named_among_good_ones(tmp_path, name, spoil):
    good, bad = save(tmp_path / "good.nii.gz"), save(tmp_path / name, (40, 40, 40))
    spoil(bad)
    with pytest.raises(InputError, match=rf"\A{bad}: is .+; (copy|export) it again"):
        check_volumes([good, bad])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    voxels = np.zeros((6, 5, 4), np.float32)
    voxels[1, 2, 3] = value
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "case.nii.gz")
    with pytest.raises(InputError, match=r"\A\S+/case.nii.gz: holds voxels that are NaN or infinite"):
        check_volumes([tmp_path / "case.nii.gz"])
