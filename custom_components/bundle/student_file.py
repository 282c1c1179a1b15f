"""``models/student.onnx`` of a trained bundle: a raw volume in, its mask out."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import onnxruntime

from custom_components.bundle.preprocessing_words import described_preprocessing, in_words
from custom_components.bundle.reading import SHIPPED_BUNDLES, Bundle
from custom_components.bundle.segmenting import Segmenting, open_bundle
from custom_components.export import export_student
from custom_components.foundation.errors import ParityError
from custom_components.foundation.files import file_sha256, read_json

STUDENT = "student.onnx"
# The version of the file's inputs, outputs and notes. The programs that use the file look at it.
FORMAT = "prostate-student 1"
POSTPROCESSING = (
    "Keep the largest component of the mask: voxels that touch at faces, edges or corners belong together. The graph "
    "does not do this."
)
# A network with a max-unpooling answers a difference in the last digit by another place of a value, at a few pixels.
MEAN_TOLERANCE = 1e-4


def reason_against(bundle: Bundle) -> str | None:
    """The reason why a bundle cannot become a ``student.onnx``, in words; None if it can.

    The graph is written for the steps of ``bundles/_base``, with any image size and field of view.
    """
    inference = read_json(bundle.path / "configs" / "inference.json")
    channels, classes = bundle.network_def.get("in_channels", 1), bundle.out_channels
    if (channels, classes) != (1, 2):
        return f"its network has {channels} channels and {classes} classes, not 1 and 2"
    shipped = read_json(SHIPPED_BUNDLES / "enet" / "configs" / "inference.json")
    for section in ("inferer", "postprocessing"):
        if inference.get(section) != shipped[section]:
            return f"its {section} in configs/inference.json is not that of the shipped bundles"
    settings = {key: inference[key] for key in ("image_size", "field_of_view") if key in inference}
    known = described_preprocessing(shipped | settings)
    own = described_preprocessing(inference)
    for number, (step, expected) in enumerate(zip(own, known, strict=False), 1):
        if step != expected:
            return f"step {number} of its preprocessing ({step['transform']}) is not that of the shipped bundles"
    if len(own) != len(known):
        return f"its preprocessing has {len(own)} steps, not the {len(known)} of the shipped bundles"
    return None


def write_student(bundle: Bundle, network: Path, file: Path) -> float:
    """Write ``student.onnx`` and compare it with the bundle.

    Args:
        bundle: trained, with its provenance; one that :func:`reason_against` has nothing against.
        network: the bundle's ``model.onnx``.
        file: path of the new file.

    Returns:
        The mean difference in probability from the bundle.

    Raises:
        ParityError: if the file gives other probabilities than the bundle.
    """
    inference = read_json(bundle.path / "configs" / "inference.json")
    image_size, field_of_view = inference["image_size"], inference.get("field_of_view")
    export_student(network, image_size, field_of_view, _notes(bundle, inference), file)
    return _difference(bundle, image_size, field_of_view, file)


def _notes(bundle: Bundle, inference: Mapping[str, Any]) -> dict[str, str]:
    metadata = read_json(bundle.path / "configs" / "metadata.json")
    outputs = metadata["network_data_format"]["outputs"]
    return {
        "format": FORMAT,
        "name": metadata["name"],
        "version": metadata["version"],
        "labels": json.dumps(outputs["pred"]["channel_def"]),
        "preprocessing": in_words(described_preprocessing(inference)),
        "image_size": str(inference["image_size"]),
        "field_of_view": json.dumps(inference.get("field_of_view")),
        "postprocessing": POSTPROCESSING,
        "provenance_sha256": file_sha256(bundle.provenance_file),
        "weights_sha256": file_sha256(bundle.model_file),
        "licence": metadata["copyright"],
        "intended_use": metadata["intended_use"],
    }


def _difference(bundle: Bundle, image_size: int, field_of_view: float | None, file: Path) -> float:
    """The mean difference in probability on a volume that the window cuts in one direction and not in the other."""
    pixel_mm = (field_of_view or image_size) / image_size
    volume = _bright_ball(image_size)
    affine = np.diag([0.8 * pixel_mm, 1.1 * pixel_mm, 3, 1.0])
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "volume.nii.gz")
        nibabel.save(nibabel.Nifti1Image(volume, affine), image)
        expected = Segmenting(open_bundle(bundle.path), Path(folder), "cpu", keep_probs=True)(image).probs[1].numpy()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = {"volume": volume, "affine": affine}
    (probability,) = session.run(["probability"], {one.name: inputs[one.name] for one in session.get_inputs()})
    difference = float(np.abs(probability - expected).mean())
    # "difference > MEAN_TOLERANCE" would accept NaN.
    if not difference <= MEAN_TOLERANCE:
        raise ParityError(
            f"{file.name}: is not the bundle: probabilities differ by {difference:.1e} in the mean (at most "
            f"{MEAN_TOLERANCE:g}); nothing was written"
        )
    return difference


def _bright_ball(image_size: int) -> np.ndarray:
    """A volume (H, W, 2) of noise, with a bright ball in its middle."""
    shape = (image_size * 3 // 2, image_size * 3 // 4, 2)
    rows, columns, _ = (np.arange(length) - length / 2 for length in shape)
    ball = rows[:, None] ** 2 + columns**2 < (image_size / 4) ** 2
    noise = np.random.default_rng(0).normal(0, 0.1, shape)
    return (ball[..., None] + noise).astype(np.float32)
