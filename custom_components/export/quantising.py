"""ONNX in INT8: static quantisation by ONNX Runtime, and notes inside the file about the quantisation."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.registry import QDQRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from custom_components.foundation.errors import InputError

# Per-channel quantisation needs a second axis, and a batch norm outside a convolution has only one.
OPERATIONS = sorted(QDQRegistry.keys() - {"BatchNormalization"})


class _Slices(CalibrationDataReader):
    """Gives ONNX Runtime one slice (1, H, W) after another, in batches of one."""

    def __init__(self, slices: Iterable[torch.Tensor]) -> None:
        self.slices = iter(slices)

    def get_next(self) -> dict[str, object] | None:
        image = next(self.slices, None)
        return None if image is None else {"image": image[None].numpy()}


def quantise(model: Path, slices: Iterable[torch.Tensor], file: Path) -> None:
    """Quantise weights per channel and activations per tensor, as QDQ nodes.

    Weights have 7 bits (``reduce_range``): with 8 bits, CPUs without VNNI overflow and would give other masks.

    Args:
        model: float ONNX model with the input ``image``.
        slices: prepared slices (1, H, W) whose activations set the ranges.
        file: path of the quantised model.
    """
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        quant_pre_process(model, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            file,
            _Slices(slices),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )


def write_notes(file: Path, notes: Mapping[str, str]) -> None:
    """Set an ONNX model's ``metadata_props``."""
    model = onnx.load(file)
    onnx.helper.set_model_props(model, dict(notes))
    onnx.save(model, file)


def read_notes(file: Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX model.

    Raises:
        InputError: if the file is no ONNX model.
    """
    try:
        model = onnx.load(file)
    except DecodeError:
        raise InputError(f"{file}: not an ONNX model that can be read; delete it or export it again") from None
    return {prop.key: prop.value for prop in model.metadata_props}
