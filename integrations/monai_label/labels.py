"""A label that an annotator hands in, and a dataset of all of them to train on."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from custom_components.errors import InputError
from custom_components.files import file_sha256, write_json
from custom_components.nifti import Volume, read_volume, require_millimetres, volume_name
from data_prep.files import voxel_sha256
from data_prep.mask_values import in_words, whole_labels
from data_prep.volumes import grid_difference, on_grid_of, write_volume


def read_label(label: str | Path, image: Volume) -> Volume:
    """A prostate mask on the grid of its image, uint8 0/1.

    Args:
        label: NIfTI file; its axes may run otherwise than the image's.
        image: the image that it was drawn on.

    Raises:
        InputError: if it is damaged, lies on another grid, is empty, or holds other values than 0 and 1, but for the
            rounding of :mod:`data_prep.mask_values`.
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
    """Make a dataset of labelled images that the bundles' ``train.json`` takes: masks and ``splits/all.json``.

    The images stay where they are. A case stays on its side of the split as others join, but for the few that keep the
    share; there are no test cases.

    Args:
        pairs: ``{"image": file, "label": file}`` of every labelled image.
        folder: of the dataset; what an earlier call wrote is replaced, and prepared volumes are kept.
        validation_share: between 0 and 1, of the cases that choose the best epoch.

    Returns:
        The folder.

    Raises:
        InputError: if there is no pair, the share leaves nothing to train on, or an image or a label is bad.
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
