"""Images on awkward grids, and folders of predictions as other programs write them."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

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
    """``write_nnunet(probs, image)``: a folder as ``nnUNetv2_predict --save_probabilities`` writes it.

    From nnU-Net's source: ``simpleitk_reader_writer.py`` (itk is the same reader: slices, rows, columns, and the
    geometry in ``sitk_stuff``), ``default_preprocessor.py`` (``shape_before_cropping`` after ``transpose_forward``),
    ``export_prediction.py`` (``np.savez_compressed(probabilities=...)``, ``save_pickle``, and ``write_seg``).
    """
    import itk

    def write(
        probs: np.ndarray,
        image: Path,
        case: str = "case",
        labels: dict | None = None,
        transpose_forward: tuple[int, ...] = (2, 0, 1),
    ) -> Path:
        folder = tmp_path / "nnunet"
        folder.mkdir(exist_ok=True)
        read = itk.imread(str(image))
        shape = itk.array_from_image(read).shape
        spacing, origin = tuple(map(float, read.GetSpacing())), tuple(map(float, read.GetOrigin()))
        direction = tuple(itk.array_from_matrix(read.GetDirection()).ravel().tolist())
        properties = {
            "sitk_stuff": {"spacing": spacing, "origin": origin, "direction": direction},
            "spacing": list(spacing)[::-1],
            "shape_before_cropping": tuple(shape[axis] for axis in transpose_forward),
            "bbox_used_for_cropping": [[0, shape[axis]] for axis in transpose_forward],
            "class_locations": {1: np.array([[0, 1, 2, 3]])},
        }
        labels = labels or {"background": 0, "PZ": 1, "TZ": 2}
        backward = [transpose_forward.index(axis) for axis in range(3)]
        channels_first = probs.transpose(3, 2, 1, 0)
        np.savez_compressed(folder / f"{case}.npz", probabilities=channels_first)
        (folder / f"{case}.pkl").write_bytes(pickle.dumps(properties))
        (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
        plans = {"transpose_forward": transpose_forward, "transpose_backward": backward}
        (folder / "plans.json").write_text(json.dumps(plans))
        save(folder / f"{case}.nii.gz", probs.argmax(axis=-1).astype(np.uint8))
        return folder

    return write
