"""A term of a loss: the base class of all terms in the table of ``loss_terms.py``."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from custom_components.losses._tensors import in_full_precision, segmentation_labels
from custom_components.losses.gates import Gate


class Output(NamedTuple):
    """A network's outputs for a batch: logits (B, C, H, W), and the features (B, K, h, w) of each tap."""

    logits: Tensor
    features: Sequence[Tensor] = ()


class Answer(NamedTuple):
    """A teacher's answer for a batch: everything that the loss needs from this teacher, without gradient.

    Attributes:
        logits: (B, C, H, W).
        summaries: for each term that needs features, the result of :meth:`Term.summary`. A teacher without features,
            such as a folder of predictions, has none.
    """

    logits: Tensor
    summaries: Mapping[str, Sequence[Tensor]] = MappingProxyType({})


class Taught(NamedTuple):
    """The outputs of n teachers for a batch, in the form that one term needs.

    Attributes:
        summaries: the result of :meth:`Term.summary` for each teacher.
        weights: the teachers' weights, (n,) or (B, n), with sum 1 over n.
        gate: where the student follows the teachers; None means everywhere.
    """

    summaries: Sequence[Sequence[Tensor]]
    weights: Tensor
    gate: Gate | None = None


class Term(nn.Module):
    """One summand of a loss. The constructor's arguments are the term's options, and the constructor checks them.

    Attributes:
        needs: the inputs of the term in addition to the student's logits, as a set of these words: ``"mask"``,
            ``"features"`` (of student and teachers), ``"logits"`` (of the teachers).
    """

    needs: frozenset[str]

    def summary_options(self) -> dict[str, Any]:
        """The options that :meth:`summary` depends on. If one changes, stored summaries cannot be used again."""
        return {}

    def summary(self, teacher: Output, labels: Tensor | None) -> list[Tensor]:
        """All values that the term needs from a teacher: tensors (B, ...) that do not depend on the student.

        Args:
            teacher: the teacher's output; it has features only if ``needs`` names them.
            labels: checked labels (B, H, W), int64; None if ``needs`` does not name the mask.
        """
        return []

    def values(self, student: Output, labels: Tensor | None, taught: Taught | None = None) -> Tensor:
        """The term's value for each sample, with gradient to the student.

        Args:
            student: the student's output.
            labels: as for :meth:`summary`. For a supervised term, a pixel with the label ``_tensors.IGNORED`` does not
                count; at least one pixel of each sample counts.
            taught: the teachers' outputs; None if ``needs`` names neither features nor logits.

        Returns:
            One value for each sample (B,) or for each pixel (B, H, W), of which the loss takes the mean; it leaves out
            the pixels that do not count. A term that pools all pixels of the batch gives one scalar.
        """
        raise NotImplementedError


class SupervisedTerm(Term):
    """A term that compares the student with the mask only.

    It is also a loss by itself, with the arguments logits and target.
    """

    needs = frozenset({"mask"})

    @in_full_precision
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean of the term's values.

        Args:
            logits: (B, C, H, W).
            target: labels (B, 1, H, W).

        Returns:
            Scalar.

        Raises:
            ValueError: if shapes or devices do not fit.
            InputError: if a label is not one of 0 to C-1.
        """
        return self.values(Output(logits), segmentation_labels(logits, target)).mean()


def weigh(losses: Sequence[Tensor], weights: Tensor) -> Tensor:
    """The weighted sum (B,) of the losses (B,) of n teachers, with weights (n,) or (B, n): the paper's equation (6)."""
    return (torch.stack(losses, dim=1) * weights).sum(dim=1)
