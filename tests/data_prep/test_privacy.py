"""No byte that an import writes may hold words that identify a patient."""

import hashlib
import hmac
import json
import os
import stat

import nibabel
import numpy as np
import pytest
import sources_on_disk as layouts
from planted import SECRETS, all_bytes, assert_no_secret
from raw_cases import AFFINE, small_image, small_mask

from custom_components.foundation.files import read_json
from data_prep.__main__ import main
from data_prep.checks import check_case
from data_prep.pseudonyms import Pseudonyms, load_key
from data_prep.quarantine import Quarantine
from data_prep.sources import find_cases


@pytest.fixture
def run_import(tmp_path):
    def run(folder, *arguments, out="set"):
        key = ["--key-file", str(tmp_path / "key")]
        return main(["import", str(folder), "--out", str(tmp_path / out), "--jobs", "1", *key, *arguments])

    return run


def save_with_text(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, AFFINE)
    image.header["descrip"] = b"Mustermann^Erika 19440812"
    image.header["aux_file"] = b"MRN4711"
    image.header["db_name"] = b"Mustermann"
    image.header["intent_name"] = b"1944-08-12"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"MRN4711 20190317"))
    nibabel.save(image, path)
    return path


def test_names_of_files_folders_and_headers_stay_behind(tmp_path, run_import, capsys):
    site = tmp_path / "raw" / "Erika_Mustermann_19440812"
    save_with_text(site / "MRN4711.nii.gz", small_image(1))
    save_with_text(site / "MRN4711_segmentation.nii.gz", small_mask(1, 2))
    save_with_text(site / "Mustermann-20190317.nii.gz", small_image(2))
    assert run_import(site, "--site", "HK") == 0
    assert_no_secret(tmp_path / "set")
    header = nibabel.load(next((tmp_path / "set" / "images").iterdir())).header
    text = b"".join(bytes(header[field]) for field in ("descrip", "aux_file", "db_name", "intent_name"))
    assert text.strip(b"\0") == b""
    assert len(header.extensions) == 0


def test_a_quarantined_case_keeps_its_secrets_too(tmp_path, run_import, capsys):
    site = tmp_path / "raw" / "Erika_Mustermann"
    save_with_text(site / "good.nii.gz", small_image(1))
    save_with_text(site / "MRN4711_segmentation.nii.gz", small_mask())
    save_with_text(site / "Mustermann.nii.gz", small_image(2))
    save_with_text(site / "Mustermann.nii", small_image(2))
    save_with_text(site / "Erika.nii.gz", np.zeros((8, 7, 4), np.int16))
    save_with_text(site / "19440812.nii.gz", small_image(1))
    assert run_import(site, "--site", "HK") == 3
    assert_no_secret(tmp_path / "set")
    shown = capsys.readouterr().err
    # The screen at the site shows the names.
    assert all(name in shown for name in ("MRN4711", "Mustermann", "Erika"))
    problems = sorted(row["problem"] for row in read_json(tmp_path / "set" / "quarantine.json")["findings"])
    assert problems[0].startswith("has no image")
    assert problems[1].startswith("is constant (every voxel 0)")
    assert problems[2].startswith("is the same case as")
    assert problems[3].startswith("is the same image as HK_case_")


@pytest.mark.parametrize("others", [(), ("adc",)])
def test_folders_of_patients_are_no_sites(tmp_path, run_import, capsys, others):
    raw = tmp_path / "raw"
    for number, patient in enumerate(("Mustermann_Erika", "MRN4711", "19440812")):
        save_with_text(raw / patient / "t2.nii.gz", small_image(number))
        save_with_text(raw / patient / "t2_segmentation.nii.gz", small_mask())
        for other in others:
            save_with_text(raw / patient / f"{other}.nii.gz", small_image(number + 10))
    assert run_import(raw) == 1
    assert "'19440812' may be a site or a patient; give --site NAME" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
    assert run_import(raw, "--site", "HK") == 0
    assert_no_secret(tmp_path / "set")
    entries = read_json(tmp_path / "set" / "dataset.json")["cases"]
    assert {entry["site"] for entry in entries} == {"HK"}
    assert len({entry["patient"] for entry in entries}) == 3
    assert len(entries) == 3 * (1 + len(others))
    assert main(["import", str(raw), "--out", str(tmp_path / "kept"), "--jobs", "1", "--keep-ids"]) == 0


