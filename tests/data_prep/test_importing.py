import hashlib
import json

import nibabel
import numpy as np
import pytest
from raw_cases import AFFINE, save, small_image, small_mask

from custom_components.errors import InputError
from data_prep.__main__ import main
from data_prep.importing import import_dataset


def test_the_dataset_holds_the_same_voxels_and_says_where_they_come_from(add_case, tmp_path):
    image = small_image(7)
    add_case("UCL", 5, image)
    import_dataset(tmp_path / "raw", tmp_path / "set")

    (entry,) = json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]
    written = nibabel.load(tmp_path / "set" / entry["image"])
    mask = nibabel.load(tmp_path / "set" / entry["label"])
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), image)
    assert written.get_data_dtype() == np.int16
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), small_mask())
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(written.affine, mask.affine)

    assert entry == {
        "case": "UCL_Case05",
        "site": "UCL",
        "patient": "UCL_Case05",
        "image": "images/UCL_Case05.nii.gz",
        "label": "labels/UCL_Case05.nii.gz",
        "shape": [8, 7, 4],
        "spacing_mm": [1.25, 1.25, 3.6],
        "image_sha256": hashlib.sha256((tmp_path / "set" / entry["image"]).read_bytes()).hexdigest(),
        "label_sha256": hashlib.sha256((tmp_path / "set" / entry["label"]).read_bytes()).hexdigest(),
        "voxel_sha256": hashlib.sha256(b"(8, 7, 4)" + image.astype("<f4").tobytes()).hexdigest(),
        "source": "UCL/Case05.nii.gz",
    }


def test_importing_twice_gives_the_same_bytes_and_no_patient_text(add_case, tmp_path):
    path = add_case("HK", 1)
    image = nibabel.load(path)
    image.header["descrip"] = b"JOHN DOE 1950-01-01"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"JOHN DOE"))
    nibabel.save(image, path)
    for name in ("one", "two"):
        import_dataset(tmp_path / "raw", tmp_path / name)
    one, two = (sorted((tmp_path / name).rglob("*.nii.gz")) for name in ("one", "two"))
    assert len(one) == 2
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    header = nibabel.load(tmp_path / "one" / "images" / "HK_Case01.nii.gz").header
    assert bytes(header["descrip"]).strip(b"\0") == b""
    assert len(header.extensions) == 0


def test_zones_are_merged_and_it_is_said(add_case, tmp_path, capsys):
    add_case("RUNMC", 0, mask=small_mask(1, 2))
    add_case("RUNMC", 1)
    add_case("HK", 2)
    save(tmp_path / "raw" / "RUNMC" / "Case00_zones.nii.gz", small_mask(1, 2))
    import_dataset(tmp_path / "raw", tmp_path / "set")
    mask = np.asanyarray(nibabel.load(tmp_path / "set" / "labels" / "RUNMC_Case00.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, small_mask(1, 1))
    assert capsys.readouterr().out.splitlines() == [
        "RUNMC: labels 1 and 2 merged into one prostate label in 1 of 2 cases",
        "ignored as neither image nor mask: 1, such as RUNMC/Case00_zones.nii.gz",
        f"{tmp_path / 'set'}: 3 cases of 2 sites",
    ]


def test_every_bad_case_has_its_line_and_nothing_is_written(raw_folder, tmp_path, capsys):
    save(raw_folder / "UCL" / "Case00_segmentation.nii.gz", small_mask(1, 3))
    (raw_folder / "RUNMC" / "Case02_segmentation.nii.gz").unlink()
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        f"error: {raw_folder}/HK/Case01.nii.gz: is not a NIfTI file, or only its start; export it again as .nii.gz",
        f"error: {raw_folder}/RUNMC/Case02.nii.gz: has no mask; add Case02_segmentation.nii.gz or take the image out",
        f"error: {raw_folder}/UCL/Case00_segmentation.nii.gz: holds the labels 3; only 0/1/2 are a prostate mask",
        f"error: {raw_folder}: 3 findings in 17 cases; nothing was written",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_failure_while_writing_leaves_nothing(add_case, tmp_path, monkeypatch):
    add_case("HK", 0)

    def no_space(path, value):
        raise OSError("No space left on device")

    monkeypatch.setattr("data_prep.importing.write_json", no_space)
    with pytest.raises(OSError, match="No space left"):
        import_dataset(tmp_path / "raw", tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_an_existing_dataset_is_not_touched(add_case, tmp_path):
    add_case("HK", 0)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="set: already exists; remove it or name another folder"):
        import_dataset(tmp_path / "raw", tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]


def test_the_same_image_at_two_sites_is_refused(add_case, tmp_path):
    add_case("HK", 0, small_image(1))
    add_case("UCL", 9, small_image(1).astype(np.float32))
    with pytest.raises(InputError, match=r"UCL/Case09.nii.gz: is the same image as .*HK/Case00.nii.gz"):
        import_dataset(tmp_path / "raw", tmp_path / "set")


def test_real_studies_keep_their_voxels(real_data, tmp_path):
    source = real_data / "promise12_multisite"
    masks = [sorted(site.glob("*_segmentation.nii.gz"))[0] for site in sorted(source.iterdir()) if site.is_dir()]
    for mask in masks:
        copy = tmp_path / "raw" / mask.relative_to(source)
        copy.parent.mkdir(parents=True)
        for path in mask.parent.glob(mask.name.replace("_segmentation", "*")):
            copy.with_name(path.name).write_bytes(path.read_bytes())
    import_dataset(tmp_path / "raw", tmp_path / "set")
    entries = json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]
    assert len(entries) == len(masks) == 4
    for entry in entries:
        raw, written = nibabel.load(source / entry["source"]), nibabel.load(tmp_path / "set" / entry["image"])
        np.testing.assert_array_equal(np.asanyarray(raw.dataobj), np.asanyarray(written.dataobj))
        np.testing.assert_allclose(raw.affine, written.affine, atol=1e-4)
