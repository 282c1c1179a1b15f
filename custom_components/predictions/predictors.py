"""Networks that can predict: a bundle of this project, any other MONAI bundle, or a TorchScript file.

The config of this project's bundles is only read: the network is a class of this project, and the preprocessing and the
inferer are those of a shipped bundle, with the sizes in the config. The config of any other bundle is a program, which
runs only if the user names the bundle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose
from torch import Tensor, nn

from custom_components.bundle.reading import read_bundle, weights_file
from custom_components.bundle.weights import load_weights, network_differences, read_provenance, require_weights
from custom_components.checkpoint import read_checkpoint
from custom_components.data.describe import describe
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, sha256_of
from custom_components.predictions.bundle_configs import BundleConfigs, open_configs
from custom_components.provenance import public_provenance
from custom_components.state_dict import difference


@dataclass(frozen=True)
class Predictor:
    """A network with its own preprocessing and inferer.

    Attributes:
        name: the model's name in messages and records.
        classes: the names of the classes in the bundle's ``metadata.json``; empty if it has none.
        network: the network in evaluation mode, on ``device``.
        preprocessing: function from ``{"image": path}`` to the network's input.
        inferer: ``inferer(images, network)`` gives logits.
        is_sigmoid: whether a sigmoid turns the logits into probabilities; None if the config does not say so.
        weights_sha256: SHA-256 of the weights' file.
        settings: everything else that the predictions depend on, as plain JSON.
        cases: the cases of the model's training and validation, without their names; None if they are not known.
    """

    name: str
    classes: list[str]
    network: nn.Module
    preprocessing: Compose
    inferer: Callable[[Tensor, nn.Module], Any]
    is_sigmoid: bool | None
    device: torch.device
    weights_sha256: str
    settings: dict[str, Any]
    cases: dict[str, list[dict[str, str]]] | None


def open_predictor(
    bundle_or_file: str, preprocessing_of: str | None = None, run_code_of: str | None = None, device: str | None = None
) -> Predictor:
    """Open a bundle, by name or folder, or a TorchScript file.

    Args:
        bundle_or_file: the name of a bundle of this project, a bundle's folder, or a file of TorchScript.
        preprocessing_of: the bundle with the preprocessing and the inferer for a TorchScript file.
        run_code_of: the name of the folder of a bundle of another project, whose code may then run.
        device: the device of the network; by default the config's device.

    Raises:
        InputError: if there is no such model, if it is not trained, if its weights do not fit its network or its
            provenance, or if its code must run and ``run_code_of`` does not name it.
    """
    file = Path(bundle_or_file)
    if file.is_file():
        if preprocessing_of is None:
            raise InputError(
                "is a file, which tells no preprocessing", file, "name its bundle, --preprocessing-of BUNDLE"
            )
        source = open_configs(preprocessing_of, run_code_of, device)
        identity = {"torchscript": True, "inference_sha256": sha256_of(source.inference)}
        return _predictor(source, file.stem, _torchscript(file), file_sha256(file), identity)
    if preprocessing_of is not None:
        raise InputError("a bundle has a preprocessing of its own", bundle_or_file, "leave out --preprocessing-of")
    source = open_configs(bundle_or_file, run_code_of, device)
    weights = require_weights(weights_file(source.folder))
    identity = {"inference_sha256": sha256_of(source.inference)}
    if source.is_own:
        bundle = read_bundle(str(source.folder))
        network = load_weights(bundle.build_network(), weights)
        identity["network_def"] = bundle.network_def
        cases = _provenance_cases(source, bundle)
    else:
        network, cases = _load_foreign(source, weights), None
    return _predictor(source, source.folder.name, network, file_sha256(weights), identity, cases)


def _predictor(
    source: BundleConfigs,
    name: str,
    network: nn.Module,
    weights_sha256: str,
    settings: dict[str, Any],
    cases: dict[str, list[dict[str, str]]] | None = None,
) -> Predictor:
    device = torch.device(source.part("device"))
    return Predictor(
        name,
        source.class_names,
        network.eval().to(device),
        source.part("preprocessing"),
        source.part("inferer"),
        source.is_sigmoid,
        device,
        weights_sha256,
        settings,
        cases,
    )


def _provenance_cases(source: BundleConfigs, bundle: Any) -> dict[str, list[dict[str, str]]] | None:
    """The cases of a bundle of this project, without their names; None if the bundle has no provenance.

    Raises:
        InputError: if the weights, the network or the preprocessing do not fit the provenance.
    """
    if not bundle.provenance_file.is_file():
        return None
    provenance = read_provenance(bundle)
    told = network_differences(provenance, bundle.network_def)
    if not told and provenance.get("preprocessing") != describe(source.part("preprocessing").transforms):
        told = "preprocessing"
    if told:
        raise InputError(
            f"other settings than those it was trained with: {told}",
            source.folder / "configs",
            "give the configs the settings of the training (image_size?)",
        )
    return public_provenance(provenance)["cases"]


def _load_foreign(source: BundleConfigs, weights: Path) -> nn.Module:
    """The network of another project's bundle, with its weights.

    The file of the weights holds a state dict, or a table with a state dict under its only key."""
    network = source.part("network_def" if "network_def" in source.inference else "network")
    state = read_checkpoint(weights)
    while isinstance(state, Mapping) and len(state) == 1 and isinstance(next(iter(state.values())), Mapping):
        state = next(iter(state.values()))
    differing = difference(network.state_dict(), state) if isinstance(state, Mapping) else "no state dict"
    if differing:
        raise InputError(f"not the weights of a {type(network).__name__}: {differing}", weights)
    network.load_state_dict(state)
    return network


def _torchscript(file: Path) -> nn.Module:
    """Load a TorchScript network. A TorchScript file cannot run Python code.

    Raises:
        InputError: if the file is no TorchScript.
    """
    try:
        return torch.jit.load(file, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise InputError("is no TorchScript model", file, "export the network with torch.jit") from error
