"""Predictions of nnU-Net v2, as ``nnUNetv2_predict --save_probabilities`` writes them.

Facts, from nnU-Net's source (github.com/MIC-DKFZ/nnUNet, commit 0e495086):

- ``nnunetv2/inference/export_prediction.py``: ``export_prediction_from_logits`` writes ``<case>.npz`` with the array
  ``probabilities`` (K, and the axes of the image as it was read), and ``<case>.pkl`` with the properties. nnU-Net
  has already reverted resampling, cropping and the transposition of the plans, so the array is on the image's grid.
- ``nnunetv2/imageio/simpleitk_reader_writer.py`` and ``nibabel_reader_writer.py``: an image as it was read has
  the axes of SimpleITK's arrays (slices, rows, columns), which are the axes of a NIfTI in reverse order. The properties
  hold the image's geometry, as ``sitk_stuff`` (spacing, origin and direction, with axes to the left, back and head) or
  ``nibabel_stuff`` (``original_affine``). Readers that reorient to RAS store the geometry of the reoriented image.
- ``nnunetv2/utilities/label_handling/label_handling.py``: there is a channel for each label in ascending order, after
  a softmax. If a label of ``dataset.json`` is a list, there is a channel for each region in the order of the file,
  without the background and after a sigmoid, so that the channels may overlap. A label ``ignore`` has no channel.
- ``nnunetv2/preprocessing/preprocessors/default_preprocessor.py``: the property ``shape_before_cropping`` is the shape
  after ``transpose_forward`` of the plans; ``plans.json`` and ``dataset.json`` are copied into the folder by
  ``nnunetv2/inference/predict_from_raw_data.py``.
"""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, require_readable
from custom_components.foundation.grids import LPS_TO_RAS
from custom_components.foundation.nifti import Volume, require_sane_affine
from custom_components.predictions.class_map import ClassMap, class_probabilities

AGAIN = "predict again with nnUNetv2_predict --save_probabilities"
# The functions and classes that a pickled numpy array or number names. A pickle that names others is not read.
_NUMPY = {
    (module, name)
    for core in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{core}.multiarray", "_reconstruct"),
        (f"{core}.multiarray", "scalar"),
        (f"{core}.numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )
}


def dataset_labels(folder: Path) -> dict[str, list[int]] | None:
    """The label values of each name in nnU-Net's ``dataset.json``, except ``ignore``; None if there is no such file.

    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2], "TZ": 2}}))
    >>> dataset_labels(folder)
    {'background': [0], 'whole': [1, 2], 'TZ': [2]}
    """
    file = folder / "dataset.json"
    labels = read_json(file).get("labels") if file.is_file() else None
    if not isinstance(labels, dict):
        return None
    try:
        values = {
            name: [int(value) for value in (some if isinstance(some, list) else [some])]
            for name, some in labels.items()
            if name != "ignore"
        }
    except (
        TypeError,
        ValueError,
    ):  # in nnU-Net v1 and the Decathlon, the keys are label values, and the values are names
        return None
    return values


class NnUNetFolder:
    """A folder of ``<case>.npz`` and ``<case>.pkl``.

    Args:
        folder: folder of the files. Its ``dataset.json`` gives the channels names.
        classes: the channels of each class of the student.
    """

    def __init__(self, folder: Path, classes: ClassMap) -> None:
        self._folder, self._classes = folder, classes
        labels = dataset_labels(folder)
        self._has_regions = any(len(values) > 1 for values in (labels or {}).values())
        self._names = None if labels is None else _channel_names(labels, self._has_regions)

    def files(self, case: str) -> list[Path]:
        return [self._folder / f"{case}.npz", self._folder / f"{case}.pkl"]

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes on the grid that nnU-Net has read.

        Raises:
            InputError: if a file is damaged or has another content, if the properties are those of another volume, or
                if the probabilities or their channels are wrong.
        """
        npz, pkl = self.files(case)
        array = _read_npz(npz)
        properties = read_properties(pkl)
        if not _fits(array.shape[1:], properties, self._folder / "plans.json"):
            shape = properties["shape_before_cropping"]
            raise InputError(f"is of a volume {tuple(shape)}, {npz.name} of one {array.shape[1:]}", pkl, AGAIN)
        if self._names is not None and len(array) != len(self._names):
            raise InputError(f"has {len(array)} classes, its dataset.json {len(self._names)}", npz, AGAIN)
        places = self._classes.places(self._names, len(array))
        voxels = array.transpose(3, 2, 1, 0).astype(np.float32)
        probs = class_probabilities(voxels, places, self._classes.classes, not self._has_regions, npz)
        affine = _affine(properties, pkl)
        require_sane_affine(pkl, affine, upright=False)
        return Volume(probs, affine)


def _channel_names(labels: dict[str, list[int]], has_regions: bool) -> list[str]:
    if has_regions:
        return [name for name, values in labels.items() if set(values) != {0}]
    return sorted(labels, key=lambda name: labels[name])


def _read_npz(file: Path) -> np.ndarray:
    """The array ``probabilities`` (K and three axes); nothing in the file is unpickled."""
    require_readable(file)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            array = arrays["probabilities"]
    except KeyError as error:
        raise InputError("has no array 'probabilities'", file, AGAIN) from error
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError("is damaged, or no .npz of numbers", file, "copy it again") from error
    if array.ndim != 4 or array.dtype.kind != "f":
        raise InputError(f"holds {array.dtype} of shape {array.shape}, not fractions (classes, D, H, W)", file, AGAIN)
    return array


class _PlainUnpickler(pickle.Unpickler):
    """Reads containers, texts, numbers and numpy arrays. A pickle can run any program, so it may name nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def read_properties(file: Path) -> dict[str, Any]:
    """The properties that nnU-Net has pickled, read without running any code of the file.

    Raises:
        InputError: if the file is missing or damaged, would run a program, or holds no properties.
    """
    require_readable(file)
    try:
        with file.open("rb") as stream:
            properties = _PlainUnpickler(stream).load()
    except pickle.UnpicklingError as error:
        detail = str(error).splitlines()[0] if str(error) else ""
        raise InputError("is damaged, or more than plain values; it was not loaded", file, AGAIN, detail) from error
    except Exception as error:  # a damaged pickle raises nearly every kind of error
        raise InputError("is no pickle, or damaged", file, "copy it again") from error
    if not isinstance(properties, dict) or "shape_before_cropping" not in properties:
        raise InputError("holds no properties of nnU-Net", file, AGAIN)
    return properties


def _fits(shape: tuple[int, ...], properties: dict[str, Any], plans: Path) -> bool:
    """Whether the properties belong to an array of this shape."""
    before = [int(length) for length in np.ravel(properties["shape_before_cropping"])]
    backward = read_json(plans).get("transpose_backward") if plans.is_file() else None
    if backward is not None and len(backward) == len(before):
        return tuple(before[axis] for axis in backward) == shape
    return sorted(before) == sorted(shape)


def _affine(properties: dict[str, Any], file: Path) -> np.ndarray:
    """The 4 x 4 affine (mm, RAS) of the array with its axes in reverse."""
    try:
        if "sitk_stuff" in properties:
            told = properties["sitk_stuff"]
            affine = np.eye(4)
            affine[:3, :3] = np.reshape(told["direction"], (3, 3)) * np.asarray(told["spacing"], float)
            affine[:3, 3] = told["origin"]
            return LPS_TO_RAS @ affine
        told = properties["nibabel_stuff"]
        return np.asarray(told.get("reoriented_affine", told["original_affine"]), float).reshape(4, 4)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("tells no geometry", file, "predict NIfTI volumes with nnU-Net's own readers") from error
