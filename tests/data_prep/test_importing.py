import hashlib
import json
import signal
import time
from dataclasses import replace
from functools import partial

import nibabel
import numpy as np
import pytest
from raw_cases import AFFINE, KEEP, files_of, read_cases, save, small_image, small_mask, validate

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.split_lists import LISTS
from data_prep.__main__ import main
from data_prep.dataset_writer import DatasetWriter, header
from data_prep.importing import import_dataset, import_listing
from data_prep.pseudonyms import Pseudonyms
from data_prep.sources import find_cases
from data_prep.splitting import split_dataset
from data_prep.validating import validate_raw


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
        "folder": str(tmp_path / "raw"),
        "origin": entry["origin"],
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
        "ignored as neither image nor mask: 1, such as RUNMC/Case00_zones.nii.gz",
        "RUNMC: labels 1 and 2 merged into one prostate label in 1 of 2 cases",
        f"{tmp_path / 'set'}: 3 cases of 2 sites (3 new)",
    ]


def test_bad_cases_are_quarantined_and_the_others_imported(raw_folder, tmp_path, capsys):
    save(raw_folder / "UCL" / "Case00_segmentation.nii.gz", small_mask(1, 3))
    (raw_folder / "RUNMC" / "Case02.nii.gz").unlink()
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set"), *KEEP]) == 3
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        f"quarantined: {raw_folder}/RUNMC/Case02_segmentation.nii.gz: has no image; add it or take the mask out",
        f"quarantined: {raw_folder}/HK/Case01.nii.gz: is not a NIfTI file, or is cut off; export it again as .nii.gz",
        f"quarantined: {raw_folder}/UCL/Case00_segmentation.nii.gz: holds the labels 3; only 0/1/2 are a prostate mask",
    ]
    assert shown.out == f"{tmp_path}/set: 14 cases of 3 sites (14 new, 3 findings in quarantine.json)\n"
    folder = str(raw_folder)
    assert json.loads((tmp_path / "set" / "quarantine.json").read_text())["findings"] == [
        {
            "case": "HK_Case01",
            "folder": folder,
            "problem": "is not a NIfTI file, or is cut off",
            "advice": "export it again as .nii.gz",
        },
        {
            "case": "RUNMC/Case02_segmentation.nii.gz",
            "folder": folder,
            "problem": "has no image",
            "advice": "add it or take the mask out",
        },
        {
            "case": "UCL_Case00",
            "folder": folder,
            "problem": "holds the labels 3",
            "advice": "only 0/1/2 are a prostate mask",
        },
    ]
    cases = read_cases(tmp_path / "set")
    assert len(cases) == 14
    assert not cases.keys() & {"HK_Case01", "RUNMC_Case02", "UCL_Case00"}
    assert len(files_of(tmp_path / "set")) == 2 * 14 + 2


def test_when_no_case_is_good_nothing_is_written(add_case, tmp_path, capsys):
    image = add_case("HK", 0)
    image.write_bytes(b"broken")
    assert main(["import", str(tmp_path / "raw"), "--out", str(tmp_path / "set"), *KEEP]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"error: {image}: is not a NIfTI file, or is cut off; export it again as .nii.gz",
        f"error: {tmp_path}/raw: no case could be imported; nothing was written",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_case_without_mask_is_imported_and_said(raw_folder, tmp_path, capsys):
    (raw_folder / "HK" / "Case01_segmentation.nii.gz").unlink()
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set"), *KEEP]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "HK: 1 of 3 cases have no mask; split lists them as unlabeled"
    entry = read_cases(tmp_path / "set")["HK_Case01"]
    assert (entry["label"], entry["label_sha256"]) == (None, None)
    assert validate(tmp_path / "set") == []
    split = split_dataset(tmp_path / "set")[0]
    assert "HK_Case01" not in {item["case"] for key in LISTS for item in split[key]}


def test_the_last_case_left_cannot_end_the_import(add_case, tmp_path):
    add_case("HK", 0)
    raw, dataset = tmp_path / "raw", tmp_path / "set"
    import_dataset(raw, dataset)
    listing = find_cases(raw)
    case = listing.cases[0]
    deadly = replace(case, name="Case01", read_image=partial(signal.raise_signal, signal.SIGKILL))
    (finding,) = import_listing(replace(listing, cases=[case, deadly]), raw, dataset, Pseudonyms(None), jobs=2)
    assert finding.problem.startswith("ended the process that read it")
    (finding,) = validate_raw(replace(listing, cases=[deadly]), jobs=2)
    assert finding.problem.startswith("ended the process that read it")


def test_a_case_that_takes_too_long_is_quarantined(add_case, tmp_path):
    add_case("HK", 0)
    raw, dataset = tmp_path / "raw", tmp_path / "set"
    listing = find_cases(raw)
    endless = replace(listing.cases[0], name="Case01", read_image=partial(time.sleep, 600))
    listing = replace(listing, cases=[*listing.cases, endless])
    (finding,) = import_listing(listing, raw, dataset, Pseudonyms(None), jobs=1, limit_s=5)
    assert finding.problem == "took too long to read"
    assert read_cases(dataset).keys() == {"HK_Case00"}
    assert [row["case"] for row in read_json(dataset / "quarantine.json")["findings"]] == ["HK_Case01"]


def test_two_processes_give_what_one_gives(raw_folder, tmp_path):
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    import_dataset(raw_folder, tmp_path / "one" / "set")
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "two/set"), "--keep-ids", "--jobs", "2"]) == 3
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    for file in files_of(tmp_path / "one"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_a_folder_that_is_no_dataset_is_not_touched(add_case, tmp_path):
    add_case("HK", 0)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"\A\S+/set: already holds something that is no dataset; name another folder"):
        import_dataset(tmp_path / "raw", tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]


def test_two_imports_at_once_do_not_mix(add_case, tmp_path):
    add_case("HK", 0)
    with (
        DatasetWriter(tmp_path / "set", header("set", "kept", False)),
        pytest.raises(InputError, match=r"\A\S+/set: another import is writing it"),
    ):
        import_dataset(tmp_path / "raw", tmp_path / "set")


def test_the_same_image_at_two_sites_is_taken_once(add_case, tmp_path):
    add_case("HK", 0, small_image(1))
    add_case("UCL", 9, small_image(1).astype(np.float32))
    (finding,) = import_dataset(tmp_path / "raw", tmp_path / "set")
    assert str(finding).startswith(f"{tmp_path}/raw/UCL/Case09.nii.gz: is the same image as HK_Case00; keep one")
    assert files_of(tmp_path / "set") == [
        "dataset.json", "images/HK_Case00.nii.gz", "labels/HK_Case00.nii.gz", "quarantine.json",
    ]  # fmt: skip


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
