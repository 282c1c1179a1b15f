import gzip

import nibabel
import numpy as np
import pytest

from custom_components.errors import InputError
from custom_components.nifti import Volume, is_nifti_name, read_volume, volume_name
from data_prep.volumes import write_volume

AFFINE = np.diag([-0.5, -0.5, 3.0, 1.0])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "int64", "float32", "float64"])
def test_a_volume_survives_writing_and_reading(tmp_path, dtype):
    volume = Volume(np.arange(24).reshape(2, 3, 4).astype(dtype), AFFINE)
    write_volume(tmp_path / "v.nii.gz", volume)
    again = read_volume(tmp_path / "v.nii.gz")
    assert again.voxels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    np.testing.assert_allclose(again.affine, AFFINE)
    assert again.spacing_mm == [0.5, 0.5, 3.0]


def test_scaled_images_become_float32(tmp_path):
    image = nibabel.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "v.nii.gz")
    # nibabel resets the slope of what it saves, so it is written into the header's bytes (scl_slope is at 112).
    data = bytearray(gzip.decompress((tmp_path / "v.nii.gz").read_bytes()))
    data[112:120] = np.array([0.5, 10], "<f4").tobytes()
    (tmp_path / "v.nii").write_bytes(data)
    volume = read_volume(tmp_path / "v.nii")
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels.ravel(), np.arange(8) * 0.5 + 10)


def test_equal_volumes_give_equal_bytes_whatever_the_file_is_called(tmp_path):
    volume = Volume(np.ones((2, 2, 2), np.uint8), AFFINE)
    write_volume(tmp_path / "a.nii.gz", volume)
    write_volume(tmp_path / "b.nii.gz", volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_last_axis_of_one_is_dropped(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 1), np.int16), AFFINE), tmp_path / "v.nii.gz")
    assert read_volume(tmp_path / "v.nii.gz").voxels.shape == (3, 4, 5)


def _four_dimensional(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), np.int16), AFFINE), path)


def _complex(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.complex64), AFFINE), path)


def _text(path):
    path.write_text("not an image")


def _truncated(path):
    noise = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(noise, AFFINE), path)
    path.write_bytes(path.read_bytes()[:4000])


def _truncated_before_compression(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((20, 20, 20), np.int16), AFFINE), path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:2000]))


def _two_dimensional(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 5), np.int16), AFFINE), path)


def _with_header(**fields):
    """A volume of 3x4x5 whose header is then changed where it lies in the file."""

    def make(path):
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), AFFINE), path)
        data = gzip.decompress(path.read_bytes())
        header = np.frombuffer(data[:348], nibabel.nifti1.header_dtype).copy()
        for field, value in fields.items():
            header[field] = value
        path.write_bytes(gzip.compress(header.tobytes() + data[348:]))

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_two_dimensional, r"has 2 dimensions \(6, 5\); export one 3-D volume"),
        (_with_header(datatype=9999), "is not a NIfTI file"),
        (_with_header(dim=[3, 30000, 30000, 3000, 1, 1, 1, 1]), "says its shape is"),
        (_with_header(dim=[3, 3, 4, 0, 1, 1, 1, 1]), "says its shape is"),
        (_with_header(srow_x=[np.nan] * 4), "has an affine that spans no volume"),
        (_with_header(srow_z=[0, 0, 0, 0]), "has an affine that spans no volume"),
        (_four_dimensional, r"has 4 dimensions \(3, 4, 5, 2\); export one 3-D volume"),
        (_complex, "complex64 voxels"),
        (_text, "is not a NIfTI file"),
        (_truncated, "is truncated or damaged"),
        (_truncated_before_compression, "is truncated or damaged"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, message):
    path = tmp_path / "Case07.nii.gz"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read_volume(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_endings_in_capitals_are_read_or_told(tmp_path):
    saved = nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
    nibabel.save(saved, tmp_path / "a.nii.gz")
    for ending in (".NII.GZ", ".NII.gz", ".nii.Gz"):
        path = (tmp_path / "a.nii.gz").rename(tmp_path / f"a{ending}")
        assert read_volume(path).voxels.sum() == 8
        assert (is_nifti_name(path), volume_name(path)) == (True, "a")
        path.rename(tmp_path / "a.nii.gz")
    mixed = (tmp_path / "a.nii.gz").rename(tmp_path / "a.Nii.gz")
    with pytest.raises(
        InputError, match=r"\A.*/a.Nii.gz: ends in capital and small letters; call it .nii or .nii.gz\Z"
    ):
        read_volume(mixed)


@pytest.mark.parametrize("name", ["._a.nii", ".nii", "a.nii.txt", "nii.gz", "a.gz"])
def test_no_name_of_a_nifti(name):
    assert not is_nifti_name(name)


def test_the_name_of_a_volume_keeps_its_points():
    assert volume_name("/x.nii/a.nii.b.v1.nii.gz") == "a.nii.b.v1"
