"""Reading a split: a Decathlon-style datalist."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.data import load_decathlon_datalist

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import volume_name


def load_datalist(datalist: str | Path, part: str, dataset_dir: str | Path) -> list[dict[str, Any]]:
    """The cases of one part of a split, with absolute paths of image and label.

    A case without a name, as in a plain Decathlon list, gets the name of its image. A case without a site gets "".

    Args:
        datalist: the split file.
        part: ``training``, ``validation`` or ``test``.
        dataset_dir: the folder that the split's paths are relative to.

    Raises:
        InputError: if the split file is missing, is no JSON object, or has no such part.
    """
    if not Path(datalist).is_file():
        raise InputError(f"{datalist}: no such split; give --dataset_dir (and --datalist), or run data_prep split")
    cases = read_json(datalist).get(part)
    if not isinstance(cases, list):
        raise InputError(f"{datalist}: has no list '{part}'; write splits with python -m data_prep split")
    # MONAI's reader needs a first case, and a split without validation cases has no first case.
    cases = load_decathlon_datalist(str(datalist), True, part, str(dataset_dir)) if cases else []
    return [{"case": case_name(case), "site": "", **case} for case in cases]


def case_name(case: Mapping[str, Any]) -> str:
    """The name of a case: its own name or, if it has no name, its image's name without the ending."""
    return case.get("case") or volume_name(case["image"])
