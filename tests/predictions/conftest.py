"""Images on awkward grids, and folders of predictions as other programs write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nnunet_files import write_prediction

SHAPE = (12, 10, 5)
# Oblique (20 degrees about the head's axis), rows to the left, slices downwards, and no two spacings the same.
COSINE, SINE = np.cos(np.radians(20)), np.sin(np.radians(20))
OBLIQUE = np.array(
    [[-0.8 * COSINE, -1.1 * SINE, 0, 30], [-0.8 * SINE, 1.1 * COSINE, 0, -20], [0, 0, -3.5, 12], [0, 0, 0, 1.0]]
)


def save(file: Path, voxels: np.ndarray, affine: np.ndarray = OBLIQUE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)
    return file


@pytest.fixture
def probs() -> np.ndarray:
    """Probabilities (H, W, D, 3) without any symmetry: background, PZ, TZ."""
    odds = np.random.default_rng(0).uniform(0.1, 1, (*SHAPE, 3)).astype(np.float32)
    return odds / odds.sum(axis=-1, keepdims=True)


@pytest.fixture
def image(tmp_path) -> Path:
    return save(tmp_path / "images" / "case.nii.gz", np.random.default_rng(1).normal(size=SHAPE).astype(np.float32))


@pytest.fixture
def write_nnunet(tmp_path) -> Callable[..., Path]:
    """``write_nnunet(probs, image)``: a folder as ``nnUNetv2_predict --save_probabilities`` writes it."""

    def write(probs: np.ndarray, image: Path, case: str = "case", **options: Any) -> Path:
        write_prediction(tmp_path / "nnunet", probs, image, case, **options)
        return tmp_path / "nnunet"

    return write
