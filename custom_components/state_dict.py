"""The differences, in words, between a network's state dict and a state dict from a file."""

from collections.abc import Mapping
from typing import Any

import torch


def difference(expected: Mapping[str, torch.Tensor], found: Any) -> str:
    """The keys that are missing, unknown or of another shape in ``found``, up to three of each kind.

    The text is empty if there are no such keys.
    """
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        return "not a state dict"
    missing, surplus = [k for k in expected if k not in found], [k for k in found if k not in expected]
    shapes = [k for k in expected if k in found and expected[k].shape != found[k].shape]
    parts = []
    for what, keys in (("missing", missing), ("unknown", surplus), ("other shape", shapes)):
        if keys:
            parts.append(f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})")
    return ", ".join(parts)
