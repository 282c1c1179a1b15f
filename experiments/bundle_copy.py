"""A study's own copy of a bundle, so that its runs never touch the repository's bundles."""

import json
import shutil
from pathlib import Path

from custom_components.errors import InputError
from custom_components.files import write_json

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"


def copy_bundle(name: str, target: Path, image_size: int, field_of_view: float | None = None) -> None:
    """Copy configs, model card and licence of a bundle, set to an image size; what was trained in ``target`` stays.

    Size and field of view go into every config, not onto the command line, so that the copy serves hosts (MONAI Label,
    MONAI Deploy), which open ``inference.json`` alone.

    Args:
        name: of a bundle of this repository.
        target: the copy's folder.
        image_size: in pixels.
        field_of_view: in mm; None keeps the whole image.

    Raises:
        InputError: if there is no such bundle.
    """
    source = BUNDLES / name
    if not (source / "configs").is_dir():
        raise InputError(f"no bundle '{name}' in {BUNDLES}")
    for part in ("configs", "docs"):
        shutil.copytree(source / part, target / part, dirs_exist_ok=True)
    shutil.copy2(source / "LICENSE", target / "LICENSE")
    for config in (target / "configs").glob("*.json"):
        content = json.loads(config.read_text(encoding="utf-8"))
        if "image_size" in content:
            write_json(config, {**content, "image_size": image_size, "field_of_view": field_of_view})
