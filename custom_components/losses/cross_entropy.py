"""Cross-entropy. The paper does not use it; docs/adr/0002-loss-of-teachers.md says why the bundles do."""

from torch import Tensor
from torch.nn import functional as F

from custom_components.losses._tensors import IGNORED
from custom_components.losses.term import Output, SupervisedTerm, Taught


class CrossEntropyLoss(SupervisedTerm):
    """-log p of the mask's class, averaged over the batch's pixels.

    While a network does not find the prostate yet, Dice and Lovász have almost no gradient and the training may stall.
    Cross-entropy has a gradient from the start.
    """

    def values(self, student: Output, labels: Tensor, taught: Taught | None = None) -> Tensor:
        return F.cross_entropy(student.logits, labels, ignore_index=IGNORED)
