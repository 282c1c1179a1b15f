"""What a run says that stops because its loss is no finite number."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from custom_components.errors import NotFiniteError

MEND = "mend or leave out the case"
LOWER = "lower the learning rate (--learning_rate)"
OTHER_TEACHER = "use --teacher_precision float32, or train this teacher again"


def not_finite(
    terms: Mapping[str, float], epoch: int, batch: Mapping[str, Any], tensors: Iterable[tuple[str, Tensor, str]]
) -> NotFiniteError:
    """The error that names the loss term that is not finite, and the slices at fault where they can be told.

    The first tensor with a slice that is not finite tells them. Batch normalisation spreads such a slice over the
    batch, so the tensors are given in the order in which they were computed.

    Args:
        terms: the loss and its terms, one of them not finite; a term is named rather than the ``"loss"``.
        epoch: of the training.
        batch: its ``case`` names and ``slice`` numbers.
        tensors: what the loss was computed from: its name, itself (B, ...), and what to do if it is not finite.
    """
    faulty = {name: value for name, value in terms.items() if not math.isfinite(value)}
    term = next((name for name in faulty if name != "loss"), "loss")
    what = f"loss term '{term}' is {faulty[term]} in epoch {epoch}"
    samples = [f"{case} slice {int(index)}" for case, index in zip(batch["case"], batch["slice"], strict=True)]
    for name, tensor, advice in tensors:
        finite = tensor.detach().flatten(1).isfinite().all(dim=1).tolist()
        if not all(finite):
            at_fault = ", ".join(sample for sample, good in zip(samples, finite, strict=True) if not good)
            return NotFiniteError(f"{what}: the {name} is not finite on {at_fault}; {advice}")
    return NotFiniteError(f"{what}, on {', '.join(samples)}; {LOWER}")
