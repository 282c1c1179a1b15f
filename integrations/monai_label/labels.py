"""Reading of an annotator's label, and writing of a training dataset from all labels."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, write_json
from custom_components.foundation.grids import grid_difference, on_grid_of
from custom_components.foundation.nifti import Volume, read_volume, require_millimetres, volume_name
from data_prep.files import voxel_sha256
from data_prep.mask_values import in_words, whole_labels
from data_prep.volumes import write_volume


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


def write_dataset(pairs: Iterable[Mapping[str, str]], folder: Path, validation_share: float) -> Path:
    """Make a dataset of labelled images for the bundles' ``train.json``: masks and ``splits/all.json``.

    The images are not copied. When cases are added later, the others stay in their list, except a few that are moved to
    keep the share. There are no test cases.

    Args:
        pairs: ``{"image": file, "label": file}`` for every labelled image.
        folder: folder of the dataset. The files of an earlier call are replaced, and prepared volumes are kept.
        validation_share: share of the validation cases, which decide the best epoch; between 0 and 1.

    Returns:
        The folder.

    Raises:
        InputError: if there is no pair, if the share leaves no training case, or if an image or a label is bad.
    """
    if not 0 <= validation_share < 1:
        raise InputError(f"val_split: {validation_share:g} is not a share from 0 to below 1")
    labels = folder / "labels"
    shutil.rmtree(labels, ignore_errors=True)
    labels.mkdir(parents=True)
    cases = []
    for pair in pairs:
        name = volume_name(pair["image"])
        image = read_volume(Path(pair["image"]))
        require_millimetres(Path(pair["image"]))
        label = labels / f"{name}.nii.gz"
        write_volume(label, read_label(pair["label"], image))
        files = {"image": str(Path(pair["image"]).resolve()), "label": f"labels/{name}.nii.gz"}
        hashes = {"voxel_sha256": voxel_sha256(image.voxels), "label_sha256": file_sha256(label)}
        cases.append({**files, "case": name, **hashes})
    validation = round(len(cases) * validation_share)
    if len(cases) <= validation:
        raise InputError(f"{len(cases)} labelled images, {validation} of them to validate with; label more first")
    cases.sort(key=lambda case: hashlib.sha256(case["case"].encode()).digest())
    split = {"name": "labels", "training": cases[validation:], "validation": cases[:validation], "test": []}
    write_json(folder / "splits" / "all.json", split)
    return folder
