"""Exports of a trained bundle for other programs: TorchScript, ONNX, ONNX in INT8, a Triton model repository, and one
ONNX file from a raw volume to its mask.
"""

from custom_components.export.converting import export_onnx, export_torchscript, without_paths
from custom_components.export.onnx_network import OnnxNetwork
from custom_components.export.parity import check_parity
from custom_components.export.quantising import quantise, read_notes, write_notes
from custom_components.export.student import export_student
from custom_components.export.triton import write_triton_model

__all__ = [
    "OnnxNetwork",
    "check_parity",
    "export_onnx",
    "export_student",
    "export_torchscript",
    "quantise",
    "read_notes",
    "without_paths",
    "write_notes",
    "write_triton_model",
]
