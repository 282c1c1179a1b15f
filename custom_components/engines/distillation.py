"""The trainer of a distillation."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.utils import CommonKeys, convert_to_tensor
from torch import Tensor

from custom_components.engines.gradients import gradient_norms
from custom_components.foundation.errors import InputError
from custom_components.loss_terms import DISTILLING
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer, Output
from custom_components.not_finite import LOWER, MEND, OTHER_TEACHER, not_finite
from custom_components.teachers import Batch, OnlineTeachers, OutOfFold, Taps, TaughtSlices, Teachers

logger = logging.getLogger(__name__)


class DistillationTrainer(SupervisedTrainer):
    """A ``SupervisedTrainer`` whose loss also compares student and teachers. Iteration, events and AMP are MONAI's.

    After the student's forward pass, the loss runs the teachers on the same images and compares logits and tapped
    features (the paper, figure 1 and eq 5; several teachers: eq 6 and its weights).

    The trainer writes values for the logs into ``loss_function.last_terms``: the terms, each teacher's weight (see
    :func:`weights_by_site`), the training losses of online teachers (``loss_<teacher>``) and, on the first batch of
    each epoch, the gradient norm of each weighted term (``grad_<term>``, see :func:`gradient_norms`). These values do
    not change the training.

    Args:
        loss_function: the combined loss.
        teachers: teachers of any kind.
        student_taps: taps of the unwrapped student; the teachers' taps have the same keys.
        unlabeled_weights: the teachers' weights on images without masks, if they were measured; see
            :func:`custom_components.teachers.measured_weights`.
        may_teach: tells which teachers may teach a case; by default all.
        kwargs: arguments of ``SupervisedTrainer``.

    Raises:
        InputError: if no teacher has what the distilling terms compare, or the loss has an option for slices without a
            mask and there are none.
        NotFiniteError: if a term is not finite; the message names the term, the case and the slice.
    """

    def __init__(
        self,
        *,
        loss_function: DistillationLoss,
        teachers: Teachers,
        student_taps: Taps,
        unlabeled_weights: Sequence[float] | None = None,
        may_teach: OutOfFold | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss_function=self._distil, **kwargs)
        self.distillation_loss = loss_function
        if unlabeled_weights is not None:
            loss_function.unlabeled_weights.use(unlabeled_weights)
        self.teachers = teachers.to(self.state.device)
        self.may_teach = may_teach
        slices = getattr(self.data_loader, "dataset", None)
        if isinstance(slices, TaughtSlices):
            slices.take_answers_of(teachers)
        self.student_taps = student_taps
        self.add_event_handler(Events.EPOCH_STARTED, self._tell_progress)
        self.add_event_handler(Events.ITERATION_STARTED, self.student_taps.arm)
        self.online = isinstance(teachers, OnlineTeachers)
        if self.online:
            self.add_event_handler(Events.ITERATION_COMPLETED, teachers.check_weights)
            self.add_event_handler(Events.COMPLETED, teachers.save)

    def _tell_progress(self) -> None:
        """Tell the loss the progress of the training, because some of its weights fall over the training."""
        self.distillation_loss.progress = (self.state.epoch - 1) / max(1, self.state.max_epochs - 1)

    def _distil(self, student_logits: Tensor, target: Tensor) -> Tensor:
        image = convert_to_tensor(self.state.output[CommonKeys.IMAGE], track_meta=False)
        student = Output(student_logits, self.student_taps.collect(self.student_taps.keys))
        batch = Batch(image, target, self.state.batch, self.optimizer.param_groups[0]["lr"])
        answers = self.teachers.answer(batch, self.distillation_loss.answer)
        # The batch's own tensor is on the CPU, so that asking it does not wait for a GPU.
        has_mask = self.state.batch["has_mask"]
        has_mask = None if has_mask.all() else has_mask.to(target.device)
        self._check_first_batch(answers, all_have_masks=has_mask is None)
        may_teach = self.may_teach and self.may_teach(self.state.batch["case"], target.device)
        result = self.distillation_loss.compare(student, target, answers, has_mask, may_teach)
        if not result.loss.isfinite():
            tensors = [("image", image, MEND)]
            advice = LOWER if self.online else OTHER_TEACHER
            for name, answer in zip(self.teachers.names, answers, strict=True):
                summaries = [tensor for own in answer.summaries.values() for tensor in own]
                tensors += [(f"output of teacher {name}", tensor, advice) for tensor in (*summaries, answer.logits)]
            tensors += [("student's output", tensor, LOWER) for tensor in (*student.features, student_logits)]
            terms = {name: term.item() for name, term in {**result.terms, "loss": result.loss}.items()}
            raise not_finite(terms, self.state.epoch, self.state.batch, tensors)
        self.distillation_loss.last_terms = {
            **result.terms,
            **weights_by_site(result.weights, self.teachers.names, self.state.batch["site"]),
            **self.teachers.last_losses,
            **self._gradient_norms(result.weighted_terms),
        }
        return result.loss

    def _check_first_batch(self, answers: Sequence[Answer], all_have_masks: bool) -> None:
        """Say once which terms leave out which teachers, and refuse options that have nothing to work on.

        Raises:
            InputError: if the student would learn nothing from its teachers or from its slices without a mask, or all
                slices have masks and the loss has an option for slices without.
        """
        if self.state.iteration > 1:
            return
        loss, of_features = self.distillation_loss, self.distillation_loss.terms_of_features
        comparing = loss.parts.keys() & DISTILLING.keys()
        labels_instead = loss.pseudo_labels and not all_have_masks
        if loss.pseudo_labels_are_given and all_have_masks:
            raise InputError("all slices have a mask", "loss::pseudo_labels", "give --unlabeled True")
        without_label = not all_have_masks and not loss.pseudo_labels
        if without_label and all("mask" in loss.parts[name].needs for name in comparing):
            raise InputError(
                "a slice without a mask has no label, and no term compares it with the teachers",
                "loss::pseudo_labels",
                "give --loss::preset measured too",
            )
        without = [name for name, answer in zip(self.teachers.names, answers, strict=True) if not answer.summaries]
        others = comparing - of_features.keys()
        if of_features and len(without) == len(answers) and not others and not labels_instead:
            raise InputError(
                f"{', '.join(without)}: has no features, and no other distilling term has a weight",
                "teachers",
                "give --loss::beta 1",
            )
        if of_features and without:
            logger.info(f"{', '.join(without)}: no features, so {', '.join(of_features)} leave them out")

    def _gradient_norms(self, weighted_terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gradient norms of the first batch of an epoch; empty for all other batches."""
        if (self.state.iteration - 1) % self.state.epoch_length:
            return {}
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        norms = gradient_norms(weighted_terms, parameters, self.scaler.get_scale() if self.scaler else 1.0)
        # The gradient scaler tries scales that overflow, and then skips the step.
        return {f"grad_{name}": norm for name, norm in norms.items() if not self.scaler or norm.isfinite()}


def weights_by_site(weights: Tensor, teachers: Sequence[str], sites: Sequence[str]) -> dict[str, Tensor]:
    """Each teacher's mean weight, as ``weight_<teacher>``.

    If every slice has its own weights, the result also holds the mean over the slices of each site, as
    ``weight_<teacher>/<site>``.

    Args:
        weights: the teachers' weights, (n,) or (B, n).
        teachers: the teachers' names.
        sites: the site of each of the B slices; ``""`` where it is unknown.
    """
    if weights.ndim == 1:
        return {f"weight_{teacher}": weight for teacher, weight in zip(teachers, weights, strict=True)}
    rows = {"": list(range(len(sites)))}
    for site in sorted(filter(None, set(sites))):
        in_name = re.sub(r"[^\w. -]", "_", site)  # MLflow accepts only these characters in a name
        rows[f"/{in_name}"] = [row for row, other in enumerate(sites) if other == site]
    return {
        f"weight_{teacher}{suffix}": weights[chosen, place].mean()
        for place, teacher in enumerate(teachers)
        for suffix, chosen in rows.items()
    }
