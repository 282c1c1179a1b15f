"""Segmentation of one volume by a trained bundle, which is a folder or its exported ``model.ts``.

The steps are the preprocessing, the inferer and the postprocessing of ``inference.json``, one after the other. MONAI's
evaluator does the same, but it needs ignite, which a host such as MONAI Deploy does not bring.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import load_net_with_metadata
from torch import nn

from custom_components.bundle.parsing import parse_config
from custom_components.bundle.reading import weights_file
from custom_components.bundle.weights import load_weights, require_weights
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import volume_name
from custom_components.window import border_warning

CONFIG = "inference.json"


@dataclass(frozen=True)
class TrainedBundle:
    """A trained network, and the contents of its bundle's ``inference.json`` and ``metadata.json``."""

    network: nn.Module
    inference: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """The bundle's name, as results show it."""
        return self.metadata["name"]

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.metadata["version"]


@dataclass(frozen=True)
class Segmented:
    """The segmentation of a volume by a bundle.

    Attributes:
        mask: NIfTI file, uint8 0/1 on the volume's grid.
        probs: probabilities (C, H, W, D) on the volume's grid; None unless the caller asked for them.
        warning: one line if the window that the network sees may have cut the gland, else None.
    """

    mask: Path
    probs: torch.Tensor | None
    warning: str | None


def open_bundle(folder: Path) -> TrainedBundle:
    """Open a bundle with the weights that are in its folder now.

    This function runs the bundle's configs, so use it only for bundles that you trust. Open other bundles with
    :mod:`custom_components.teachers`, which runs no code of a bundle.

    Raises:
        InputError: if the bundle is not trained, or if its weights are those of another network.
    """
    weights = require_weights(weights_file(folder))
    inference, metadata = (read_json(folder / "configs" / name) for name in (CONFIG, "metadata.json"))
    network = parse_config(inference, {}).get_parsed_content("network_def")
    return TrainedBundle(load_weights(network, weights), inference, metadata)


def open_exported(model_file: Path) -> TrainedBundle:
    """Open a bundle that ``monai.bundle ckpt_export`` has exported.

    Args:
        model_file: the exported ``model.ts``.

    Raises:
        InputError: if the file is not a TorchScript, or if the export left out the bundle's inference config or
            metadata.
    """
    try:
        network, metadata, extra = load_net_with_metadata(model_file, torch.device("cpu"), (CONFIG,))
    except json.JSONDecodeError:  # a TorchScript without metadata
        metadata = None
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{model_file}: is no TorchScript model; export the bundle again") from error
    if not metadata or not extra[CONFIG]:
        raise InputError(f"{model_file}: holds no {CONFIG} or no metadata; export it with 'monai.bundle ckpt_export'")
    return TrainedBundle(network, json.loads(extra[CONFIG]), metadata)


class Segmenting:
    """Segments volumes as ``monai.bundle run inference`` does.

    Args:
        bundle: from :func:`open_bundle` or :func:`open_exported`.
        folder: the masks are written into its sub-folder ``predictions``.
        device: the device of the network; None takes a GPU if there is one, otherwise the CPU.
        keep_probs: whether a result also holds the probabilities.
    """

    def __init__(
        self, bundle: TrainedBundle, folder: Path, device: str | None = None, keep_probs: bool = False
    ) -> None:
        self._masks = folder / "predictions"
        options = {"bundle_root": str(folder), "output_dir": str(folder), "predictions_dir": str(self._masks)}
        options |= {"keep_probs": keep_probs}
        options |= {"device": torch.device(device)} if device else {}
        parser = parse_config(bundle.inference, options)
        self._device, self._preprocess, self._infer, self._postprocess = (
            parser.get_parsed_content(key) for key in ("device", "preprocessing", "inferer", "postprocessing")
        )
        self._network = bundle.network.eval().to(self._device)
        self._field_of_view = bundle.inference.get("field_of_view")

    def __call__(self, image: str | Path) -> Segmented:
        """Segment one NIfTI volume (H, W, D) that :func:`custom_components.data.check_volumes` has accepted."""
        data = self._preprocess({"image": image})
        with torch.inference_mode():
            logits = self._infer(data["image"][None].to(self._device), self._network)
        done = self._postprocess({**data, "pred": logits[0]})
        warning = border_warning(done["pred"], data["image"], self._field_of_view)
        return Segmented(self._masks / f"{volume_name(image)}.nii.gz", done.get("probs"), warning)
