"""Predictions as nnU-Net v2 writes them.

From nnU-Net's source: ``simpleitk_reader_writer.py`` (itk is the same reader: slices, rows, columns, and the geometry
in ``sitk_stuff``), ``default_preprocessor.py`` (``shape_before_cropping`` after ``transpose_forward``),
``export_prediction.py`` (``np.savez_compressed(probabilities=...)``, ``save_pickle``, and ``write_seg``).
"""

import argparse
import json
import pickle
from pathlib import Path

import nibabel
import numpy as np


def write_prediction(
    folder: Path,
    probs: np.ndarray,
    image: Path,
    case: str,
    labels: dict | None = None,
    transpose_forward: tuple[int, ...] = (2, 0, 1),
) -> None:
    """Write the files of one case, and those of the folder, as ``nnUNetv2_predict --save_probabilities`` does.

    Args:
        folder: is made if there is none.
        probs: (H, W, D, C), on the image's grid.
        image: the NIfTI that was segmented.
        case: name of the case.
        labels: the classes in ``dataset.json`` (default: background, PZ, TZ).
        transpose_forward: the order of the axes in the plans.
    """
    import itk

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
    np.savez_compressed(folder / f"{case}.npz", probabilities=probs.transpose(3, 2, 1, 0))
    (folder / f"{case}.pkl").write_bytes(pickle.dumps(properties))
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    plans = {"transpose_forward": transpose_forward, "transpose_backward": backward}
    (folder / "plans.json").write_text(json.dumps(plans))
    mask = nibabel.Nifti1Image(probs.argmax(axis=-1).astype(np.uint8), nibabel.load(image).affine)
    nibabel.save(mask, folder / f"{case}.nii.gz")


def main() -> None:
    """Stand in for ``nnUNetv2_predict``: what it says of a case is the mask of the dataset beside it, in two zones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", type=Path, required=True)
    parser.add_argument("-o", type=Path, required=True)
    for other in ("-d", "-c", "-f"):
        parser.add_argument(other, required=True)
    parser.add_argument("--save_probabilities", action="store_true", required=True)
    options = parser.parse_args()
    for image in sorted(options.i.glob("*_0000.nii.gz")):
        case = image.name.removesuffix("_0000.nii.gz")
        mask = nibabel.load(image.resolve().parents[1] / "labels" / f"{case}.nii.gz").get_fdata(dtype=np.float32)
        zone = 0.9 * mask
        zone[:, zone.shape[1] // 2 :] = 0.05
        rest = np.clip(0.9 * mask - zone, 0.05, None)
        write_prediction(options.o, np.stack([1 - zone - rest, zone, rest], axis=-1), image, case)


if __name__ == "__main__":
    main()
