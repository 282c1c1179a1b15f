"""Reading a split: a Decathlon-style datalist."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.data import load_decathlon_datalist

from custom_components.errors import InputError
from custom_components.files import read_json
from custom_components.nifti import volume_name


def load_datalist(datalist: str | Path, part: str, dataset_dir: str | Path) -> list[dict[str, Any]]:
    """The cases of one part of a split, with the paths of image and label made absolute.

    A case without a name, as in a plain Decathlon list, is called as its image; one without a site has the site "".

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
    # MONAI's reader looks into the first case, which a split without validation cases has not.
    cases = load_decathlon_datalist(str(datalist), True, part, str(dataset_dir)) if cases else []
    return [{"case": case_name(case), "site": "", **case} for case in cases]


def case_name(case: Mapping[str, Any]) -> str:
    """What a case is called: its own name, else its image's without the ending."""
    return case.get("case") or volume_name(case["image"])
