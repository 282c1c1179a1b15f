"""The whole distillation loss, equations (5) and (6) of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from custom_components.losses._tensors import (
    IGNORED,
    check_pairs,
    in_full_precision,
    segmentation_labels,
)
from custom_components.losses.gates import Gate, check_gate
from custom_components.losses.prediction import mix_teachers
from custom_components.losses.presets import options_over_preset
from custom_components.losses.pseudo_labels import MODES, OF_CLASSES, check_pseudo_labels, pseudo_labels
from custom_components.losses.sum_of_terms import SumOfTerms
from custom_components.losses.term import Answer, Output, SupervisedTerm, Term
from custom_components.losses.term_values import compared_values, distilled_values, supervised_values
from custom_components.losses.unlabeled_weights import UnlabeledWeights
from custom_components.losses.weights import TeacherWeights


class DistillationLossOutput(NamedTuple):
    """The result of a distillation loss for one batch.

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
        preset: a table of all arguments from ``terms`` on (``presets.py``).

            - ``"paper"`` follows the printed equations. It scored lower than ``"measured"`` on validation cases.
            - ``"emkd"`` follows the reference code of EMKD: KL(teacher || student), squared L2 distances of importance
              maps and of region contrasts.
            - ``"measured"``, the default with one teacher, has the values that scored best on validation cases. It
              gains little or nothing over the same network alone with cross-entropy: from the mean of three
              MobileNetV2 ENet gained 0.4 points of Dice and ESPNet lost 0.7. With three teachers of one or two sites
              each, students lost 0 to 4 points in the mean, and 2 to 15 points at the site that the teachers know
              least (ADRs 6 and 17 in docs/adr).
            - ``"annealed"``, the default with several teachers, is ``"measured"`` with distilling terms that fall to
              none over the training. With three teachers of one or two sites each, ENet neither gained nor lost in the
              mean; the largest loss at a site was 0.9 points.
            - ``"new_site"`` is for images without masks: the student learns the teachers' classes, and no term compares
              it with the teachers.
        alpha: α of equation (5), the weight of both terms that compare features. With 0 no features are needed.
        beta: β of equation (5), the weight of prediction distillation.
        terms: options by term, see :class:`SumOfTerms`; they replace those of the preset, and ``alpha`` and ``beta``.
        weighting: the w_j of equation (6), see :class:`TeacherWeights`; it also explains the next three arguments.
        weighting_temperature: the temperature τ of the weighting ``"softmin"``.
        judged_by: the loss that decides a teacher's weight and the gate ``"better"``: ``"dice"`` or
            ``"cross_entropy"``.
        scope: whether each ``"batch"`` or each ``"sample"`` has weights of its own.
        gate: where the student follows the teachers, ``"right"`` or ``"better"``, see :class:`Gate`; no preset has a
            gate.
        unlabeled_weighting: the w_j of samples without a mask, see :class:`UnlabeledWeights`; by default the weights of
            ``weighting`` if they are fixed, and otherwise ``"statistics"`` where a training can measure them, or
            ``"uniform"``.
        pseudo_labels: the labels of samples without a mask in the supervised terms, see :func:`pseudo_labels`;
            ``"soft"`` for the teachers' probabilities in the terms that compare, on samples without a mask alone; or
            ``"none"``. Only the preset ``"new_site"`` has pseudo-labels.

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
        unlabeled_weighting: str | Sequence[float] | None = None,
        pseudo_labels: str | None = None,
    ) -> None:
        given = {
            "weighting": weighting,
            "weighting_temperature": weighting_temperature,
            "judged_by": judged_by,
            "scope": scope,
            "gate": gate,
            "unlabeled_weighting": unlabeled_weighting,
            "pseudo_labels": pseudo_labels,
        }
        options = options_over_preset(preset, given, {"alpha": alpha, "beta": beta}, terms)
        super().__init__(options["terms"])
        check_gate(options["gate"])
        self.options = options
        self.gate = options["gate"]
        self.teacher_weights = TeacherWeights(
            options["weighting"], options["weighting_temperature"], options["judged_by"], options["scope"]
        )
        self.unlabeled_weights = UnlabeledWeights(
            options["unlabeled_weighting"] or (options["weighting"] if self.teacher_weights.fixed else "uniform"),
            options["weighting_temperature"],
        )
        check_pseudo_labels(options["pseudo_labels"])
        self.pseudo_labels = options["pseudo_labels"] if options["pseudo_labels"] in OF_CLASSES else None
        self.pseudo_labels_are_given = pseudo_labels in MODES

    @in_full_precision
    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        student_features: Sequence[Tensor],
        teacher_logits: Sequence[Tensor],
        teacher_features: Sequence[Sequence[Tensor]],
    ) -> DistillationLossOutput:
        """The loss of a batch, from the outputs of the student and of all teachers.

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
        for features in teacher_features if needs_features else []:
            check_pairs(student_features, features)
        teachers = [Output(*output) for output in zip(teacher_logits, teacher_features, strict=True)]
        answers = [self.answer(teacher, target) for teacher in teachers]
        return self.compare(Output(student_logits, student_features), target, answers)

    @in_full_precision
    @torch.no_grad()
    def answer(self, teacher: Output, target: Tensor) -> Answer:
        """All values that this loss needs from a teacher's output; they do not depend on the student.

        Args:
            teacher: the teacher's output; if it has no features, the terms that need features leave this teacher out.
            target: labels (B, 1, H, W).

        Raises:
            ValueError: if shapes or devices do not fit.
            InputError: if a label is not one of 0 to C-1, or if the region contrast is set for another C.
        """
        labels = segmentation_labels(teacher.logits, target)
        terms = self.terms_of_features if teacher.features else {}
        return Answer(teacher.logits, {name: term.summary(teacher, labels) for name, term in terms.items()})

    @property
    def terms_of_features(self) -> dict[str, Term]:
        """The terms that compare features, by name; each has a summary of its own in every :class:`Answer`."""
        return {name: term for name, term in self.parts.items() if "features" in term.needs}

    @in_full_precision
    def compare(
        self,
        student: Output,
        target: Tensor,
        answers: Sequence[Answer],
        has_mask: Tensor | None = None,
        may_teach: Tensor | None = None,
    ) -> DistillationLossOutput:
        """Compare the student with the mask and with the teachers' answers.

        Each term is the mean over the samples that have all inputs of the term. So a sample without a mask adds nothing
        to a term that needs a mask. But if it has pseudo-labels, the supervised terms use them as a mask, and all other
        terms leave it out: a student that also follows the teachers' probabilities on such a sample finds less of the
        prostate. If the pseudo-labels are soft, the terms that compare student and teachers leave out the samples with
        a mask: there, teachers of other sites contradict the masks. A term is missing in the result if no sample has
        its inputs. In a term that compares features, the sum of equation (6) leaves out the teachers without features;
        the weights of the other teachers do not change.

        Args:
            student: the student's output; its features are used only if a term needs them.
            target: labels (B, 1, H, W); those of samples without a mask are ignored.
            answers: the answers of n teachers, from :meth:`answer`.
            has_mask: whether each sample has a mask, (B,), bool; None means that all have one.
            may_teach: whether each teacher may teach each sample, (B, n), bool, with a teacher for each sample; None
                means that all may. The weights of the other teachers become 0.

        Raises:
            ValueError: if shapes, devices or numbers of tensors do not fit.
            InputError: if a label is not one of 0 to C-1.
        """
        if not answers:
            raise ValueError("no answers of teachers given")
        labels = segmentation_labels(student.logits, target)
        rows = None if has_mask is None or has_mask.all() else has_mask.nonzero().flatten()
        teacher_logits = [answer.logits for answer in answers]
        weights = self._weights(teacher_logits, target, rows)
        if may_teach is not None:
            # The small number keeps a sum above 0 if all weight was on the other teachers.
            weights = (weights.expand(len(labels), -1) + 1e-6) * may_teach
            weights = weights / weights.sum(dim=1, keepdim=True)
        gate = self._gate(student.logits, labels, teacher_logits, weights, has_mask) if self.gate else None
        # The view makes autograd add up the gradients of the supervised terms first, as in a training without teachers.
        # Another order would give other rounding.
        alone = student.logits.view_as(student.logits)
        classes = None if rows is None else self._classes(labels, has_mask, teacher_logits, weights)
        terms = {}
        for name, term in self.parts.items():
            if isinstance(term, SupervisedTerm):
                values = term.values(Output(alone), labels) if rows is None else supervised_values(term, alone, classes)
            else:
                values = distilled_values(name, term, student, labels, answers, weights, gate)
                if values is not None:
                    values = compared_values(values, term, has_mask, self.options["pseudo_labels"])
            if values is not None and len(values.flatten()):
                terms[name] = values.mean()
        weighted_terms = self.weighted(terms)
        return DistillationLossOutput(
            # If no term is left, the loss is 0, and a backward pass must still be possible.
            loss=sum(weighted_terms.values()) if terms else alone.sum() * 0,
            terms={name: term.detach() for name, term in terms.items()},
            weighted_terms=weighted_terms,
            weights=weights,
        )

    def _weights(self, teachers: Sequence[Tensor], target: Tensor, rows: Tensor | None) -> Tensor:
        """The teachers' weights; in a batch with samples without a mask they are (B, n)."""
        if rows is None:
            return self.teacher_weights(teachers, target)
        weights = self.unlabeled_weights(teachers)
        if len(rows):
            weights[rows] = self.teacher_weights([logits[rows] for logits in teachers], target[rows])
        return weights

    def _classes(self, labels: Tensor, has_mask: Tensor, teachers: Sequence[Tensor], weights: Tensor) -> Tensor:
        """The labels (B, H, W) of the supervised terms: the mask or, if there is none, the pseudo-labels, if any."""
        mode = self.pseudo_labels
        instead = pseudo_labels(teachers, weights, mode) if mode else torch.full_like(labels, IGNORED)
        return labels.where(has_mask[:, None, None], instead)

    @torch.no_grad()
    def _gate(
        self, student: Tensor, labels: Tensor, teachers: Sequence[Tensor], weights: Tensor, has_mask: Tensor | None
    ) -> Gate:
        log_mixture = mix_teachers(teachers, weights)
        if self.gate == "right":
            return Gate.right(log_mixture, labels, has_mask)
        losses = self.teacher_weights.judge([log_mixture, student], labels[:, None], per_sample=True)
        return Gate.better(losses[:, 0], losses[:, 1], labels, has_mask)
