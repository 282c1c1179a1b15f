"""The error of a run whose loss is not a finite number."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from custom_components.foundation.errors import NotFiniteError

MEND = "mend or leave out the case"
LOWER = "lower the learning rate (--learning_rate)"
OTHER_TEACHER = "use --teacher_precision float32, or train this teacher again"


def not_finite(
    terms: Mapping[str, float], epoch: int, batch: Mapping[str, Any], tensors: Iterable[tuple[str, Tensor, str]]
) -> NotFiniteError:
    """Make an error that names the loss term that is not finite and, if possible, the slices that cause it.

    The slices are those that are not finite in the first tensor with such a slice. Batch normalisation spreads NaN over
    the whole batch, so the tensors must be given in the order of their computation.

    Args:
        terms: the loss and its terms; one of them is not finite. The message prefers a term's name to ``"loss"``.
        epoch: number of the training's epoch.
        batch: the batch, with ``case`` names and ``slice`` numbers.
        tensors: the tensors that the loss was computed from. Each has a name, its values (B, ...), and an advice for
            the case that it is not finite.
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
