"""A term of a loss: what every file has in common that the table of ``loss_terms.py`` names."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from custom_components.losses._tensors import in_full_precision, segmentation_labels
from custom_components.losses.gates import Gate


class Output(NamedTuple):
    """What a network says of a batch: logits (B, C, H, W), and the features (B, K, h, w) of each tap."""

    logits: Tensor
    features: Sequence[Tensor] = ()


class Taught(NamedTuple):
    """What n teachers say of a batch, as one term sees it.

    Attributes:
        summaries: what :meth:`Term.summary` made of each teacher.
        weights: of the teachers, (n,) or (B, n), of sum 1 over n.
        gate: where they are followed; None for everywhere.
    """

    summaries: Sequence[Sequence[Tensor]]
    weights: Tensor
    gate: Gate | None = None


class Term(nn.Module):
    """One summand of a loss. Its constructor's arguments are the term's options, checked there.

    Attributes:
        needs: what it takes beside the student's logits: the ``"mask"``, the ``"features"`` of student and teachers,
            the ``"logits"`` of the teachers.
    """

    needs: frozenset[str]

    def summary(self, teacher: Output, labels: Tensor | None) -> list[Tensor]:
        """All that the term asks of a teacher: tensors (B, ...) that do not depend on the student.

        Args:
            teacher: its output; without features unless ``needs`` names them.
            labels: checked labels (B, H, W), int64; None unless ``needs`` names the mask.
        """
        return []

    def values(self, student: Output, labels: Tensor | None, taught: Taught | None = None) -> Tensor:
        """The term's value for each sample, with gradient to the student.

        Args:
            student: its output.
            labels: as for :meth:`summary`.
            taught: of the teachers; None if ``needs`` names neither their features nor their logits.

        Returns:
            (B,), or (B, H, W) where each pixel has a value: the loss takes the mean. A term that pools the pixels of
            the whole batch gives one scalar.
        """
        raise NotImplementedError


class SupervisedTerm(Term):
    """A term that compares the student with the mask alone; by itself it is a loss of logits and target."""

    needs = frozenset({"mask"})

    @in_full_precision
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """
        Args:
            logits: (B, C, H, W).
            target: labels (B, 1, H, W).

        Returns:
            Scalar.

        Raises:
            ValueError: on shapes or devices that do not fit; InputError on labels outside 0 to C-1.
        """
        return self.values(Output(logits), segmentation_labels(logits, target)).mean()


def weigh(losses: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Equation (6) of the paper: losses (B,) of n teachers and weights (n,) or (B, n), to the weighted sum (B,)."""
    return (torch.stack(losses, dim=1) * weights).sum(dim=1)
