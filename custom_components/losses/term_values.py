"""The values of one term for a batch in which some samples lack a mask, or some teachers lack features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from custom_components.losses._tensors import IGNORED
from custom_components.losses.gates import Gate
from custom_components.losses.pseudo_labels import OF_CLASSES, SOFT
from custom_components.losses.term import Answer, Output, Taught, Term


def supervised_values(term: Term, logits: Tensor, labels: Tensor) -> Tensor | None:
    """A supervised term's values on the samples that have labels; None if no sample has labels.

    Values of single pixels, of which some do not count, become one list (N,) of those that count.
    """
    counts = labels != IGNORED
    if counts.all():
        return term.values(Output(logits), labels)
    rows = counts.flatten(1).any(dim=1)
    if not rows.any():
        return None
    values = term.values(Output(logits[rows]), labels[rows])
    return values[counts[rows]] if values.ndim == 3 else values


def distilled_values(
    name: str,
    term: Term,
    student: Output,
    labels: Tensor,
    answers: Sequence[Answer],
    weights: Tensor,
    gate: Gate | None,
) -> Tensor | None:
    """A distilling term's values on all samples; None if the term compares features and no teacher has any."""
    if "features" not in term.needs:
        with torch.no_grad():
            summaries = [term.summary(Output(answer.logits), labels) for answer in answers]
        return term.values(student, labels, Taught(summaries, weights, gate))
    able = [place for place, answer in enumerate(answers) if name in answer.summaries]
    if not able:
        return None
    summaries = [answers[place].summaries[name] for place in able]
    own_weights = weights if len(able) == len(answers) else weights[..., able]
    return term.values(student, labels, Taught(summaries, own_weights, gate))


def compared_values(values: Tensor, term: Term, has_mask: Tensor | None, pseudo_labels: str | None) -> Tensor:
    """A distilling term's values on the samples that the term compares.

    Args:
        values: on all B samples, with B as the first dimension.
        term: the distilling term.
        has_mask: (B,), bool; None means that all samples have a mask.
        pseudo_labels: the option of the loss.
    """
    if pseudo_labels == SOFT:
        return values[:0] if has_mask is None or "mask" in term.needs else values[~has_mask]
    if has_mask is None or ("mask" not in term.needs and pseudo_labels not in OF_CLASSES):
        return values
    return values[has_mask]
