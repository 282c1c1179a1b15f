"""Reading of a bundle folder from an unknown source as plain data; no code of the folder runs.

This module reads only ``network_def``, ``taps`` and the provenance. It evaluates no ``$`` expression, and the network
must be a class of this project (compare MONAI's advisory GHSA-873f-pvrv-4x83: a config can run any code).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from custom_components import networks
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json

logger = logging.getLogger(__name__)

# The bundles of this project lie beside this package, in a checkout and in an installation.
SHIPPED_BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
MEMBERS = "members"  # the only argument of a network that holds networks, see Ensemble
_NETWORKS = {f"custom_components.networks.{name}": getattr(networks, name) for name in networks.__all__}


@dataclass(frozen=True)
class Bundle:
    """The parts of a bundle that distillation needs, read without running any of its config."""

    path: Path
    network_def: dict[str, Any]
    taps: dict[str, str]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def out_channels(self) -> int:
        """The number of classes C: that of ``network_def`` or, without one, the networks' own default."""
        network_def = self.network_def
        while network_def.get(MEMBERS):
            network_def = network_def[MEMBERS][0]
        return network_def.get("out_channels", 2)

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the network's outputs depend on, except the weights."""
        return {"network_def": self.network_def, "taps": self.taps}

    @property
    def model_file(self) -> Path:
        return weights_file(self.path)

    @property
    def provenance_file(self) -> Path:
        return self.path / "models" / "provenance.json"

    def build_network(self) -> nn.Module:
        """The network of ``network_def``, freshly initialised.

        Raises:
            InputError: if ``_target_`` is not a network of this project, or an argument is unknown or not a plain
                value.
        """
        return self._build("network_def", self.network_def)

    def _build(self, key: str, network_def: Mapping[str, Any]) -> nn.Module:
        options = dict(network_def)
        target = options.pop("_target_", None)
        if target not in _NETWORKS:
            raise InputError(
                f"{self.path}/configs/train.json: {key}._target_ is {target!r}, not one of this project's "
                f"networks ({', '.join(sorted(networks.__all__))})"
            )
        for name, value in options.items():
            if name == MEMBERS and isinstance(value, list) and all(isinstance(member, Mapping) for member in value):
                options[name] = [self._build(f"{key}.{name}.{place}", member) for place, member in enumerate(value)]
            elif name == MEMBERS or not _is_plain(value):
                raise InputError(f"{self.path}/configs/train.json: {key}.{name} must be a plain value, not {value!r}")
        try:
            return _NETWORKS[target](**options)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.path}/configs/train.json: {key}: {error}") from None


def _is_plain(value: Any) -> bool:
    """Whether a config's value is no code and no reference."""
    return isinstance(value, int | float | bool | None) or (isinstance(value, str) and value[:1] not in "$@%")


def weights_file(bundle: Path) -> Path:
    """The file of a bundle's trained weights; a training writes it."""
    return bundle / "models" / "model.pt"


def find_bundle(name_or_path: str, bundles_dir: str | Path) -> Path:
    """The folder of a bundle.

    Args:
        name_or_path: a name without a slash is a bundle in ``bundles_dir``. A text with a slash is a path: ``./enet``
            is a bundle in the working directory.
        bundles_dir: the folder of the bundles that are given by name.

    Raises:
        InputError: if there is no such bundle; the message says where the function has looked.
    """
    here, named = Path(name_or_path), Path(bundles_dir) / name_or_path
    is_name = here.name == name_or_path != ".."
    wanted, other = (named, here) if is_name else (here, None)
    hint = f"for that of the working directory give ./{name_or_path}"
    if is_bundle(wanted):
        if other and is_bundle(other) and not other.samefile(wanted):
            logger.warning(f"two bundles '{name_or_path}': {wanted.resolve()} is used; {hint}")
        return wanted.resolve()
    if other and is_bundle(other):
        raise InputError(f"no bundle '{name_or_path}' in {bundles_dir}; {hint}")
    looked = f"neither {here} nor {named} has" if is_name else f"{here} has no"
    raise InputError(f"no bundle '{name_or_path}': {looked} configs/train.json; give a bundle's name or folder")


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle that can be trained."""
    return (folder / "configs" / "train.json").is_file()


def read_bundle(name_or_path: str, bundles_dir: str | Path = ".") -> Bundle:
    """Read the bundle that :func:`find_bundle` finds.

    Raises:
        InputError: if there is no such bundle, or its train.json is not JSON or lacks ``network_def`` or ``taps``.
    """
    path = find_bundle(name_or_path, bundles_dir)
    config = read_json(path / "configs" / "train.json")
    for key in ("network_def", "taps"):
        if not isinstance(config.get(key), dict):
            raise InputError(f"{path}/configs/train.json: key '{key}' is missing or not a mapping")
    return Bundle(path, config["network_def"], config["taps"])
