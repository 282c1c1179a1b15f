"""Every known kind of broken input gives the expected message, in one line and without a traceback.

A row is ``(name, make(folder), expected words)``; ``make`` writes a site's folder.
"""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import sources_on_disk as layouts
from broken_dicom import BROKEN_DICOM
from raw_cases import AFFINE, save, small_image, small_mask

from data_prep.__main__ import main

Make = Callable[[Path], object]


def nifti(image=None, mask=None, image_affine=AFFINE, mask_affine=AFFINE) -> Make:
    """Make a case in the released layout, with this image or mask instead of a good one."""

    def make(folder: Path) -> None:
        save(folder / "Case00.nii.gz", small_image(1) if image is None else image, image_affine)
        save(folder / "Case00_segmentation.nii.gz", small_mask() if mask is None else mask, mask_affine)

    return make


def then(make: Make, path: str, change: Callable[[Path], object]) -> Make:
    """Make the folder with ``make``, then change one file."""

    def changed(folder: Path) -> None:
        make(folder)
        change(folder / path)

    return changed


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data)


def header_bytes(offset: int, data: bytes) -> Callable[[Path], None]:
    """Overwrite bytes in the header of a packed NIfTI."""

    def change(path: Path) -> None:
        unpacked = bytearray(gzip.decompress(path.read_bytes()))
        unpacked[offset : offset + len(data)] = data
        path.write_bytes(gzip.compress(bytes(unpacked)))

    return change


def replace(old: str, new: str) -> Callable[[Path], None]:
    """Edit a text header."""

    def change(path: Path) -> None:
        data = path.read_bytes()
        assert old.encode() in data
        path.write_bytes(data.replace(old.encode(), new.encode(), 1))

    return change


