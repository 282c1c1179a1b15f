"""The supervised loss, equation (4) of the paper."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from custom_components.foundation.errors import InputError
from custom_components.loss_terms import SUPERVISED
from custom_components.losses._tensors import check_choice, check_number, in_full_precision, segmentation_labels
from custom_components.losses.sum_of_terms import SumOfTerms, lay_over
from custom_components.losses.term import Output


class SegmentationLoss(SumOfTerms):
    """α1 Dice + α2 Lovász-softmax, and cross-entropy if its weight is above 0 (as in the bundles).

    Args:
        dice_weight: α1 of equation (4).
        lovasz_weight: α2 of equation (4).
        cross_entropy_weight: weight of cross-entropy, which equation (4) does not have.
        generalized: see :class:`PooledDiceLoss`.
        terms: options by term, for these and other supervised terms; they replace the arguments above.

    Raises:
        InputError: if a weight is negative, another option is wrong, or all weights are 0.

    >>> import torch
    >>> logits, mask = torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 2, 2)
    >>> loss = SegmentationLoss(dice_weight=0, lovasz_weight=0, cross_entropy_weight=1)
    >>> round(loss(logits, mask).item(), 4)  # -ln(1/2)
    0.6931
    """

    def __init__(
        self,
        dice_weight: float = 0.2,
        lovasz_weight: float = 0.3,
        cross_entropy_weight: float = 0.0,
        generalized: bool = False,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        weights = {"dice": dice_weight, "lovasz": lovasz_weight, "cross_entropy": cross_entropy_weight}
        for name, weight in weights.items():
            check_number(f"{name}_weight", weight, least=0)
        table = lay_over(
            {name: {"weight": weight} for name, weight in weights.items()}, {"dice": {"generalized": generalized}}
        )
        table = lay_over(table, terms)
        for name, options in table.items():
            check_choice("terms", name, tuple(SUPERVISED))
            if "anneal" in options:
                raise InputError(f"loss option terms.{name}.anneal is of a distillation; remove it")
        if not any(options.get("weight") for options in table.values()):
            raise InputError("the segmentation loss has no term; give dice_weight, lovasz_weight or another above 0")
        super().__init__(table)

    @in_full_precision
    def terms(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The unweighted terms with a weight above 0, scalars by name.

        Args:
            logits: (B, C, H, W).
            target: labels (B, 1, H, W).

        Raises:
            ValueError: on shapes or devices that do not fit; InputError on labels outside 0 to C-1.
        """
        labels = segmentation_labels(logits, target)
        return {name: term.values(Output(logits), labels).mean() for name, term in self.parts.items()}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of :meth:`terms`."""
        return sum(self.weighted(terms).values())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The weighted sum, a scalar; arguments as for :meth:`terms`. ``last_terms`` keeps the detached terms, for
        logs.
        """
        terms = self.terms(logits, target)
        self.last_terms = {name: term.detach() for name, term in terms.items()}
        return self.total(terms)
