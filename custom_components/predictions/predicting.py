"""Write a folder of predictions: a model's probabilities for the cases of a dataset, on the images' own grids."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.transforms import Invertd
from torch import Tensor

from custom_components.data.datalist import case_name
from custom_components.distributed import progress_bar
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, replace_file
from custom_components.foundation.grids import grid_difference
from custom_components.foundation.locks import locked
from custom_components.foundation.nifti import Volume, read_volume, require_millimetres
from custom_components.predictions.folder import normalised
from custom_components.predictions.predictors import Predictor
from custom_components.predictions.record import FILE, Record, read_record

SPLIT_PARTS = ("training", "validation", "test", "unlabeled")


def images_to_predict(dataset: Path, datalist: Path | None = None, parts: Sequence[str] = ()) -> dict[str, Path]:
    """The image of each case by the case's name.

    Args:
        dataset: the folder of ``dataset.json``, which the datalist's paths are relative to.
        datalist: a split file; None for all cases of the dataset.
        parts: lists of the datalist; by default all lists of :data:`SPLIT_PARTS` that the datalist has.

    Raises:
        InputError: if a file is missing or has no such list, or if two cases have the same name.
    """
    file = datalist or dataset / "dataset.json"
    content = read_json(file)
    wanted = ["cases"] if datalist is None else list(parts) or [part for part in SPLIT_PARTS if part in content]
    images: dict[str, Path] = {}
    for part in wanted:
        cases = content.get(part)
        if not isinstance(cases, list) or not all(isinstance(case, Mapping) and "image" in case for case in cases):
            raise InputError(f"has no list '{part}' of cases with images", file, "make it with python -m data_prep")
        for case in cases:
            name, image = case_name(case), dataset / case["image"]
            if images.setdefault(name, image) != image:
                raise InputError(f"two cases are called {name}", file, "give each its own 'case'")
    if not images:
        raise InputError("lists no case", file, "give a dataset with images")
    return images


def predict(model: Predictor, images: Mapping[str, Path], folder: Path) -> int:
    """Write ``<case>_<class>.nii.gz`` for each class except the background, and ``predictions.json``.

    A file holds whole numbers of 16 bits with a factor, so that a probability is exact to 1/65535. A finished case is
    not predicted again if its files come from this model and this image.

    Args:
        model: the model that predicts.
        images: the image of each case, by the case's name.
        folder: folder of the predictions; made if missing.

    Returns:
        The number of cases that were predicted now.

    Raises:
        InputError: if the folder holds predictions of another model, if an image is missing or damaged, or if the model
            cannot take it.
        WriteError: if a file cannot be written; the finished cases are kept.
    """
    for image in images.values():
        require_millimetres(image)
    with locked(folder / ".lock", f"{folder}: another program is writing predictions into it; wait for its end"):
        record = Record(model.name, [], model.weights_sha256, model.settings, model.cases)
        if before := read_record(folder):
            record.classes = before.classes  # empty until a first case is predicted
            if not record.is_of_the_model_of(before):
                raise InputError(
                    f"is of another model ({before.name}, weights {before.weights_sha256[:12]})",
                    folder / FILE,
                    "give another folder with --out",
                )
            record.images = before.images
        elif any(file.name != ".lock" for file in folder.iterdir()):
            raise InputError(f"is not empty and has no {FILE}", folder, "give another folder with --out")
        record.write(folder)  # so that a program that is stopped during its first case can go on
        missing = [case for case in images if not _is_finished(record, case, images[case], folder)]
        for case in progress_bar(missing, "predicting", unit="case"):
            probs, affine = probabilities(model, images[case])
            record.classes = record.classes or _file_names(model.classes, len(probs))
            for name, values in zip(record.classes[1:], probs[1:], strict=True):
                _write(folder / f"{case}_{name}.nii.gz", values, affine)
            record.images[case] = file_sha256(images[case])
            record.write(folder)
    return len(missing)


def _is_finished(record: Record, case: str, image: Path, folder: Path) -> bool:
    files = [folder / f"{case}_{name}.nii.gz" for name in record.classes[1:]]
    return bool(files) and all(file.is_file() for file in files) and record.images.get(case) == file_sha256(image)


def probabilities(model: Predictor, image: Path) -> tuple[Tensor, np.ndarray]:
    """The probabilities (C, H, W, D) of an image's voxels, background first, and the image's affine.

    Raises:
        InputError: if the image is damaged or the model cannot take it, or if the model's outputs are not classes on
            the image's grid.
    """
    own = read_volume(image)
    if not np.isfinite(own.voxels).all():
        raise InputError("holds voxels that are NaN or infinite", image, "export it again")
    try:
        data = model.preprocessing({"image": str(image)})
        with torch.inference_mode():
            logits = model.inferer(data["image"][None].to(model.device), model.network)
            probs = _class_probabilities(logits, model)
        invert = Invertd("pred", model.preprocessing, "image", nearest_interp=False, to_tensor=True)
        done = invert({**data, "pred": probs})["pred"]
    except InputError:
        raise
    except Exception as error:
        reason = str(error.__cause__ or error).strip().splitlines()
        told = reason[0] if reason else repr(error)
        raise InputError(f"{model.name} cannot predict it", image, detail=told) from error
    if problem := grid_difference(own, Volume(np.empty(done.shape[1:], bool), done.affine.cpu().numpy())):
        problem = problem.replace("its image", "the image")
        raise InputError(f"the prediction of {model.name} {problem}, its preprocessing cannot be reverted", image)
    return normalised(done.as_tensor().cpu()), own.affine


def _class_probabilities(logits: Any, model: Predictor) -> Tensor:
    """Probabilities (C, ...) that sum to 1, from the output of an inferer (1, C, ...)."""
    if isinstance(logits, tuple | list):
        logits = logits[0]
    if not isinstance(logits, Tensor) or logits.ndim != 5:
        raise InputError(f"{model.name} gives no logits (1, classes, H, W, D), but {_kind(logits)}")
    logits = logits[0].float()
    if not torch.isfinite(logits).all():
        raise InputError(f"{model.name} gives logits that are NaN or infinite")
    is_sigmoid = len(logits) == 1 if model.is_sigmoid is None else model.is_sigmoid
    if not is_sigmoid:
        if len(logits) == 1:
            raise InputError(f"{model.name} has one class and a softmax, which is always sure of it")
        return logits.softmax(dim=0)
    if len(logits) > 1:
        raise InputError(
            f"{model.name} gives {len(logits)} channels with a sigmoid, which may overlap; only classes that exclude "
            "each other can be predicted"
        )
    foreground = logits.sigmoid()
    return torch.cat([1 - foreground, foreground])


def _kind(logits: Any) -> str:
    return str(tuple(logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__


def _file_names(classes: Sequence[str], count: int) -> list[str]:
    """Names for the files of the classes, the background first; numbers if the model does not name all classes."""
    told = list(classes) if len(classes) == count else []
    if len(classes) == count - 1 and count == 2:  # one channel and a sigmoid: the model names only this channel's class
        told = ["background", *classes]
    names = [re.sub(r"[^\w.-]+", "_", name) for name in told]
    if len(set(names)) < count:
        return ["background", *(str(number) for number in range(1, count))]
    return names


def _write(file: Path, values: Tensor, affine: np.ndarray) -> None:
    image = nibabel.Nifti1Image(values.numpy(), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.set_data_dtype(np.uint16)
    replace_file(file, image.to_filename)
