"""The generated files of the bundles: flat configs from ``_base`` and ``bundle.yaml``, and the model card.

MONAI Label and MONAI Deploy open exactly one file, and overrides change only keys of that file. So each config must be
complete (docs/adr/0001-flat-generated-configs.md).
"""

import copy
import difflib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from custom_components.bundle.card import model_card, repository_commands
from custom_components.bundle.reading import SHIPPED_BUNDLES
from custom_components.foundation.files import write_text

GENERATED = "\nGenerated from `bundles/_base` and `bundle.yaml` by `make configs`, figures by `make card`.\n"
LAYERS = {
    "preprocessing": ["common", "preprocessing"],
    "train": ["common", "train"],
    "multi_gpu_train": ["multi_gpu_train"],
    "evaluate": ["common", "volumes", "evaluate"],
    "inference": ["common", "volumes", "inference"],
    "metadata": ["metadata"],
}


def read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def lay_over(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``config`` with ``changes`` applied; a key ``a::b`` reaches into mappings and, by number, into lists.

    >>> lay_over({"train": {"lr": 0.1, "steps": ["read", "flip"]}}, {"train::steps::1": "scale", "seed": 7})
    {'train': {'lr': 0.1, 'steps': ['read', 'scale']}, 'seed': 7}
    """
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split("::")
        place: Any = config
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[int(last) if isinstance(place, list) else last] = value
    return config


def generated_files(bundle: Path, bundles: Path = SHIPPED_BUNDLES) -> dict[Path, str]:
    """The texts of the generated files of one bundle, by path below the bundle.

    Args:
        bundle: folder with a ``bundle.yaml``.
        bundles: folder with ``_base``, beside the LICENSE of the repository.
    """
    base = bundles / "_base"
    special = read_yaml(bundle / "bundle.yaml")
    files: dict[Path, str] = {}
    for kind, layers in LAYERS.items():
        config: dict[str, Any] = {}
        for layer in layers:
            config |= read_yaml(base / f"{layer}.yaml")
        if "common" in layers:
            config = lay_over(config, special.get("all", {}))
        config = lay_over(config, special.get(kind, {}))
        text = json.dumps(config, indent=4, ensure_ascii=False).replace("bundles/NAME", f"bundles/{bundle.name}")
        files[Path("configs") / f"{kind}.json"] = text + "\n"
    files[Path("configs/logging.conf")] = (base / "logging.conf").read_text(encoding="utf-8")
    files[Path("LICENSE")] = (bundles.parent / "LICENSE").read_text(encoding="utf-8")
    configs = {kind: json.loads(files[Path("configs") / f"{kind}.json"]) for kind in ("metadata", "inference")}
    files[Path("docs/README.md")] = checked_in_card(bundle, special.get("options", {}), configs)
    return files


def checked_in_card(bundle: Path, options: dict[str, str], configs: dict[str, dict[str, Any]]) -> str:
    """The model card in the repository. It holds the figures of an evaluation if ``make card`` has saved them."""
    facts = bundle / "docs" / "facts.json"
    # A distillation writes its weights into the student's bundle.
    commands = repository_commands(bundle.name, options, has_weights="student" not in configs["inference"])
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else None
    return model_card(configs["metadata"], configs["inference"], known, commands) + GENERATED


def build(bundles: Path, check: bool = False) -> bool:
    """Write the generated files of every bundle in a folder.

    Args:
        bundles: holds ``_base`` and the bundles, beside the LICENSE of the repository.
        check: write nothing; print how the files on disk differ.

    Returns:
        Whether every file was up to date.
    """
    stale = 0
    for bundle in sorted(path.parent for path in bundles.glob("*/bundle.yaml")):
        for relative, text in generated_files(bundle, bundles).items():
            path = bundle / relative
            found = path.read_text(encoding="utf-8") if path.is_file() else ""
            if found == text:
                continue
            stale += 1
            if check:
                names = (f"{path.relative_to(bundles)} (checked in)", "(generated)")
                sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), text.splitlines(True), *names))
            else:
                write_text(path, text)
                print(f"wrote {path.relative_to(bundles.parent)}")
    if check and stale:
        print(f"{stale} generated files differ from their sources; run: make configs", file=sys.stderr)
    return not stale
