"""The volumes to evaluate or to segment: a list of them, and a check of all before any work starts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import is_nifti_name, read_volume, require_millimetres


def list_volumes(folder: str | Path) -> list[str]:
    """The NIfTI files of a folder that are not hidden, in the order of their names.

    Raises:
        InputError: if the folder is missing or cannot be read.
    """
    folder = Path(folder)
    try:
        return sorted(str(path) for path in folder.iterdir() if is_nifti_name(path) and not path.is_dir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error}); give a folder of volumes") from error


def volumes_to_segment(paths: Iterable[str]) -> list[dict[str, str]]:
    """Volumes as a pipeline of MONAI takes them: ``image`` is the path."""
    return [{"image": path} for path in paths]


def volumes_to_score(cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cases as an evaluation takes them: the mask is called ``truth``, so that the preprocessing, which looks for
    ``label``, leaves it on its own grid.

    Args:
        cases: as :func:`load_datalist` gives them.
    """
    return [
        {"image": case["image"], "truth": case["label"], "case": case["case"], "site": case["site"]} for case in cases
    ]


def check_cases(cases: Iterable[Mapping[str, Any]]) -> None:
    """:func:`check_volumes` of the image and the mask of every case.

    Args:
        cases: as :func:`load_datalist` gives them.

    Raises:
        InputError: as :func:`check_volumes`, if there is no case, or if a case has no mask.
    """
    cases = list(cases)
    if not cases:
        raise InputError(
            "no case to score in this part of the split; give another --part, or draw masks and split again"
        )
    if without := [case for case in cases if not case.get("label")]:
        raise InputError(f"{without[0]['image']}: has no mask to score with; give another --part")
    check_volumes(case[key] for case in cases for key in ("image", "label"))


def check_volumes(paths: Iterable[str | Path]) -> None:
    """Read every NIfTI once, so that a bad file is reported before the work on the first file starts.

    Args:
        paths: NIfTI files, each of one scalar volume (H, W, D); further axes of length 1 are allowed.

    Raises:
        InputError: if :func:`read_volume` refuses a file, if a file holds a value that is not finite, or if its unit is
            not mm (MONAI, which reads the file next, takes every number for mm). The message names the file.
    """
    for path in paths:
        if not np.isfinite(read_volume(Path(path)).voxels).all():
            raise InputError(f"{path}: holds voxels that are NaN or infinite; export it again")
        require_millimetres(path)
