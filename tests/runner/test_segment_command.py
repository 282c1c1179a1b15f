"""``segment student.onnx IN OUT`` with NIfTI volumes: the files, the printed lines and the exit code."""

import errno

import nibabel
import numpy as np
import pytest

from custom_components.bundle.segmenting import Segmenting, open_bundle

WHOLE, WINDOW = "whole", "window"


@pytest.fixture
def student(student_files):
    return student_files[WHOLE]


def test_a_volume_into_a_folder(exported, student, segment, volume, tmp_path):
    code, said, errors = segment(student, volume, tmp_path / "out")
    mask = tmp_path / "out" / "A 1.nii.gz"
    assert (code, errors) == (0, "")
    expected = nibabel.load(Segmenting(open_bundle(exported[WHOLE].path), tmp_path / "bundle", "cpu")(volume).mask)
    written = nibabel.load(mask)
    np.testing.assert_array_equal(written.dataobj, expected.dataobj)
    assert written.header == expected.header
    volume_ml = np.count_nonzero(expected.dataobj) * 1.25 * 1.25 * 3.6 / 1000
    assert said == f"{mask}: prostate {volume_ml:.1f} ml\n"


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz", "MASK.NII.GZ"])
def test_a_volume_into_a_file(student, segment, save_volume, tmp_path, name):
    assert segment(student, save_volume("a.nii"), tmp_path / "new" / name)[0] == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    assert set(np.unique(nibabel.load(tmp_path / "new" / name).dataobj)) <= {0, 1}


def test_a_folder(student, segment, save_volume, tmp_path):
    for name in ("b.nii.gz", "a.nii", ".hidden.nii", "notes.txt"):
        save_volume(f"in/{name}") if "nii" in name else (tmp_path / "in" / name).touch()
    code, said, errors = segment(student, tmp_path / "in", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "b.nii.gz"]
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        str(tmp_path / "out" / name) for name in ("a.nii.gz", "b.nii.gz")
    ]


def test_a_mask_at_the_windows_border_is_warned_of(student_files, segment, save_volume, tmp_path):
    image = save_volume("a.nii.gz")
    code, _, errors = segment(student_files[WINDOW], image, tmp_path / "out")
    assert code == 0
    assert errors.startswith(f"warning: {image}: the mask touches the border of the central 40 mm")
    assert errors.count("\n") == 1


def one_line(result):
    code, said, errors = result
    assert (code, said) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors.removeprefix("error: ").strip()


def test_one_bad_volume_stops_all_before_the_first(student, segment, save_volume, tmp_path):
    save_volume("in/a.nii.gz")
    bad = save_volume("in/b.nii.gz", np.full((3, 3, 3), np.nan, np.float32))
    assert one_line(segment(student, tmp_path / "in", tmp_path / "out")) == (
        f"{bad}: holds voxels that are NaN or infinite; export it again"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((3, 4, 5, 2), "has 4 dimensions (3, 4, 5, 2); export one 3-D volume"),
        ((3, 4), "has 2 dimensions (3, 4); export"),
    ],
)
def test_what_is_no_volume(student, segment, save_volume, tmp_path, shape, line):
    bad = save_volume("a.nii.gz", np.ones(shape, np.float32))
    assert one_line(segment(student, bad, tmp_path / "out")).startswith(f"{bad}: {line}")


def test_no_mask_replaces_an_image(student, segment, save_volume, tmp_path):
    image = save_volume("in/a.nii.gz")
    before = image.read_bytes()
    for source, out in ((image, image), (image, image.parent), (image.parent, image.parent)):
        assert one_line(segment(student, source, out)) == (
            f"{image}: the mask would replace this image; write it into another folder"
        )
    assert image.read_bytes() == before


def test_two_volumes_of_one_name(student, segment, save_volume, tmp_path):
    save_volume("in/a.nii")
    save_volume("in/a.nii.gz")
    assert one_line(segment(student, tmp_path / "in", tmp_path / "out")) == (
        f"{tmp_path}/in: two volumes of one name; one mask would replace the other"
    )


def test_many_volumes_into_one_file(student, segment, save_volume, tmp_path):
    save_volume("in/a.nii")
    assert one_line(segment(student, tmp_path / "in", tmp_path / "mask.nii.gz")) == (
        f"{tmp_path}/mask.nii.gz: is the name of one file; {tmp_path}/in holds 1 volumes; give a folder"
    )


def test_what_is_not_there(student, segment, tmp_path):
    assert one_line(segment(student, tmp_path / "none", tmp_path / "out")) == (
        f"{tmp_path}/none: no such file or folder; check the path"
    )
    (tmp_path / "a.txt").touch()
    assert one_line(segment(student, tmp_path / "a.txt", tmp_path / "out")) == (
        f"{tmp_path}/a.txt: is no NIfTI (*.nii, *.nii.gz); give a NIfTI, or the folder of a DICOM study"
    )
    assert "no such file" in one_line(segment(tmp_path / "none.onnx", tmp_path / "a.txt", tmp_path / "out"))


@pytest.mark.parametrize("option", ["--psa=5", "--series=t2", "--tie=last"])
def test_an_option_of_a_study_is_not_ignored_for_a_volume(student, segment, save_volume, tmp_path, option):
    volume = save_volume("in/a.nii")
    for source in (volume, volume.parent):
        code, said, errors = segment(student, source, tmp_path / "out", option)
        line = f"is or holds a NIfTI volume; {option.partition('=')[0]} is for a DICOM study; leave it out"
        assert (code, said, errors) == (1, "", f"error: {source}: {line}\n")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_no_part_of_a_mask(student, segment, save_volume, tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    image = save_volume("a.nii")
    monkeypatch.setattr("custom_components.foundation.files.os.replace", no_space)
    line = one_line(segment(student, image, tmp_path / "out"))
    assert (
        line == f"{tmp_path}/out/a.nii.gz: cannot be written (No space left on device); what was there before is kept"
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_wrong_usage(segment, student):
    with pytest.raises(SystemExit) as ended:
        segment(student)
    assert ended.value.code == 2
