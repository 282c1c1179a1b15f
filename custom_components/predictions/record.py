"""The file ``predictions.json`` of a folder of predictions, which names the model and the images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json

FILE = "predictions.json"


@dataclass
class Record:
    """The content of ``predictions.json``.

    Attributes:
        name: name of the model.
        classes: names of the model's classes, which are parts of the file names ``<case>_<class>.nii.gz``.
        weights_sha256: SHA-256 of the model's weights.
        model: everything else that the predictions depend on, as plain JSON.
        cases: the cases that the model was trained and validated on, as
            :func:`custom_components.provenance.public_provenance` gives them; None if these cases are not known.
        images: SHA-256 of the image file of each finished case.
    """

    name: str
    classes: list[str]
    weights_sha256: str
    model: dict[str, Any] = field(default_factory=dict)
    cases: dict[str, list[dict[str, str]]] | None = None
    images: dict[str, str] = field(default_factory=dict)

    def is_of_the_model_of(self, other: "Record") -> bool:
        """Whether both records name the same model."""
        own, others = asdict(self), asdict(other)
        return all(own[key] == others[key] for key in ("classes", "weights_sha256", "model"))

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))


def read_record(folder: Path) -> Record | None:
    """Read the record of a folder; None if the folder has no record, because another program has written it.

    Raises:
        InputError: if the file is damaged or of another format.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    content = read_json(file)
    kinds: Mapping[str, Any] = {
        "name": str,
        "classes": list,
        "weights_sha256": str,
        "model": dict,
        "cases": dict | None,
        "images": dict,
    }
    if wrong := [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]:
        raise InputError(f"has no fit value of {', '.join(wrong)}", file, "write the folder again, or remove the file")
    return Record(**{key: content[key] for key in kinds})
