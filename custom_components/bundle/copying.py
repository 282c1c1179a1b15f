"""Copying of a shipped bundle, so that a training never changes the shipped files."""

import json
import shutil
from pathlib import Path

from custom_components.bundle.reading import SHIPPED_BUNDLES
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json


def copy_bundle(name: str, target: Path, image_size: int | None = None, field_of_view: float | None = None) -> None:
    """Copy configs, model card and licence of a bundle; weights that were trained in ``target`` stay.

    Size and field of view are written into every config. So the copy also works for hosts (MONAI Label, MONAI Deploy),
    which open ``inference.json`` alone and give no command line.

    Args:
        name: name of a shipped bundle.
        target: the copy's folder.
        image_size: size of the images in pixels; None keeps size and field of view of the shipped configs.
        field_of_view: side of the central square in mm; None keeps the whole image.

    Raises:
        InputError: if there is no such bundle.
    """
    source = SHIPPED_BUNDLES / name
    if not (source / "configs").is_dir():
        raise InputError(f"no bundle '{name}' in {SHIPPED_BUNDLES}")
    for part in ("configs", "docs"):
        shutil.copytree(source / part, target / part, dirs_exist_ok=True)
    shutil.copy2(source / "LICENSE", target / "LICENSE")
    if image_size is None:
        return
    for config in (target / "configs").glob("*.json"):
        content = json.loads(config.read_text(encoding="utf-8"))
        if "image_size" in content:
            write_json(config, {**content, "image_size": image_size, "field_of_view": field_of_view})
