"""Transforms as plain data, to compare and hash them."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform


def describe(value: Any) -> Any:
    """A transform, or a list of them, as plain JSON: its class and its public settings.

    Unlike a hash of a pickle, the description is the same on every machine, and people can read and compare it.

    >>> from monai.transforms import Flipd
    >>> describe(Flipd(keys="image", spatial_axis=0))["flipper"]
    {'transform': 'Flip', 'spatial_axis': 0}
    """
    if isinstance(value, Transform):
        # Private attributes may depend on the machine: LoadImaged's readers depend on the installed packages.
        public = {key: item for key, item in sorted(vars(value).items()) if not key.startswith("_") and key != "R"}
        return {"transform": type(value).__name__, **{key: describe(item) for key, item in public.items()}}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | torch.Tensor):
        return describe(value.tolist())
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN, and NaN is not equal to itself
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return getattr(value, "__qualname__", type(value).__name__)
