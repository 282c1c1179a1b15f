"""One volume through an exported bundle: the preprocessing, inferer and postprocessing that ``model.ts`` carries."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata

from custom_components.errors import InputError
from custom_components.nifti import Volume, read_volume
from custom_components.window import border_warning
from data_prep.volumes import write_volume

CONFIG = "inference.json"


@dataclass(frozen=True)
class Student:
    """A network and the bundle's config and metadata that were exported with it."""

    network: torch.nn.Module
    config: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """The bundle's name, as results show it."""
        return self.metadata["name"]

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.metadata["version"]


def load_student(model_file: Path) -> Student:
    """Load a bundle exported with ``monai.bundle ckpt_export``.

    Args:
        model_file: ``model.ts``.

    Raises:
        InputError: when it is no TorchScript, or was exported without the bundle's inference config.
    """
    try:
        network, metadata, extra = load_net_with_metadata(model_file, torch.device("cpu"), (CONFIG,))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{model_file}: is no TorchScript model; export the bundle again") from error
    if not extra[CONFIG] or not metadata:
        raise InputError(f"{model_file}: holds no {CONFIG} or no metadata; export it with 'monai.bundle ckpt_export'")
    return Student(network.eval(), json.loads(extra[CONFIG]), metadata)


def segment(volume: Volume, student: Student) -> np.ndarray:
    """Segment a volume as ``monai.bundle run inference`` does, on the GPU if there is one.

    Args:
        volume: voxels (columns, rows, slices) and affine in mm.
        student: from :func:`load_student`.

    Returns:
        uint8 mask of 0 and 1 in the shape of the voxels.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.nii.gz")
        write_volume(image, volume)
        parser = ConfigParser({**student.config, "bundle_root": folder, "output_dir": folder})
        device = parser.get_parsed_content("device")
        preprocess, infer, postprocess = (
            parser.get_parsed_content(key) for key in ("preprocessing", "inferer", "postprocessing")
        )
        data = preprocess({"image": image})
        with torch.inference_mode():
            logits = infer(data["image"][None].to(device), student.network.to(device))
        done = postprocess({**data, "pred": logits[0]})
        if warning := border_warning(done["pred"], data["image"], student.config.get("field_of_view")):
            print(f"warning: {warning}")
        return read_volume(Path(folder, "predictions", image.name)).voxels
