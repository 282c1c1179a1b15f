"""Masks as files, and lists of volumes. The check of volumes is tested in tests/data/test_check_volumes.py."""

import nibabel
import numpy as np
import pytest

from custom_components.foundation.errors import InputError, WriteError
from custom_components.foundation.volumes import list_volumes, require_volumes, write_mask


def test_a_mask_is_a_nifti_on_its_images_grid(tmp_path):
    affine = np.array([[0, -0.5, 0, 3], [0.5, 0, 0, 4], [0, 0, 3, 5], [0, 0, 0, 1]])
    mask = np.random.default_rng(0).integers(0, 2, (4, 5, 1))
    write_mask(tmp_path / "new" / "a.nii.gz", mask, affine)
    image = nibabel.load(tmp_path / "new" / "a.nii.gz")
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(image.dataobj, mask)
    for read, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        np.testing.assert_allclose(read, affine, atol=1e-6)
        assert code == 1


def test_a_mask_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"\A.*/file/a.nii.gz: cannot be written"):
        write_mask(tmp_path / "file" / "a.nii.gz", np.zeros((2, 2, 2)), np.eye(4))


def test_volumes_of_a_folder(tmp_path):
    for name in ("b.nii.gz", "a.NII", ".c.nii", "d.txt"):
        (tmp_path / name).touch()
    (tmp_path / "e.nii").mkdir()
    assert list_volumes(tmp_path) == [str(tmp_path / "a.NII"), str(tmp_path / "b.nii.gz")]
    with pytest.raises(InputError, match=r"\A\S*none: cannot be read"):
        list_volumes(tmp_path / "none")


def test_none_and_two_of_one_name(tmp_path):
    require_volumes("in", ["a.nii", "b.nii"])
    with pytest.raises(InputError, match=r"\Ain: no NIfTI volume \(\*.nii, \*.nii.gz\) in this folder\Z"):
        require_volumes("in", [])
    with pytest.raises(InputError, match=r"\Ain: two volumes of one name; one mask would replace the other\Z"):
        require_volumes("in", ["a.nii", "a.NII.GZ"])
