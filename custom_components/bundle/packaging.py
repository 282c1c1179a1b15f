"""Packing of a trained bundle into one zip that runs where MONAI is installed. The name follows MONAI's model zoo."""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

import torch
from monai.data import load_net_with_metadata

from custom_components.bundle.card import model_card, package_commands
from custom_components.bundle.configs import LAYERS
from custom_components.bundle.facts import find_student_or_teacher, fitting_provenance, read_facts
from custom_components.bundle.reading import SHIPPED_BUNDLES, Bundle
from custom_components.checkpoint import read_checkpoint
from custom_components.export import without_paths
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, replace_file
from custom_components.loss_terms import TERMS
from custom_components.provenance import public_provenance

# The folder that holds custom_components: the checkout, or the site-packages of an installation.
CODE = SHIPPED_BUNDLES.parent


def package(name_or_path: str, out: Path) -> Path:
    """Write ``prostate_mri_<bundle>_v<version>.zip``; the same bundle always gives the same bytes.

    Args:
        name_or_path: a trained bundle: its name in the repository, or its folder.
        out: folder of the zip; made if missing.

    Returns:
        The path of the zip.

    Raises:
        InputError: if the bundle has no weights, or if the weights do not fit its provenance, configs or ``model.ts``.
    """
    bundle = find_student_or_teacher(name_or_path)
    metadata = read_json(bundle.path / "configs" / "metadata.json")
    provenance = fitting_provenance(bundle, bundle.path / "configs")
    facts = read_facts(bundle, provenance)
    if facts["evaluation"] is None:
        print("note: no figures in the model card: the weights were not evaluated (output/evaluation.json)")

    name = f"prostate_mri_{bundle.name}"
    configs = _configs(bundle.path / "configs", name)
    card = model_card(metadata, json.loads(configs["configs/inference.json"]), facts, package_commands(metadata))
    files = {
        **configs,
        **{path: (CODE / path).read_bytes() for path in needed_modules(configs.values())},
        **_models(bundle),
        "models/provenance.json": _json(public_provenance(provenance)),
        "docs/README.md": card.encode(),
        "docs/facts.json": _json(facts),
        "LICENSE": (bundle.path / "LICENSE").read_bytes(),
    }
    sums = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    files["SHA256SUMS"] = sums.encode()
    target = out / f"{name}_v{metadata['version']}.zip"
    replace_file(target, lambda partial: _zip(partial, {f"{name}/{path}": content for path, content in files.items()}))
    return target


def needed_modules(configs: Iterable[bytes]) -> list[str]:
    """The files of ``custom_components`` that the configs' components import, relative to the folder that holds it."""
    finder = ModuleFinder(path=[str(CODE)])
    named = {name for config in configs for name in re.findall(r"custom_components[.\w]*\.\w+", config.decode())}
    # The table of loss terms holds class names as text, and a loss imports the classes by these names.
    for name in named.union(TERMS.values()):
        finder.import_hook(name.rpartition(".")[0])
    files = [Path(module.__file__) for module in finder.modules.values() if module.__file__]
    return sorted(file.relative_to(CODE).as_posix() for file in files)


def _configs(folder: Path, name: str) -> dict[str, bytes]:
    """The generated configs, without files that the user has added. They look for the bundle under its new name."""
    names = [*(f"{kind}.json" for kind in LAYERS), "logging.conf"]
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in names}
    return {f"configs/{file}": re.sub(r"'bundles/[^']+'", f"'{name}'", text).encode() for file, text in texts.items()}


def _models(bundle: Bundle) -> dict[str, bytes]:
    files = {"models/model.pt": bundle.model_file.read_bytes()}
    script = bundle.path / "models" / "model.ts"
    if script.is_file():
        try:
            exported = load_net_with_metadata(script, map_location="cpu")[0].state_dict()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{script}: not a TorchScript that can be read; export it again or delete it") from error
        weights = read_checkpoint(bundle.model_file)
        if exported.keys() != weights.keys() or not all(torch.equal(exported[key], weights[key]) for key in weights):
            raise InputError(f"{script}: exported from other weights than model.pt; export it again or delete it")
        files["models/model.ts"] = without_paths(script)
    return files


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            # A new ZipInfo always has the same time stamp, so the zip always has the same bytes.
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)
