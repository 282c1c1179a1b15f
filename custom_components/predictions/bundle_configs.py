"""The inference config of a bundle.

The config of a bundle of this project is only read, and a shipped bundle's config runs in its place. Any other config
runs only if the user allows it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser

from custom_components.bundle.parsing import parse_config
from custom_components.bundle.reading import SHIPPED_BUNDLES, find_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.options import as_meant

# The parts of an inference config that must be this project's own, and the values that may differ between its bundles.
PARTS, SIZES = ("preprocessing", "inferer", "postprocessing"), ("image_size", "field_of_view")


@dataclass(frozen=True)
class BundleConfigs:
    """The configs of a bundle, with a parser that may run them."""

    folder: Path
    inference: dict[str, Any]
    parser: ConfigParser
    is_own: bool

    @property
    def class_names(self) -> list[str]:
        """The names of the channels of ``pred`` in ``metadata.json``; empty if the file does not name them."""
        return class_names(self.folder)

    @property
    def is_sigmoid(self) -> bool | None:
        """Whether the postprocessing has a sigmoid; None if it has neither sigmoid nor softmax."""
        return _is_sigmoid(self.inference.get("postprocessing"))

    def part(self, key: str) -> Any:
        """Run a part of the config, and return the result."""
        try:
            return self.parser.get_parsed_content(key)
        except Exception as error:
            reason = str(error.__cause__ or error).strip().splitlines()
            told = reason[0] if reason else repr(error)
            raise InputError(f"its {key} cannot be made", self.folder / "configs", detail=told) from error


def open_configs(bundle: str, run_code_of: str | None = None, device: str | None = None) -> BundleConfigs:
    """Open the inference config of a bundle.

    Args:
        bundle: the name of a bundle of this project, or a bundle's folder.
        run_code_of: the name of the folder, if the bundle is of another project and its code may run.
        device: the device, instead of the config's device.

    Raises:
        InputError: if there is no such bundle, if its code must run and ``run_code_of`` does not name it, or if this
            machine has no such device.
    """
    folder = _find(bundle)
    file = next((file for file in _config_files(folder) if file.is_file()), None)
    if file is None:
        raise InputError("has no configs/inference.json", folder, "give a bundle that can be used for inference")
    changes: dict[str, Any] = {} if device is None else {"device": as_meant("device", device, {})}
    if run_code_of is not None:
        if run_code_of != folder.name:
            raise InputError(f"--run-code-of {run_code_of}: the bundle is called {folder.name}; name that one")
        sys.path.insert(1, str(folder))  # monai.bundle does the same, so that a bundle finds its own modules
        inference = _read(file)
        changes["bundle_root"] = str(folder)
        return BundleConfigs(folder, inference, parse_config(inference, changes), is_own=False)
    inference = _with_our_code(folder, file)
    return BundleConfigs(folder, inference, parse_config(inference, changes), is_own=True)


def _config_files(folder: Path) -> list[Path]:
    return [folder / "configs" / f"inference{ending}" for ending in (".json", ".yaml", ".yml")]


def _read(file: Path) -> dict[str, Any]:
    """Read the content of a config without running it."""
    if file.suffix == ".json":
        return read_json(file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("not a YAML file", file, detail=str(error).splitlines()[0]) from None
    if not isinstance(content, dict):
        raise InputError("holds no config", file)
    return content


def _find(bundle: str) -> Path:
    """The folder itself if it holds an inference config, otherwise the result of :func:`find_bundle`."""
    is_path = Path(bundle).name != bundle or not (SHIPPED_BUNDLES / bundle).is_dir()
    if is_path and any(file.is_file() for file in _config_files(Path(bundle))):
        return Path(bundle).resolve()
    return find_bundle(bundle, SHIPPED_BUNDLES)


def _with_our_code(folder: Path, file: Path) -> dict[str, Any]:
    """The inference config of a shipped bundle with the sizes of another bundle, whose config is only read.

    Raises:
        InputError: if the other config has another preprocessing, inferer or postprocessing, or if a size in it is not
            a number.
    """
    own = read_json(SHIPPED_BUNDLES / "enet" / "configs" / "inference.json")
    theirs = _read(file)
    foreign = [part for part in PARTS if theirs.get(part) != own[part]]
    sizes = {key: theirs.get(key) for key in SIZES}
    if not foreign and not all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in sizes.values()
    ):
        foreign = list(SIZES)
    if foreign:
        raise InputError(
            f"its {foreign[0]} is not this project's, so its own code would have to run",
            file,
            f"if you trust it, give --run-code-of {folder.name}",
        )
    return {**own, **sizes}


def class_names(folder: Path) -> list[str]:
    """The names of the channels of ``pred`` in ``metadata.json``; empty if the file does not name them."""
    file = folder / "configs" / "metadata.json"
    told: Any = read_json(file) if file.is_file() else {}
    for key in ("network_data_format", "outputs", "pred", "channel_def"):
        told = told.get(key) if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not all(str(number) in told for number in range(len(told))):
        return []
    return [str(told[str(number)]) for number in range(len(told))]


def _is_sigmoid(postprocessing: Any) -> bool | None:
    transforms = postprocessing.get("transforms", []) if isinstance(postprocessing, Mapping) else []
    for transform in transforms:
        if isinstance(transform, Mapping) and str(transform.get("_target_", "")).rpartition(".")[2] == "Activationsd":
            return bool(transform.get("sigmoid")) and not transform.get("softmax")
    return None