def test_a_folder_name_is_a_site_only_when_it_is_said(tmp_path, run_import, capsys):
    for number, (folder, visit) in enumerate((f, v) for f in ("Mustermann_Erika", "Meier_Hans") for v in ("1", "2")):
        save_with_text(tmp_path / "raw" / folder / f"visit{visit}.nii.gz", small_image(number))
        save_with_text(tmp_path / "raw" / folder / f"visit{visit}_segmentation.nii.gz", small_mask())
    assert run_import(tmp_path / "raw") == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/raw: 'Meier_Hans' may be a site or a patient; give --site NAME if all folders are of one "
        "site, --site-folders if each is a site, or --keep-ids\n"
    )
    assert not (tmp_path / "set").exists()
    assert run_import(tmp_path / "raw", "--site", "HK") == 0
    assert "read as folders of one patient each: 2" in capsys.readouterr().out
    assert_no_secret(tmp_path / "set")
    assert len({entry["patient"] for entry in read_json(tmp_path / "set" / "dataset.json")["cases"]}) == 2
    assert run_import(tmp_path / "raw", "--site-folders", out="sites") == 0
    sites = {entry["site"] for entry in read_json(tmp_path / "sites" / "dataset.json")["cases"]}
    assert sites == {"Mustermann_Erika", "Meier_Hans"}


def write_bids(folder):
    save_with_text(folder / "sub-Mustermann" / "anat" / "sub-Mustermann_T2w.nii.gz", small_image(2))
    for kind in ("desc-a_mask", "desc-b_mask"):
        save_with_text(folder / "sub-Mustermann" / "anat" / f"sub-Mustermann_{kind}.nii.gz", small_mask())


def write_decathlon(folder):
    layouts.decathlon(folder)
    content = read_json(folder / "dataset.json")
    content["training"].append({"label": "labelsTr/Mustermann_Erika.nii.gz"})
    (folder / "dataset.json").write_text(json.dumps(content))


def write_capitals(folder):
    save_with_text(folder / "mustermann_segmentation.nii.gz", small_mask())
    for name in ("MUSTERMANN.nii.gz", "Mustermann.nii"):
        save_with_text(folder / name, small_image(2))
    # A name may have only two letters.
    save_with_text(folder / "Ng.nii.gz", small_image(3))
    save_with_text(folder / "ng.nii.gz", small_image(4))


def write_two_masks(folder):
    layouts.nci_isbi(folder)
    masks = folder / "NCI-ISBI 2013 - Training"
    (mask,) = masks.glob("Prostate3T-01-0001.nrrd")
    for name in ("Prostate3T-01-0001_A_Mustermann.nrrd", "Prostate3T-01-0001_MUSTERMANN.nrrd"):
        (masks / name).write_bytes(mask.read_bytes())
    mask.unlink()


def write_colon(folder):
    broken = save_with_text(folder / "Scan: Mustermann.nii.gz", small_image(2))
    broken.write_bytes(b"broken")
    save_with_text(folder / "Scan: Mustermann_segmentation.nii.gz", small_mask())


def write_damaged_series(folder):
    layouts.i2cvb(folder)
    (slices,) = folder.glob("Patient_387/T2W")
    for number, path in enumerate(sorted(slices.iterdir())[:2]):
        path.write_bytes(path.read_bytes()[:200])
        path.rename(slices / f"Erika: {number}_Mustermann; MRN4711 (1944-08-12).dcm")


