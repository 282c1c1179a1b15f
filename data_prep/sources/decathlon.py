"""The layout of all tasks of the Medical Segmentation Decathlon: a ``dataset.json`` with lists of images and masks.

Simpson et al., "A large annotated medical image dataset for the development and evaluation of segmentation algorithms"
(2019). If images have several modalities (Task05_Prostate: T2 and ADC in one 4-D file), the T2 is used.
"""

from functools import partial
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import read_volume, volume_name
from data_prep.findings import Finding
from data_prep.folder_tree import FolderTree, unreadable
from data_prep.no_study import is_no_study
from data_prep.sources.case import Listing, SourceCase, SourceOptions, require_site

NAME = "decathlon"


def recognises(tree: FolderTree) -> bool:
    """Whether there is a ``dataset.json``."""
    return tree.root / "dataset.json" in tree.children(tree.root)


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the cases of ``training`` and ``validation``, and the cases of ``test``, which have no masks.

    Raises:
        InputError: if ``dataset.json`` is not of this format, or if no modality or several modalities are T2.
    """
    folder = tree.root
    site = require_site(folder, site)
    path = folder / "dataset.json"
    content = read_json(path)
    channel = _t2_channel(path, content)
    labels = _labels(path, content)
    listing = Listing()
    for key in ("training", "validation", "test"):
        items = content.get(key, [])
        if not isinstance(items, list):
            raise InputError(f"{path}: '{key}' is no list; write it as the Decathlon does")
        for item in items:
            files = {"image": item} if isinstance(item, str) else item
            _add_case(listing, folder, site, files, channel, labels)
    return listing


def _add_case(listing: Listing, folder: Path, site: str, files: Any, channel: int, labels: frozenset[int]) -> None:
    path = folder / "dataset.json"
    image, label = (files.get(kind) for kind in ("image", "label")) if isinstance(files, dict) else (None, None)
    if not isinstance(image, str) or not isinstance(label, str | None):
        listing.findings.append(Finding(str(path), "has an item without image", "name its files", str(files)))
        return
    if is_no_study(Path(image).name):
        listing.notes.append(f"{image}: left aside, its name is that of no study")
        return
    paths = [folder / name for name in (image, label) if name]
    if fault := next(filter(None, map(_not_a_file, paths)), None):
        listing.findings.append(fault)
        return
    name = volume_name(paths[0])
    listing.cases.append(
        SourceCase(
            site=site,
            name=name,
            patient=name,
            source=Path(image).as_posix(),
            image=paths[0],
            label=paths[1] if label else None,
            files=tuple(paths),
            read_image=partial(read_volume, paths[0], channel),
            read_label=partial(read_volume, paths[1]) if label else None,
            labels=labels,
        )
    )


def _not_a_file(path: Path) -> Finding | None:
    try:
        if path.is_file():
            return None
    except OSError as error:
        return unreadable(path, error)
    return Finding(str(path), "is named in dataset.json but missing", "restore it")


def _t2_channel(path: Path, content: dict[str, Any]) -> int:
    modalities = content.get("modality", {"0": "T2"})
    if not isinstance(modalities, dict) or not all(number.isdecimal() for number in modalities):
        raise InputError(f"{path}: 'modality' must be like {{'0': 'T2', '1': 'ADC'}}")
    if len(modalities) == 1:
        return 0
    t2 = [int(number) for number, name in modalities.items() if str(name).upper().startswith("T2")]
    if len(t2) != 1:
        named = ", ".join(map(str, modalities.values()))
        raise InputError(f"{path}: has the modalities {named}; exactly one must be T2")
    return t2[0]


def _labels(path: Path, content: dict[str, Any]) -> frozenset[int]:
    try:
        return frozenset(int(value) for value in content.get("labels", {"0": "background", "1": "prostate"}))
    except (TypeError, ValueError):
        raise InputError(f"{path}: 'labels' must be like {{'0': 'background', '1': 'prostate'}}") from None
