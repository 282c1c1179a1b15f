"""Cross-entropy, which the paper does not have; why the bundles do: docs/adr/0002-loss-of-teachers.md."""

from torch import Tensor
from torch.nn import functional as F

from custom_components.losses.term import Output, SupervisedTerm, Taught


class CrossEntropyLoss(SupervisedTerm):
    """-log p of the mask's class, the mean over the batch's pixels.

    While the prostate is not found yet, Dice and Lovász have almost no gradient and training may stall; cross-entropy
    starts it.
    """

    def values(self, student: Output, labels: Tensor, taught: Taught | None = None) -> Tensor:
        return F.cross_entropy(student.logits, labels)
