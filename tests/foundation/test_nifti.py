import gzip

import nibabel
import numpy as np
import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import (
    Volume,
    is_nifti_name,
    read_volume,
    require_millimetres,
    volume_name,
    voxel_mm3,
)
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
    # nibabel resets the slope when it saves. So the test writes it into the header's bytes (scl_slope is at 112).
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


def _with_header(affine=AFFINE, **fields):
    """Save a volume of 3x4x5, then change its header within the file."""

    def make(path):
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), affine), path)
        data = gzip.decompress(path.read_bytes())
        header = np.frombuffer(data[:348], nibabel.nifti1.header_dtype).copy()
        for field, value in fields.items():
            header[field] = value
        path.write_bytes(gzip.compress(header.tobytes() + data[348:]))

    return make


def _sheared(aside_mm):
    """An affine whose slices are 3 mm apart, and shifted along the columns by the given number of mm."""
    affine = AFFINE.copy()
    affine[1, 2] = aside_mm
    return affine


def _in_units(of_mm):
    """The numbers of AFFINE in another unit; a millimetre is ``of_mm`` of this unit."""
    return np.diag([of_mm, of_mm, of_mm, 1]) @ AFFINE


def _qform_alone(**fields):
    return _with_header(qform_code=1, sform_code=0, **fields)


@pytest.mark.parametrize(
    ("unit", "of_mm"),
    [
        (0, 1),  # unknown
        (2, 1),  # mm
        (1, 1e-3),  # metre
        (3, 1e3),  # micron
        (5, 1),  # no code of the standard
        (8, 1),  # seconds, and an unknown unit of length
        (8 | 1, 1e-3),  # seconds and metres
        (16 | 2, 1),  # milliseconds and mm
    ],
)
def test_every_unit_of_length_becomes_mm(tmp_path, unit, of_mm):
    path = tmp_path / "v.nii.gz"
    moved = AFFINE.copy()
    moved[:3, 3] = (40, -30, 12.5)
    _with_header(np.diag([of_mm, of_mm, of_mm, 1]) @ moved, xyzt_units=unit)(path)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, moved, rtol=1e-6)
    assert volume.spacing_mm == [0.5, 0.5, 3.0]
    assert voxel_mm3(volume.affine) == pytest.approx(0.75, rel=1e-6)
    write_volume(tmp_path / "again.nii.gz", volume)
    assert nibabel.load(tmp_path / "again.nii.gz").header.get_xyzt_units()[0] == "mm"
    if of_mm == 1:
        require_millimetres(path)
    else:
        with pytest.raises(InputError, match=r"\A\S+/v.nii.gz: is not in mm but in another unit of length"):
            require_millimetres(path)


@pytest.mark.parametrize(
    ("fields", "affine"),
    [
        # The sform decides, with any place in the qform and any signs and gaps of pixdim.
        ({"qform_code": 1, "qoffset_x": 77}, AFFINE),
        ({"pixdim": [1, np.nan, np.nan, np.nan, 1, 1, 1, 1]}, AFFINE),
        ({"pixdim": [1, -0.5, -0.5, -3, 1, 1, 1, 1]}, AFFINE),
        ({"pixdim": [1, 0, 0, 0, 1, 1, 1, 1]}, AFFINE),
        # Without an sform, the qform decides: half a turn about z, 40 mm to the right. Sizes have no sign.
        (
            {
                "sform_code": 0,
                "qform_code": 1,
                "quatern_d": 1,
                "qoffset_x": 40,
                "pixdim": [1, 0.5, -0.5, 3, 1, 1, 1, 1],
            },
            np.array([[-0.5, 0, 0, 40], [0, -0.5, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]),
        ),
    ],
)
def test_the_sform_decides_and_then_the_qform(tmp_path, capfd, fields, affine):
    _with_header(**fields)(tmp_path / "v.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "v.nii.gz").affine, affine, atol=1e-6)
    assert capfd.readouterr().err == ""  # nibabel would report its repairs


def test_a_volume_of_one_voxel_is_the_determinant():
    # The volume is turned by 30 degrees about x. Voxels of 0.5 x 0.7 x 3 mm have 1.05 mm3 in any direction.
    turn = np.deg2rad(30)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]) * (
        (-0.5, 0.7, 3)
    )
    assert voxel_mm3(affine) == pytest.approx(1.05)


def test_directions_of_few_decimals_are_no_shear(tmp_path):
    affine = _sheared(0.0029)  # 0.00097 of the 3 mm between slices
    _with_header(affine)(tmp_path / "v.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "v.nii.gz").affine, affine)


def test_a_file_without_rights_is_not_called_damaged(monkeypatch, tmp_path):
    path = tmp_path / "v.nii.gz"
    _with_header()(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    monkeypatch.undo()
    assert str(caught.value) == f"{path}: cannot be read (Permission denied); get the right to read it, or take it out"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_two_dimensional, r"has 2 dimensions \(6, 5\); export one 3-D volume"),
        (_with_header(datatype=9999), "is not a NIfTI file"),
        (_with_header(dim=[3, 30000, 30000, 3000, 1, 1, 1, 1]), "says its shape is"),
        (_with_header(dim=[3, 3, 4, 0, 1, 1, 1, 1]), "says its shape is"),
        (_with_header(srow_x=[np.nan] * 4), "has an affine that spans no volume"),
        (_with_header(srow_z=[0, 0, 0, 0]), "has an affine that spans no volume"),
        (_with_header(_sheared(0.12)), "is sheared, two of its axes meet at 87.71 degrees; resample it upright first"),
        (_with_header(_sheared(0.01)), "is sheared, two of its axes meet at 89.81 degrees"),
        (_with_header(_in_units(1e-3), xyzt_units=2), "has voxels of 0.0005 x 0.0005 x 0.003 mm, as no MRI has"),
        (_with_header(_in_units(1e-3)), "has voxels of 0.0005 x 0.0005 x 0.003 mm, as no MRI has"),
        (_with_header(_in_units(1e3)), "has voxels of 500 x 500 x 3000 mm, as no MRI has"),
        (_with_header(xyzt_units=1), "has voxels of 500 x 500 x 3000 mm, as no MRI has"),
        (_qform_alone(pixdim=[1, 0, 0.5, 3, 1, 1, 1, 1]), "says that its voxels have a size of 0; export it again"),
        (_qform_alone(pixdim=[1, np.nan, 0.5, 3, 1, 1, 1, 1]), "has an affine that spans no volume"),
        (
            _with_header(qform_code=0, sform_code=0, pixdim=[1, 1, 1, 0, 1, 1, 1, 1]),
            "says that its voxels have a size of 0",
        ),
        (
            _with_header(qform_code=1, pixdim=[1, 0.8, 0.8, 3, 1, 1, 1, 1]),
            "has two voxel sizes, 0.5 x 0.5 x 3 mm in its sform and 0.8 x 0.8 x 3 mm in its qform; export it again",
        ),
        (_four_dimensional, r"has 4 dimensions \(3, 4, 5, 2\); export one 3-D volume"),
        (_complex, "holds complex64 voxels"),
        (_text, "is not a NIfTI file"),
        (_truncated, "is truncated or damaged"),
        (_truncated_before_compression, "is truncated or damaged"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, message):
    path = tmp_path / "Case07.nii.gz"
    make(path)
    with pytest.raises(InputError, match=rf"\A{path}: {message}") as caught:
        read_volume(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1
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
