"""TorchScript and ONNX of a bundle's network, made by MONAI's own export commands."""

import contextlib
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from monai.bundle import ckpt_export, onnx_export

from custom_components.bundle import Bundle

# MONAI logs the arguments of its export commands here.
logging.getLogger("monai.bundle.scripts").setLevel(logging.WARNING)
DYNAMIC = {0: "batch", 2: "height", 3: "width"}
OPSET = 20  # that of volume_graph, into which the network is put


def export_torchscript(bundle: Bundle, file: Path) -> None:
    """Write a TorchScript with weights and configs; it accepts the same sizes (B, 1, H, W) as the network.

    The network is traced. Scripting would need 450 MB more memory for ENet on eight slices of 384x384 on the CPU (torch
    2.13).
    """
    with _quiet():
        ckpt_export(filepath=str(file), **_options(bundle))
    file.write_bytes(without_paths(file))


def without_paths(script: Path) -> bytes:
    """Remove a TorchScript's debugging tables: they name source files of the machine that exported it."""
    kept = io.BytesIO()
    with zipfile.ZipFile(script) as archive, zipfile.ZipFile(kept, "w") as copy:
        for entry in archive.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                copy.writestr(zipfile.ZipInfo(entry.filename), archive.read(entry), entry.compress_type)
    return kept.getvalue()


def export_onnx(bundle: Bundle, file: Path) -> None:
    """Write ONNX with weights: input ``image`` (B, 1, H, W), output ``pred`` (B, C, H, W), with dynamic B, H and W.

    Raises:
        onnx.checker.ValidationError: if the file is no valid ONNX model.
    """
    with _quiet():
        onnx_export(
            filepath=str(file),
            converter_kwargs={
                # torch's older exporter is 20 times faster than its new one.
                "dynamo": False,
                "opset_version": OPSET,
                "input_names": ["image"],
                "output_names": ["pred"],
                "dynamic_axes": {"image": DYNAMIC, "pred": DYNAMIC},
            },
            **_options(bundle),
        )
    onnx.checker.check_model(file, full_check=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings about sizes read while tracing, about torch.jit and about the older exporter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _options(bundle: Bundle) -> dict[str, Any]:
    return {
        "net_id": "network_def",
        "ckpt_file": str(bundle.model_file),
        "meta_file": str(bundle.path / "configs" / "metadata.json"),
        "config_file": str(bundle.path / "configs" / "inference.json"),
        "bundle_root": str(bundle.path),
        "use_trace": True,
        "input_shape": [2, 1, 64, 64],
    }
