"""Two fixes for MONAI Label 0.8.5 with newer packages; they must be applied before it is imported."""

import contextlib
import importlib
import sys

import pydicom.uid
import torch

# pydicom-seg 0.4.1 imports a module that pydicom 3 has moved.
sys.modules.setdefault("pydicom._storage_sopclass_uids", pydicom.uid)


def _declare_torchvision_operators() -> torch.library.Library:
    """Declare torchvision's operators: PyPI's torchvision is built for CUDA, and with a CPU torch its operators are
    missing.

    MONAI Label uses only the drawing functions of ``torchvision.utils``, which do not call these operators.
    """
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return operators


with contextlib.suppress(RuntimeError):
    importlib.import_module("torchvision")
if "torchvision" not in sys.modules:
    # The library object is kept, because the operators disappear together with it.
    OPERATORS = _declare_torchvision_operators()
    importlib.import_module("torchvision")
