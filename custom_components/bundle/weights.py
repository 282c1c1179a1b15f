"""Reading of a bundle's trained weights and of their provenance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from custom_components.bundle.reading import Bundle
from custom_components.checkpoint import read_checkpoint
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json
from custom_components.run_identity import in_one_line, setting_differences
from custom_components.state_dict import difference


def require_weights(file: str | Path) -> Path:
    """Return the path of a file of weights, after a check that the file exists.

    Raises:
        InputError: if the file does not exist.
    """
    if not Path(file).is_file():
        raise InputError(f"{file}: no such checkpoint; train the bundle first")
    return Path(file)


def load_weights(network: nn.Module, file: str | Path) -> nn.Module:
    """Load a file with a bare state dict strictly into ``network``, and return the network. No code in the file runs.

    Raises:
        InputError: if the file is missing, is not a checkpoint, or holds more than tensors and plain values; or if the
            weights are those of another network (the message names the keys).
    """
    state = read_checkpoint(require_weights(file))
    if differing := difference(network.state_dict(), state):
        raise InputError(f"{file}: not the weights of a {type(network).__name__}: {differing}{_trained_as(Path(file))}")
    network.load_state_dict(state)
    return network


def _trained_as(file: Path) -> str:
    """The network that the provenance beside the weights names, in words; empty if there is no provenance of them."""
    provenance = recorded_provenance(file.parent) or {}
    network_def = provenance.get("network_def")
    if not isinstance(network_def, Mapping) or provenance.get("weights_sha256") != file_sha256(file):
        return ""
    options = " ".join(f"--network_def::{key} {value}" for key, value in network_def.items() if key != "_target_")
    return f"; they were trained as {str(network_def.get('_target_')).rpartition('.')[2]} with {options}"


def recorded_provenance(models: Path) -> dict[str, Any] | None:
    """The content of the ``provenance.json`` in a folder of weights, unchecked; None if there is none."""
    file = models / "provenance.json"
    return read_json(file) if file.is_file() else None


def read_provenance(trained: Bundle) -> dict[str, Any]:
    """The provenance of the weights that are in a bundle now.

    Raises:
        InputError: if there are no weights or no provenance, or if the provenance is that of other weights.
    """
    if not trained.model_file.is_file():
        raise InputError(f"{trained.model_file}: no trained weights; train the bundle first")
    provenance = read_json(trained.provenance_file)
    if file_sha256(trained.model_file) != provenance.get("weights_sha256"):
        raise InputError(
            f"{trained.model_file}: not the weights that provenance.json names (sha256 differs); train it again"
        )
    return provenance


def network_differences(provenance: Mapping[str, Any], network_def: Mapping[str, Any]) -> str:
    """The differences, in words, between a network and the network of a provenance; empty if they are the same."""
    return in_one_line(list(setting_differences(provenance.get("network_def") or {}, network_def).values()))
