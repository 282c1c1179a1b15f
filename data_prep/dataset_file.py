"""The reading of ``dataset.json``, for every command that splits, joins or adds to a dataset."""

from pathlib import Path
from typing import Any

from custom_components.errors import InputError
from custom_components.files import read_json

ENTRY_KEYS = {"case", "site", "patient", "image", "label", "voxel_sha256"}


def read_dataset(dataset: Path) -> dict[str, Any]:
    """What ``dataset.json`` says, with the entries of the cases under ``cases``.

    Raises:
        InputError: when there is none, or it is not of this project, as the Decathlon's of the same name is not.
    """
    path = dataset / "dataset.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; make the dataset with python -m data_prep import")
    content = read_json(path)
    if not isinstance(content.get("cases"), list):
        raise InputError(f"{path}: is of another format; make a dataset of it with python -m data_prep import")
    for entry in content["cases"]:
        lacking = sorted(ENTRY_KEYS - entry.keys()) if isinstance(entry, dict) else ["its keys"]
        if lacking:
            raise InputError(f"{path}: has a case without {', '.join(lacking)}; import the dataset again")
    return content
