"""Functions that all losses use: full precision, and checks of options, shapes and labels.

Shapes: B batch, C classes, K feature channels, H W rows and columns.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from custom_components.foundation.errors import InputError


def in_full_precision(function: Callable) -> Callable:
    """Decorate a loss to run outside autocast, on plain tensors of at least float32.

    In half precision 17⁴ and the sum over one 384 x 384 slice are infinite. float64 tensors and labels keep their type.
    MONAI's ``MetaTensor`` becomes a plain tensor.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args = [_widen(value) for value in args]
        kwargs = {key: _widen(value) for key, value in kwargs.items()}
        device = next(_tensors([*args, *kwargs.values()]), torch.empty(0)).device
        with torch.autocast(device.type, enabled=False):
            return function(*args, **kwargs)

    return wrapper


def _widen(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = value.as_subclass(Tensor)
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_widen, value))
    if isinstance(value, list | tuple):
        return [_widen(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _widen(item) for key, item in value.items()}
    return value


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raises InputError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InputError(f"loss option {name}={value!r} is unknown; choose one of {', '.join(map(repr, choices))}")


def check_number(name: str, value: Any, least: float, above: bool = False, most: float = math.inf) -> None:
    """Raises InputError unless ``value`` is a finite number of at least (or, if ``above``, more than) ``least``, and at
    most ``most``."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not (least < value if above else least <= value) or value > most:
        bounds = f"{'above' if above else 'of at least'} {least}" + (f" and at most {most}" if most < math.inf else "")
        raise InputError(f"loss option {name}={value!r} must be a number {bounds}")


def check_logits(logits: Tensor, name: str = "logits") -> None:
    """Raises ValueError unless ``logits`` are (B, C, H, W) with two classes or more."""
    if logits.ndim != 4 or logits.shape[1] < 2:
        raise ValueError(f"{name} must be (B, C, H, W) with at least 2 classes, not {tuple(logits.shape)}")


def class_labels(target: Tensor, like: Tensor, num_classes: int) -> Tensor:
    """Check labels and convert them.

    Args:
        target: labels (B, 1, H, W) of any type.
        like: a tensor that must have the target's batch size and device.
        num_classes: number of classes C.

    Returns:
        int64 labels (B, H, W).

    Raises:
        ValueError: if the shape or the device does not fit.
        InputError: if a label is not one of 0 to C-1.
    """
    if target.ndim != 4 or target.shape[1] != 1 or len(target) != len(like):
        raise ValueError(f"target must be ({len(like)}, 1, H, W) labels, not {tuple(target.shape)}")
    if target.device != like.device:
        raise ValueError(f"target is on {target.device}, but the network's output is on {like.device}")
    labels = target.long()
    # One transfer from the device instead of three.
    if not ((labels == target) & (labels >= 0) & (labels < num_classes)).all():
        found = ", ".join(f"{value:g}" for value in target.unique().tolist()[:5])
        raise InputError(
            f"the label masks hold the values {found}, but the loss expects the classes 0 to {num_classes - 1}; "
            "convert the masks first (zones are merged to 1)"
        )
    return labels[:, 0]


def segmentation_labels(logits: Tensor, target: Tensor) -> Tensor:
    """As :func:`class_labels`, for a target that must have the height and width of the logits (B, C, H, W)."""
    check_logits(logits)
    if target.shape[2:] != logits.shape[2:]:
        raise ValueError(f"target {tuple(target.shape)} and logits {tuple(logits.shape)} differ in H or W")
    return class_labels(target, logits, logits.shape[1])


def check_pairs(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    """Raises ValueError unless both lists hold as many features (B, K, h, w), with equal B and device in each pair."""
    if len(student) != len(teacher) or not student:
        raise ValueError(
            f"{len(student)} student and {len(teacher)} teacher features given; they are paired, so give at least one "
            "of each and as many of both"
        )
    for index, (s, t) in enumerate(zip(student, teacher, strict=True)):
        if s.ndim != 4 or t.ndim != 4 or len(s) != len(t) or s.device != t.device:
            raise ValueError(
                f"feature pair {index} must be (B, K, h, w) of one batch size and device, not student "
                f"{tuple(s.shape)} on {s.device} and teacher {tuple(t.shape)} on {t.device}"
            )
