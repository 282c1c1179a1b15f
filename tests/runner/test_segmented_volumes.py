"""The runner and the bundle give the same mask of a volume."""

import nibabel
import numpy as np
import onnxruntime
import pytest
from student_runner.student import Student

from custom_components.bundle.segmenting import Segmenting, open_bundle
from custom_components.export import write_notes
from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import read_volume

WHOLE, WINDOW = "whole", "window"
AXES = {"RAS": "+x+y+z", "LPS": "-x-y+z", "slices first": "+z-x+y", "rows and columns swapped": "+y+x-z"}


def turned_affine(axes):
    affine = np.eye(4)
    for column, (sign, axis) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
        size = {"x": 1.1, "y": 0.9, "z": 3.2}[axis]
        affine[:3, column] = np.eye(3)["xyz".index(axis)] * (size if sign == "+" else -size)
    affine[:3, 3] = (12, -7, 30)
    return affine


def shape_of(axes, lengths=(47, 58, 5)):
    return tuple(lengths["xyz".index(axis)] for axis in axes[1::2])


def bright_ball(shape):
    distance = sum(
        ((np.arange(n) - n / 2) / n).reshape([-1 if i == at else 1 for at in range(3)]) ** 2
        for i, n in enumerate(shape)
    )
    return (1000 * (distance < 0.05) + np.random.default_rng(0).normal(0, 100, shape)).astype(np.int16)


@pytest.mark.parametrize("seen", [WHOLE, WINDOW])
@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
def test_the_mask_is_the_bundles(exported, student_files, seen, axes, tmp_path):
    image = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(bright_ball(shape_of(axes)), turned_affine(axes)), image)
    expected = Segmenting(open_bundle(exported[seen].path), tmp_path, "cpu")(image)
    mask = nibabel.load(expected.mask)
    assert 0 < np.count_nonzero(mask.dataobj) < np.prod(mask.shape)

    segmented = Student(student_files[seen]).segment(read_volume(image))
    np.testing.assert_array_equal(segmented.mask, mask.dataobj)
    assert segmented.mask.dtype == np.uint8
    assert segmented.warning == expected.warning
    assert (expected.warning is None) == (seen == WHOLE)


def test_real_volumes(exported, student_files, real_data, tmp_path):
    sites = sorted(folder for folder in (real_data / "promise12_multisite").iterdir() if folder.is_dir())
    for seen in (WHOLE, WINDOW):
        bundle, student = Segmenting(open_bundle(exported[seen].path), tmp_path, "cpu"), Student(student_files[seen])
        for image in [sorted(site.glob("Case??.nii.gz"))[0] for site in sites]:
            expected = np.asarray(nibabel.load(bundle(image).mask).dataobj)
            mask = student.segment(read_volume(image)).mask
            assert (mask != expected).sum() <= mask.size / 100_000, image.name
            assert 2 * (mask & expected).sum() >= 0.9999 * (mask.sum() + expected.sum())


def test_the_name_and_the_version_are_the_bundles(student_files):
    student = Student(student_files[WINDOW])
    assert (student.name, student.version) == ("Prostate MRI student: ESPNet", "0.1.0")


def test_other_files_are_refused(exported, student_files, tmp_path):
    other = exported[WHOLE].path / "models" / "model.onnx"
    with pytest.raises(
        InputError, match=r"\A.*/model.onnx: is no student of this version \(it is another ONNX model\); give"
    ):
        Student(other)
    damaged = tmp_path / "student.onnx"
    damaged.write_bytes(student_files[WHOLE].read_bytes()[:5000])
    with pytest.raises(
        InputError, match=r"\A.*/student.onnx: cannot be opened by ONNX Runtime \(.*\); export it again\Z"
    ):
        Student(damaged)
    damaged.write_text("no model")
    with pytest.raises(
        InputError, match=r"\A.*/student.onnx: cannot be opened by ONNX Runtime \(.*\); export it again\Z"
    ):
        Student(damaged)
    with pytest.raises(InputError, match=r"\A.*/none.onnx: no such file"):
        Student(tmp_path / "none.onnx")


def test_a_file_of_a_later_version_is_refused(student_files, tmp_path):
    later = tmp_path / "student.onnx"
    later.write_bytes(student_files[WHOLE].read_bytes())
    notes = onnxruntime.InferenceSession(later).get_modelmeta().custom_metadata_map
    write_notes(later, {**notes, "format": "prostate-student 2"})
    with pytest.raises(InputError, match=r"\A\S*onnx: is no student of this .* format is 'prostate-student 2'"):
        Student(later)
