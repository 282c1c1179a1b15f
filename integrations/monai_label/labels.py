"""Reading of an annotator's label, and writing of a training dataset from all labels."""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, write_json
from custom_components.foundation.grids import grid_difference, on_grid_of
from custom_components.foundation.nifti import Volume, read_volume, require_millimetres, volume_name
from data_prep.files import voxel_sha256
from data_prep.mask_values import in_words, whole_labels
from data_prep.volumes import write_volume

logger = logging.getLogger(__name__)


def read_label(label: str | Path, image: Volume) -> Volume:
    """A prostate mask on the grid of its image, uint8 0/1.

    Args:
        label: NIfTI file; its axes may point in other directions than the image's axes.
        image: the image that the label was drawn on.

    Raises:
        InputError: if the label is damaged, lies on another grid, is empty, or holds other values than 0 and 1
            (:mod:`data_prep.mask_values` allows for rounding).
    """
    mask = on_grid_of(image, read_volume(Path(label), upright=False))
    voxels = whole_labels(mask.voxels)
    values = np.unique(voxels)
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"{label}: holds the values {in_words(values)}; save the prostate alone, as 1 on 0")
    if not values.any():
        raise InputError(f"{label}: is empty; draw the prostate first")
    if problem := grid_difference(image, mask):
        raise InputError(
            f"{label}: does not lie on its image's grid (it {problem}); save it with the image as reference"
        )
    return Volume(voxels.astype(np.uint8), image.affine)


def write_dataset(
    pairs: Iterable[Mapping[str, str]], folder: Path, validation_share: float, unlabeled: Iterable[str] = ()
) -> Path:
    """Make a dataset of the studies' images for the bundles' ``train.json``: masks and ``splits/all.json``.

    The images are not copied. When cases are added later, the others stay in their list, except a few that are moved to
    keep the share. There are no test cases.

    Args:
        pairs: ``{"image": file, "label": file}`` for every labelled image.
        folder: folder of the dataset. The files of an earlier call are replaced, and prepared volumes are kept.
        validation_share: share of the validation cases, which decide the best epoch; between 0 and 1.
        unlabeled: the files of images without a label, for a training that uses them. A bad one is left out, with a
            line in the log.

    Returns:
        The folder.

    Raises:
        InputError: if the share leaves no training case and no image without a label is fit, or if a labelled image or
            its label is bad.
    """
    if not 0 <= validation_share < 1:
        raise InputError(f"val_split: {validation_share:g} is not a share from 0 to below 1")
    labels = folder / "labels"
    shutil.rmtree(labels, ignore_errors=True)
    labels.mkdir(parents=True)
    cases = []
    for pair in pairs:
        image, name = _read_image(pair["image"]), volume_name(pair["image"])
        label = labels / f"{name}.nii.gz"
        write_volume(label, read_label(pair["label"], image))
        mask = {"label": f"labels/{name}.nii.gz", "label_sha256": file_sha256(label)}
        cases.append(_case(pair["image"], image) | mask)
    without_masks = list(_without_masks(unlabeled))
    validation = round(len(cases) * validation_share)
    if len(cases) <= validation and not without_masks:
        raise InputError(f"{len(cases)} labelled images, {validation} of them to validate with; label more first")
    cases.sort(key=lambda case: hashlib.sha256(case["case"].encode()).digest())
    split = {"name": "labels", "training": cases[validation:], "validation": cases[:validation], "test": []}
    split |= {"unlabeled": without_masks} if without_masks else {}
    write_json(folder / "splits" / "all.json", split)
    return folder


def _without_masks(images: Iterable[str]) -> Iterator[dict[str, str]]:
    for file in images:
        try:
            yield _case(file, _read_image(file))
        except InputError as fault:
            logger.warning(f"left out of the training: {fault}")


def _read_image(file: str) -> Volume:
    image = read_volume(Path(file))
    require_millimetres(Path(file))
    return image


def _case(file: str, image: Volume) -> dict[str, str]:
    hashes = {"voxel_sha256": voxel_sha256(image.voxels)}
    return {"image": str(Path(file).resolve()), "case": volume_name(file), **hashes}
