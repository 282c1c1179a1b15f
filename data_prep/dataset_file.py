"""Reading of ``dataset.json``, for all commands that use a dataset."""

from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json

ENTRY = {"case": str, "site": str, "patient": str, "image": str, "label": str | None, "voxel_sha256": str}


def read_dataset(dataset: Path) -> dict[str, Any]:
    """The content of ``dataset.json``, with the entries of the cases under ``cases``.

    Raises:
        InputError: if there is no such file, or if another project has written it, such as the Decathlon.
    """
    path = dataset / "dataset.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; make the dataset with python -m data_prep import")
    content = read_json(path)
    if not isinstance(content.get("cases"), list):
        raise InputError(f"{path}: is of another format; make a dataset of it with python -m data_prep import")
    for entry in content["cases"]:
        known = entry if isinstance(entry, dict) else {}
        lacking = [key for key, kind in ENTRY.items() if not isinstance(known.get(key, ...), kind)]
        if lacking:
            raise InputError(f"{path}: has a case without {', '.join(lacking)}; import the dataset again")
    return content
