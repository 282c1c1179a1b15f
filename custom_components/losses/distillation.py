"""The whole distillation loss, equations (5) and (6) of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from custom_components.losses._tensors import (
    check_choice,
    check_number,
    check_pairs,
    in_full_precision,
    segmentation_labels,
)
from custom_components.losses.gates import Gate, check_gate
from custom_components.losses.prediction import mix_teachers
from custom_components.losses.presets import EQUATION_5, PRESETS
from custom_components.losses.sum_of_terms import SumOfTerms, lay_over
from custom_components.losses.term import Output, SupervisedTerm, Taught
from custom_components.losses.weights import TeacherWeights


class DistillationLossOutput(NamedTuple):
    """
    Attributes:
        loss: scalar, with gradient to the student.
        terms: the unweighted terms, detached scalars by name, in the order of the table of loss terms.
        weighted_terms: the terms times their weights, with gradient; ``loss`` is their sum.
        weights: the teachers' weights, detached, with sum 1: (n,), or (B, n) with scope "sample".
    """

    loss: Tensor
    terms: dict[str, Tensor]
    weighted_terms: dict[str, Tensor]
    weights: Tensor


class DistillationLoss(SumOfTerms):
    """Seg + α Σ_j w_j (importance + region contrast)(T_j, S) + β KL(student, Σ_j w_j p^j), for one or several teachers.

    All arguments are plain values, so that a bundle's config sets them as JSON, for example ``{"preset": "emkd",
    "terms": {"importance": {"weight": 0.2}, "prediction": {"temperature": 2.0}}}``. The preset gives the value of every
    option that is None or not named.

    Args:
        preset: ``"paper"`` follows the printed equations. ``"emkd"`` follows the reference code of EMKD: KL(teacher ||
            student), squared L2 distances of importance maps and of region contrasts. ``"measured"`` has the values
            that scored best on real data. A preset is a table of all arguments below (``presets.py``).
        alpha: α of equation (5), the weight of both terms that compare features. With 0 no features are needed.
        beta: β of equation (5), the weight of prediction distillation.
        terms: options by term, see :class:`SumOfTerms`; they replace those of the preset, and ``alpha`` and ``beta``.
        weighting: the w_j of equation (6), see :class:`TeacherWeights`, which also explains the next three arguments.
        weighting_temperature: the temperature τ of the weighting ``"softmin"``.
        judged_by: the loss that decides a teacher's weight and the gate ``"better"``: ``"dice"`` or
            ``"cross_entropy"``.
        scope: whether each ``"batch"`` or each ``"sample"`` has weights of its own.
        gate: where the student follows the teachers, ``"right"`` or ``"better"``, see :class:`Gate`; no preset has a
            gate.

    Raises:
        InputError: if an option or a value is unknown.
    """

    def __init__(
        self,
        preset: str = "paper",
        alpha: float | None = None,
        beta: float | None = None,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        weighting: str | Sequence[float] | None = None,
        weighting_temperature: float | None = None,
        judged_by: str | None = None,
        scope: str | None = None,
        gate: str | None = None,
    ) -> None:
        check_choice("preset", preset, tuple(PRESETS))
        given = {
            "weighting": weighting,
            "weighting_temperature": weighting_temperature,
            "judged_by": judged_by,
            "scope": scope,
            "gate": gate,
        }
        options = {**PRESETS[preset], **{name: value for name, value in given.items() if value is not None}}
        for letter, weight in (("alpha", alpha), ("beta", beta)):
            if weight is not None:
                check_number(letter, weight, least=0)
                weights = {name: {"weight": weight} for name in EQUATION_5[letter]}
                options["terms"] = lay_over(options["terms"], weights)
        options["terms"] = lay_over(options["terms"], terms)
        super().__init__(options["terms"])
        check_gate(options["gate"])
        self.options = options
        self.gate = options["gate"]
        self.teacher_weights = TeacherWeights(
            options["weighting"], options["weighting_temperature"], options["judged_by"], options["scope"]
        )

    @in_full_precision
    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        student_features: Sequence[Tensor],
        teacher_logits: Sequence[Tensor],
        teacher_features: Sequence[Sequence[Tensor]],
    ) -> DistillationLossOutput:
        """
        Args:
            student_logits: (B, C, H, W).
            target: labels (B, 1, H, W).
            student_features: one (B, K, h, w) per tap; used only if a term needs features.
            teacher_logits: the logits of n teachers, each (B, C, H, W).
            teacher_features: the features of n teachers, each a list of one (B, K, h, w) per tap, in the student's
                order.

        Raises:
            ValueError: if shapes, devices or numbers of tensors do not fit.
            InputError: if a label is not one of 0 to C-1, or if the region contrast is set for another C.
        """
        needs_features = "features" in self.needs
        if not teacher_logits or (needs_features and len(teacher_features) != len(teacher_logits)):
            raise ValueError(f"logits of {len(teacher_logits)} and features of {len(teacher_features)} teachers given")
        if not needs_features:
            teacher_features = [[] for _ in teacher_logits]
        labels = segmentation_labels(student_logits, target)
        weights = self.teacher_weights(teacher_logits, target)
        gate = self._gate(student_logits, labels, teacher_logits, weights) if self.gate else None
        student = Output(student_logits, student_features)
        teachers = [Output(*output) for output in zip(teacher_logits, teacher_features, strict=True)]
        for teacher in teachers if needs_features else []:
            check_pairs(student.features, teacher.features)
        # The view makes autograd add up the gradients of the supervised terms first, as in a training without teachers.
        # Another order would give other rounding.
        alone = Output(student_logits.view_as(student_logits))
        terms = {}
        for name, term in self.parts.items():
            if isinstance(term, SupervisedTerm):
                terms[name] = term.values(alone, labels).mean()
                continue
            with torch.no_grad():
                summaries = [term.summary(teacher, labels) for teacher in teachers]
            terms[name] = term.values(student, labels, Taught(summaries, weights, gate)).mean()
        weighted_terms = self.weighted(terms)
        return DistillationLossOutput(
            loss=sum(weighted_terms.values()),
            terms={name: term.detach() for name, term in terms.items()},
            weighted_terms=weighted_terms,
            weights=weights,
        )

    @torch.no_grad()
    def _gate(self, student: Tensor, labels: Tensor, teachers: Sequence[Tensor], weights: Tensor) -> Gate:
        log_mixture = mix_teachers(teachers, weights)
        if self.gate == "right":
            return Gate.right(log_mixture, labels)
        losses = self.teacher_weights.judge([log_mixture, student], labels[:, None], per_sample=True)
        return Gate.better(losses[:, 0], losses[:, 1], labels)
