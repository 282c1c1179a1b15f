"""The Dice loss, the first term of the paper's equation (4)."""

from monai.losses import DiceLoss, GeneralizedDiceLoss
from torch import Tensor

from custom_components.losses._tensors import counted_pixels
from custom_components.losses.term import Output, SupervisedTerm, Taught


class PooledDiceLoss(SupervisedTerm):
    """1 - Dice of the foreground, over the pixels of the whole batch.

    If Dice were taken per image, every slice without prostate would add a constant 1 with almost no gradient.

    Args:
        generalized: whether to use the generalised Dice loss (Sudre et al. 2017, the paper's reference [32]) over
            background and foreground. Its smoothing is 1e-12, because MONAI's 1e-5 is larger than the weighted sums of
            a full slice.
    """

    def __init__(self, generalized: bool = False) -> None:
        super().__init__()
        if generalized:
            self.dice = GeneralizedDiceLoss(
                softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-12, smooth_dr=1e-12
            )
        else:
            self.dice = DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)

    def values(self, student: Output, labels: Tensor, taught: Taught | None = None) -> Tensor:
        logits, labels = counted_pixels(student.logits, labels)
        return self.dice(logits, labels[:, None])
