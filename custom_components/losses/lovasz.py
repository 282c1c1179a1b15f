"""The Lovász-softmax loss, the second term of the paper's equation (4).

Berman et al., The Lovász-Softmax loss, CVPR 2018 (arXiv 1705.08790): equations (8) and (9), algorithm 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from custom_components.foundation.errors import InputError
from custom_components.losses._tensors import IGNORED
from custom_components.losses.term import Output, SupervisedTerm, Taught


class LovaszSoftmaxLoss(SupervisedTerm):
    """The piecewise linear, convex extension of 1 - IoU to probabilities.

    Args:
        classes: ``"present"`` averages over the classes that the target holds, ``"all"`` over every class, and a list
            of numbers over these classes. If a class is absent from the target, its loss is its greatest probability.
        per_image: whether to average the losses of the images, instead of taking one loss of all the batch's pixels.

    Raises:
        InputError: if ``classes`` has another value.

    >>> mask = torch.tensor([[[[0, 1]]]])
    >>> logits = torch.tensor([[[[9.0, 9.0]], [[-9.0, -9.0]]]])  # background everywhere
    >>> round(LovaszSoftmaxLoss()(logits, mask).item(), 4)  # 1 - IoU is 1/2 for background, 1 for prostate
    0.75
    """

    def __init__(self, classes: str | Sequence[int] = "present", per_image: bool = False) -> None:
        super().__init__()
        is_list = isinstance(classes, list | tuple) and classes and all(isinstance(c, int) and c >= 0 for c in classes)
        if classes not in ("present", "all") and not is_list:
            raise InputError(f"loss option classes={classes!r} must be 'present', 'all' or a list of class numbers")
        self.classes = classes
        self.per_image = per_image

    def values(self, student: Output, labels: Tensor, taught: Taught | None = None) -> Tensor:
        """A scalar in [0, 1]; (B,) with ``per_image``.

        Raises:
            InputError: if ``classes`` names a class that the logits lack.
        """
        logits = student.logits
        if not isinstance(self.classes, str) and max(self.classes) >= logits.shape[1]:
            raise InputError(
                f"loss option classes={self.classes} names a class that {logits.shape[1]}-class logits lack"
            )
        probs = logits.softmax(dim=1).flatten(2)
        labels = labels.flatten(1)
        if self.per_image:
            return torch.stack([self._pooled(p, y) for p, y in zip(probs, labels, strict=True)])
        return self._pooled(probs.transpose(0, 1).flatten(1), labels.flatten())

    def _pooled(self, probs: Tensor, labels: Tensor) -> Tensor:
        """The loss of N pixels: probs (C, N), labels (N,)."""
        counts = labels != IGNORED
        if not counts.all():
            probs, labels = probs[:, counts], labels[counts]
        num_classes = len(probs)
        losses, counted, order = [], [], None
        for c in range(num_classes) if isinstance(self.classes, str) else self.classes:
            positive = labels == c
            errors = torch.where(positive, 1 - probs[c], probs[c])
            # If there are two classes, both have the same errors (p_0 = 1 - p_1), so one sorting is enough.
            if order is None or num_classes > 2:
                order = _worst_first(errors.detach())
            # As long as the order of the errors stays the same, the loss is linear in the errors. Its gradient with
            # respect to a pixel's error is the pixel's step.
            steps = torch.empty_like(errors).scatter_(0, order, _jaccard_steps(positive[order], errors.dtype))
            losses.append((errors * steps).sum())
            counted.append(positive.any() if self.classes == "present" else torch.ones_like(positive[0]))
        return (torch.stack(losses) * torch.stack(counted)).sum() / torch.stack(counted).sum()


def _worst_first(errors: Tensor) -> Tensor:
    """Indices (N,) that sort errors (N,) from the largest to the smallest; the sorting is stable.

    The bits of non-negative floats, read as integers, have the same order as the floats. On a CPU torch sorts integers
    by radix, which is about eight times faster. The radix sort is only ascending, so the integers are negated.
    """
    integer = torch.int64 if errors.dtype == torch.float64 else torch.int32
    return errors.clamp(min=0).view(integer).neg().argsort(stable=True)


def _jaccard_steps(positive: Tensor, dtype: torch.dtype) -> Tensor:
    """The growth of 1 - IoU when the pixels, from the worst on, become errors one by one.

    The differences J_k - J_(k-1) are computed by formula: a false negative makes the intersection smaller by one, a
    false positive makes the union larger by one. Subtracting neighbouring float32 values of J would leave only one or
    two correct digits.

    Args:
        positive: whether each pixel belongs to the class, (N,), sorted from the worst error on.
        dtype: type of the result.

    Returns:
        Steps (N,), non-negative, with a sum of at most 1.
    """
    found = positive.cumsum(0, dtype=dtype)
    intersection = found[-1] - found
    union = intersection + torch.arange(1, len(positive) + 1, dtype=dtype, device=positive.device)
    steps = torch.where(positive, 1 / union, intersection / (union * (union - 1).clamp(min=1)))
    steps[0] += found[-1] == 0  # if the class is absent, the first false positive changes IoU from 1 to 0
    return steps