def edit_json(**changes: object) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def shifted(mm: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[2, 3] += mm
    return affine


def with_value(value: float) -> np.ndarray:
    image = small_image(1).astype(np.float32)
    image[0, 0, 0] = value
    return image


def emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def in_colour(path: Path) -> None:
    path.write_text(path.read_text().replace("8 7 4\n", "8 7 4\nElementNumberOfChannels = 3\n"))


def another_class(path: Path) -> None:
    nibabel.save(nibabel.MGHImage(small_image(1).astype(np.int32), AFFINE), path.with_suffix(".mgz"))
    shutil.move(path.with_suffix(".mgz"), path)


GOOD = nifti()
CASE, MASK = "Case00.nii.gz", "Case00_segmentation.nii.gz"
SCAN, SCAN_MASK = "TrainingData_Part1/Case01.mhd", "TrainingData_Part1/Case01_segmentation.mhd"
SCAN_2 = "TrainingData_Part2/Case02.mhd"
NRRD = "NCI-ISBI 2013 - Training/Prostate3T-01-0001.nrrd"

BROKEN = [
    ("empty folder", lambda folder: folder.mkdir(parents=True), "no known layout fits"),
    ("folder missing", lambda folder: None, "no such folder"),
    ("mask alone", then(GOOD, CASE, Path.unlink), "has no image"),
    ("image empty", then(GOOD, CASE, content(b"")), "is not a NIfTI file, or is cut off"),
    ("image is text", then(GOOD, CASE, content(b"not an image")), "is not a NIfTI file"),
    ("image is a web page", then(GOOD, CASE, content(b"<html>login</html>" * 99)), "is not a NIfTI file"),
    ("image truncated", then(GOOD, CASE, cut(0.6)), "Case00.nii.gz: is not a NIfTI file, or is cut off"),
    ("mask truncated", then(GOOD, MASK, cut(0.6)), "_segmentation.nii.gz: is not a NIfTI file"),
    ("image cut before it was packed", then(GOOD, CASE, content(gzip.compress(b"\0" * 300))), "is not a NIfTI file"),
    ("image of another format", then(GOOD, CASE, another_class), "is not a NIfTI file"),
    ("image is a folder", then(then(GOOD, CASE, Path.unlink), CASE, Path.mkdir), "has no image"),
    ("image four-dimensional", nifti(np.zeros((8, 7, 4, 3), np.int16)), "has 4 dimensions (8, 7, 4, 3)"),
    ("image two-dimensional", nifti(np.arange(56, dtype=np.int16).reshape(8, 7)), "has 2 dimensions (8, 7)"),
    ("image complex", nifti(np.ones((8, 7, 4), np.complex64)), "complex64 voxels"),
    ("image constant", nifti(np.full((8, 7, 4), 5, np.int16)), "is constant (every voxel 5)"),
    ("image with NaN", nifti(with_value(np.nan)), "holds 1 voxels that are NaN or infinite"),
    ("image with infinity", nifti(with_value(-np.inf)), "holds 1 voxels that are NaN or infinite"),
    ("mask empty", nifti(mask=np.zeros((8, 7, 4), np.uint8)), "is an empty mask"),
    ("mask with a third zone", nifti(mask=small_mask(1, 3)), "holds the labels 3; only 0/1/2 are a prostate mask"),
    ("mask of probabilities", nifti(mask=small_mask() * np.float32(0.5)), "holds the labels 0.5"),
    ("mask negative", nifti(mask=-small_mask().astype(np.int16)), "holds the labels -1"),
    ("mask of another shape", nifti(mask=small_mask()[:7]), "has shape (7, 7, 4), its image (8, 7, 4)"),
    ("mask elsewhere", nifti(mask_affine=shifted(30)), "lies up to 30 mm off its image"),
    ("mask of another voxel size", nifti(mask_affine=AFFINE @ np.diag([1.1, 1, 1, 1])), "mm off its image"),
    ("mask with NaN", nifti(mask=with_value(np.nan)), "holds the labels"),
    ("case twice", then(GOOD, "Case00.nii", lambda path: save(path, small_image(1))), "is the same case as"),
    (
        "image twice",
        then(GOOD, "Case01.nii.gz", lambda path: save(path, small_image(1))),
        "is the same image as S_Case00",
    ),
    ("header promises too much", then(GOOD, CASE, header_bytes(42, b"\xff\x7f" * 3)), "no MRI is like this"),
    ("header of an empty axis", then(GOOD, CASE, header_bytes(42, b"\0\0")), "no MRI is like this"),
    ("header with a flat affine", then(GOOD, CASE, header_bytes(280, b"\0" * 48)), "an affine that spans no volume"),
    ("header with an affine of NaN", then(GOOD, CASE, header_bytes(280, b"\0\0\xc0\x7f")), "spans no volume"),
    ("header with an unknown type", then(GOOD, CASE, header_bytes(70, b"\x63\0")), "Case00.nii.gz: "),
    ("MetaImage without raw file", then(layouts.promise12, SCAN[:-3] + "raw", Path.unlink), "is truncated or damaged"),
    ("MetaImage with half a raw file", then(layouts.promise12, SCAN[:-3] + "raw", cut(0.5)), "is truncated or damaged"),
    ("MetaImage header empty", then(layouts.promise12, SCAN, content(b"")), "is no image that itk reads"),
    ("MetaImage without size", then(layouts.promise12, SCAN, replace("DimSize", "Dimmed")), "Case01.mhd: "),
    ("MetaImage too large", then(layouts.promise12, SCAN, replace("8 7 4", "8000 7000 4000")), "no MRI is like this"),
    (
        "MetaImage of two channels",
        then(layouts.promise12, SCAN, in_colour),
        "and 3 values a voxel; export one 3-D volume",
    ),
    ("MetaImage mask elsewhere", then(layouts.promise12, SCAN_MASK, replace("31", "61")), "mm off its image"),
    ("MetaImage mask alone", then(layouts.promise12, SCAN, Path.unlink), "has no image"),
    ("zraw damaged", then(layouts.promise12, SCAN_2[:-3] + "zraw", cut(0.5)), "is truncated or damaged"),
    ("NRRD truncated", then(layouts.nci_isbi, NRRD, cut(0.9)), "0001.nrrd: is truncated or damaged"),
    ("NRRD empty", then(layouts.nci_isbi, NRRD, content(b"")), "0001.nrrd: is no image that itk reads"),
    ("NRRD twice", then(layouts.nci_isbi, NRRD[:-5] + "_b.nrrd", content(b"")), "is a second mask of its patient"),
    (
        "NRRD without DICOM",
        then(layouts.nci_isbi, "DOI/Prostate3T-01-0001", shutil.rmtree),
        "has no DICOM folder of its patient",
    ),
    ("patient folder without DICOM", then(layouts.i2cvb, "Patient_387/T2W", emptied), "no DICOM image"),
    ("ground truth without DICOM", then(layouts.i2cvb, "Patient_387/GT/prostate", emptied), "holds no DICOM image"),
    ("dataset.json no JSON", then(layouts.decathlon, "dataset.json", content(b"{")), "not a JSON file"),
    ("dataset.json a list", then(layouts.decathlon, "dataset.json", content(b"[]")), "expected a JSON object"),
    ("dataset.json without T2", then(layouts.decathlon, "dataset.json", edit_json(modality={"0": "CT", "1": "ADC"})),
     "exactly one must be T2"),
    ("dataset.json with a list of modalities",
     then(layouts.decathlon, "dataset.json", edit_json(modality=["T2", "ADC"])), "'modality' must be like"),
    ("dataset.json with odd labels", then(layouts.decathlon, "dataset.json", edit_json(labels={"PZ": 1})), "'labels'"),
    ("dataset.json without lists", then(layouts.decathlon, "dataset.json", edit_json(training=3)), "is no list"),
    ("dataset.json with an odd item", then(layouts.decathlon, "dataset.json", edit_json(training=[3])), "item without"),
    ("dataset.json names a missing file", then(layouts.decathlon, "labelsTr/prostate_00.nii.gz", Path.unlink),
     "is named in dataset.json but missing"),
    (
        "BIDS with two masks",
        then(layouts.bids, "sub-02/ses-2/anat/sub-02_ses-2_mask.nii.gz", lambda path: save(path, small_mask())),
        "has several masks",
    ),
    ("BIDS without a readable mask", then(layouts.bids, "sub-02/ses-2/anat/sub-02_ses-2_dseg.nii.gz", content(b"")),
     "is not a NIfTI file"),
    *BROKEN_DICOM,
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_is_broken_is_said_in_one_line_and_not_written(tmp_path, capsys, make, expected):
    folder = tmp_path / "raw"
    make(folder)
    codes = [
        main(["validate", str(folder), "--site", "S", "--jobs", "0"]),
        main(["import", str(folder), "--site", "S", "--jobs", "0", "--keep-ids", "--out", str(tmp_path / "set")]),
    ]
    assert set(codes) <= {1, 3}
    shown = capsys.readouterr()
    validated, imported = shown.out.splitlines() + shown.err.splitlines(), shown.err.splitlines()
    for lines in (validated, imported):
        assert any(expected in line and str(tmp_path) in line for line in lines), "\n".join(lines)
    assert "Traceback" not in shown.out + shown.err
    assert not list(tmp_path.rglob(".import"))
    assert (tmp_path / "set").exists() == (codes[1] == 3)


def test_the_table_covers_many_kinds():
    assert len({name for name, *_ in BROKEN}) == len(BROKEN) >= 40
