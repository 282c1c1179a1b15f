"""The supervised loss, equation (4) of the paper."""

from monai.losses import DiceLoss, GeneralizedDiceLoss
from torch import Tensor, nn
from torch.nn import functional as F

from custom_components.errors import InputError
from custom_components.losses._tensors import check_number, in_full_precision, segmentation_labels
from custom_components.losses.lovasz import LovaszSoftmaxLoss


class SegmentationLoss(nn.Module):
    """α1 Dice + α2 Lovász-softmax, and cross-entropy if asked for.

    Dice is of the foreground and pooled over the batch: per image, every slice without prostate would add a constant 1
    with almost no gradient. Cross-entropy is not in the paper. While the prostate is not found yet, Dice and Lovász
    have almost no gradient and training may stall; cross-entropy starts it (the bundles use it).

    Args:
        dice_weight: α1 of equation (4).
        lovasz_weight: α2 of equation (4).
        cross_entropy_weight: weight of the added cross-entropy.
        generalized: take the generalised Dice loss (Sudre et al. 2017, the paper's reference [32]) over background
            and foreground. Its smoothing is 1e-12, since MONAI's 1e-5 is larger than the weighted sums of a full slice.

    A term of weight 0 is not computed.

    Raises:
        InputError: on a negative weight, or if all are 0.
    """

    def __init__(
        self,
        dice_weight: float = 0.2,
        lovasz_weight: float = 0.3,
        cross_entropy_weight: float = 0.0,
        generalized: bool = False,
    ) -> None:
        super().__init__()
        weights = {"dice": dice_weight, "lovasz": lovasz_weight, "cross_entropy": cross_entropy_weight}
        for name, weight in weights.items():
            check_number(f"{name}_weight", weight, least=0)
        self.term_weights = {name: weight for name, weight in weights.items() if weight}
        if not self.term_weights:
            raise InputError("the segmentation loss has no term; give dice_weight, lovasz_weight or another above 0")
        if generalized:
            self.dice = GeneralizedDiceLoss(
                softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-12, smooth_dr=1e-12
            )
        else:
            self.dice = DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
        self.lovasz = LovaszSoftmaxLoss()
        self.last_terms: dict[str, Tensor] = {}

    @in_full_precision
    def terms(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The unweighted terms, scalars by name: ``dice``, ``lovasz``, ``cross_entropy``, each unless its weight is 0.

        Args:
            logits: (B, C, H, W).
            target: labels (B, 1, H, W).

        Raises:
            ValueError: on shapes or devices that do not fit; InputError on labels outside 0 to C-1.
        """
        labels = segmentation_labels(logits, target)
        terms = {}
        if "dice" in self.term_weights:
            terms["dice"] = self.dice(logits, labels[:, None])
        if "lovasz" in self.term_weights:
            terms["lovasz"] = self.lovasz(logits, target)
        if "cross_entropy" in self.term_weights:
            terms["cross_entropy"] = F.cross_entropy(logits, labels)
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of :meth:`terms`."""
        return sum(weight * terms[name] for name, weight in self.term_weights.items())

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The weighted scalar; arguments as for :meth:`terms`. The detached terms stay in ``last_terms``, for logs."""
        terms = self.terms(logits, target)
        self.last_terms = {name: term.detach() for name, term in terms.items()}
        return self.total(terms)