@pytest.mark.parametrize(
    "write", [write_bids, write_decathlon, write_capitals, write_two_masks, write_colon, write_damaged_series]
)
def test_no_form_of_a_name_gets_into_a_quarantined_reason(tmp_path, write):
    raw = tmp_path / "raw"
    write(raw)
    listing = find_cases(raw, "HK")
    quarantine = Quarantine(raw, Pseudonyms(b"k" * 64))
    for finding in listing.findings:
        quarantine.add_file(finding)
    for case in listing.cases:
        quarantine.add_case(case, check_case(case).findings)
    assert quarantine.rows
    for row in quarantine.rows:
        said = f"{row['problem']}; {row['advice']}".lower()
        assert not [name for name in (*SECRETS.values(), "ng.nii", "scan") if name.lower() in said]
    # The screen at the site shows the names.
    assert "mustermann" in " ".join(map(str, quarantine.findings)).lower()


def test_a_patient_has_one_name_in_every_import_and_another_with_another_key(tmp_path, run_import):
    key = tmp_path / "key"
    for out, arguments in (("one", []), ("two", []), ("three", ["--key-file", str(tmp_path / "other")])):
        raw = layouts.bids(tmp_path / f"raw_{out}")
        (raw / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T2w.nii.gz").unlink()
        assert run_import(raw, "--site", "HK", *arguments, out=out) == 0
    one, two, three = (
        {entry["patient"]: entry["case"] for entry in read_json(tmp_path / out / "dataset.json")["cases"]}
        for out in ("one", "two", "three")
    )
    assert one == two
    assert not one.keys() & three.keys()
    # The expected hash is computed by hand with the key of the file.
    digest = hmac.new(key.read_bytes().strip(), b"patient\0HK\0sub-01", hashlib.sha256).hexdigest()
    assert f"HK_patient_{digest[:16]}" in one


def test_the_key_is_made_once_for_its_owner_alone(tmp_path, run_import, capsys):
    raw = layouts.multi_site(tmp_path / "raw")
    assert run_import(raw) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/key: new key for the hashed ids; keep it safe")
    key = tmp_path / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    content = key.read_text()
    assert len(content.strip()) == 64
    assert run_import(raw) == 0
    assert key.read_text() == content
    assert "new key" not in capsys.readouterr().out
    assert all(content.strip().encode() not in data for data in all_bytes(tmp_path / "set"))


def test_a_key_is_refused_in_the_dataset_and_when_it_is_no_secret(tmp_path, run_import, capsys):
    raw = layouts.multi_site(tmp_path / "raw")
    assert run_import(raw, "--key-file", str(tmp_path / "set" / "key")) == 1
    assert "the key must never lie in the dataset" in capsys.readouterr().err
    (tmp_path / "short").write_text("secret")
    assert run_import(raw, "--key-file", str(tmp_path / "short")) == 1
    assert "short: is too short for a key" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run_import(raw, "--key-file", str(tmp_path / "file" / "key")) == 1
    assert "no key can be read or made here" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_of_two_keys_made_at_once_one_counts(tmp_path, monkeypatch):
    key = tmp_path / "key"

    def other_was_faster(source, target):
        key.write_text("a" * 64)
        raise FileExistsError

    monkeypatch.setattr(os, "link", other_was_faster)
    assert load_key(key) == b"a" * 64
    assert list(tmp_path.iterdir()) == [key]


def test_a_patient_is_the_same_only_within_a_site(tmp_path):
    raw = layouts.multi_site(tmp_path / "raw")
    (here,) = find_cases(raw / "RUNMC", "HK").cases
    (there,) = find_cases(raw / "RUNMC", "UCL").cases
    pseudonyms = Pseudonyms(b"k" * 64)
    assert pseudonyms.patient_id(here).removeprefix("HK") != pseudonyms.patient_id(there).removeprefix("UCL")
