"""Writes every bundle's flat configs from ``_base`` and its ``bundle.yaml``; with ``--check`` only compares.

MONAI Label and MONAI Deploy open exactly one file, and overrides reach only what stands in it, so each config must be
whole (docs/adr/0001-flat-generated-configs.md).
"""

import argparse
import copy
import difflib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from card import model_card, repository_commands

BUNDLES = Path(__file__).resolve().parent
BASE = BUNDLES / "_base"
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
    """``config`` with ``changes`` laid over it; a key ``a::b`` reaches into mappings and, by number, into lists."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split("::")
        place: Any = config
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        if value == "<remove>":
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return config


def build(bundle: Path) -> dict[Path, str]:
    """The generated files of one bundle: path below the bundle to text."""
    special = read_yaml(bundle / "bundle.yaml")
    files: dict[Path, str] = {}
    for kind, layers in LAYERS.items():
        config: dict[str, Any] = {}
        for layer in layers:
            config |= read_yaml(BASE / f"{layer}.yaml")
        if "common" in layers:
            config = lay_over(config, special.get("all", {}))
        config = lay_over(config, special.get(kind, {}))
        text = json.dumps(config, indent=4, ensure_ascii=False).replace("bundles/NAME", f"bundles/{bundle.name}")
        files[Path("configs") / f"{kind}.json"] = text + "\n"
    files[Path("configs/logging.conf")] = (BASE / "logging.conf").read_text(encoding="utf-8")
    files[Path("LICENSE")] = (BUNDLES.parent / "LICENSE").read_text(encoding="utf-8")
    configs = {kind: json.loads(files[Path("configs") / f"{kind}.json"]) for kind in ("metadata", "inference")}
    files[Path("docs/README.md")] = checked_in_card(bundle, special.get("options", {}), configs)
    return files


def checked_in_card(bundle: Path, options: dict[str, str], configs: dict[str, dict[str, Any]]) -> str:
    """The model card in the repository, with the figures that ``make card`` took from an evaluation, if it did."""
    facts = bundle / "docs" / "facts.json"
    # The weights of a distillation are in its student's bundle.
    commands = repository_commands(bundle.name, options, has_weights="student" not in configs["inference"])
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.is_file() else None
    return model_card(configs["metadata"], configs["inference"], known, commands) + GENERATED


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; show what differs and exit with 1")
    check = parser.parse_args().check
    stale = 0
    for bundle in sorted(path.parent for path in BUNDLES.glob("*/bundle.yaml")):
        for relative, text in build(bundle).items():
            path = bundle / relative
            found = path.read_text(encoding="utf-8") if path.is_file() else ""
            if found == text:
                continue
            stale += 1
            if check:
                names = (f"{path.relative_to(BUNDLES)} (checked in)", "(generated)")
                sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), text.splitlines(True), *names))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                print(f"wrote {path.relative_to(BUNDLES.parent)}")
    if check and stale:
        print(f"{stale} generated files differ from their sources; run: make configs", file=sys.stderr)
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
