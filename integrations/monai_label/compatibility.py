"""Two gaps between MONAI Label 0.8.5 and the packages it meets here, closed before it is imported."""

import contextlib
import importlib
import sys

import pydicom.uid
import torch

# pydicom-seg 0.4.1 asks for a module that pydicom 3 has moved.
sys.modules.setdefault("pydicom._storage_sopclass_uids", pydicom.uid)


def _declare_torchvision_operators() -> torch.library.Library:
    """PyPI's torchvision is built for CUDA; beside a CPU torch, the operators that it describes are missing.

    MONAI Label draws with ``torchvision.utils``, which calls none of them.
    """
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


with contextlib.suppress(RuntimeError):
    importlib.import_module("torchvision")
if "torchvision" not in sys.modules:
    # Kept: the operators vanish with the library object.
    OPERATORS = _declare_torchvision_operators()
    importlib.import_module("torchvision")
