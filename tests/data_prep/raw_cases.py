"""Small made-up images and masks, and how to save them."""

import json
from pathlib import Path

import nibabel
import numpy as np

from data_prep.findings import Finding
from data_prep.sources import find_cases
from data_prep.validating import is_dataset, validate_dataset, validate_raw

AFFINE = np.array([[-1.25, 0, 0, 40], [0, -1.25, 0, 30], [0, 0, 3.6, -20], [0, 0, 0, 1]])

KEEP = ["--keep-ids", "--jobs", "0"]


def small_image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, (8, 7, 4)).astype(np.int16)


def small_mask(*labels: int) -> np.ndarray:
    mask = np.zeros((8, 7, 4), np.uint8)
    for row, label in enumerate(labels or (1,)):
        mask[row + 2, 3, 1:3] = label
    return mask


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def validate(folder: Path) -> list[Finding]:
    return validate_dataset(folder) if is_dataset(folder) else validate_raw(find_cases(folder))


def read_cases(dataset: Path) -> dict[str, dict]:
    return {entry["case"]: entry for entry in json.loads((dataset / "dataset.json").read_text())["cases"]}


def files_of(dataset: Path) -> list[str]:
    return sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*") if path.is_file())
