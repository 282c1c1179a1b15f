"""Read a split file, which is a datalist in the style of the Decathlon."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.data import load_decathlon_datalist

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import volume_name
from custom_components.foundation.split_lists import HELD_OUT, UNLABELED


def load_datalist(datalist: str | Path, part: str, dataset_dir: str | Path) -> list[dict[str, Any]]:
    """The cases of one part of a split, with absolute paths of image and label.

    A case without a name, as in a plain Decathlon list, gets the name of its image. A case without a site gets "".

    Args:
        datalist: the split file.
        part: ``training``, ``validation``, ``test`` or ``unlabeled`` (images without masks). If the split file has no
            list ``unlabeled``, the result is empty.
        dataset_dir: the folder that the split's paths are relative to.

    Raises:
        InputError: if the split file is missing, is no JSON object, or has no such part; if a case has no image; if an
            image without a mask is of a patient who also has a validation or test case.
    """
    if not Path(datalist).is_file():
        raise InputError(f"{datalist}: no such split; give --dataset_dir (and --datalist), or run data_prep split")
    split = read_json(datalist)
    cases = split.get(part, [] if part == UNLABELED else None)
    if not isinstance(cases, list):
        raise InputError(f"{datalist}: has no list '{part}'; write splits with python -m data_prep split")
    if part == UNLABELED:
        _check_unlabeled(datalist, split)
    # MONAI's reader needs a first case, and a split without validation cases has no first case.
    cases = load_decathlon_datalist(str(datalist), True, part, str(dataset_dir)) if cases else []
    return [{"case": case_name(case), "site": "", **case} for case in cases]


def case_name(case: Mapping[str, Any]) -> str:
    """The name of a case: its own name or, if it has no name, its image's name without the ending."""
    return case.get("case") or volume_name(case["image"])


def patients_in_two_lists(
    split: Mapping[str, Any], part: str, others: Sequence[str] = HELD_OUT
) -> list[tuple[str, str, str]]:
    """The cases of one part that have the same patient, or the same image, as a case of another part.

    Args:
        split: the content of a split file.
        part: the part whose cases are looked up.
        others: the parts that they must not share a patient with.

    Returns:
        For each such case its name, the other case's name, and the other part.
    """
    shared = {}
    for key in ("patient", "voxel_sha256", "image"):
        owners = {
            case[key]: (case_name(case), other) for other in others for case in _items(split, other) if case.get(key)
        }
        for case in _items(split, part):
            if case.get(key) in owners:
                shared.setdefault(case_name(case), owners[case[key]])
    return [(name, *owner) for name, owner in shared.items()]


def _items(split: Mapping[str, Any], part: str) -> list[Mapping[str, Any]]:
    """The cases of a part. In a plain Decathlon datalist, a test case is only the path of its image."""
    return [case if isinstance(case, Mapping) else {"image": case} for case in split.get(part) or []]


def _check_unlabeled(datalist: str | Path, split: Mapping[str, Any]) -> None:
    for case in split.get(UNLABELED, []):
        if not isinstance(case, Mapping) or not isinstance(case.get("image"), str):
            raise InputError(
                f"{datalist}: a case of '{UNLABELED}' has no image; write splits with python -m data_prep split"
            )
    if shared := patients_in_two_lists(split, UNLABELED):
        name, other, part = shared[0]
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(
            f"{datalist}: {name}{more} in '{UNLABELED}' is of the same patient as {other} in '{part}'; keep a patient "
            "in one list, as python -m data_prep split does"
        )
