"""The trainer that distils."""

from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.utils import CommonKeys, convert_to_tensor
from torch import Tensor

from custom_components.losses import DistillationLoss
from custom_components.teachers import CachedTeachers, Taps, TeacherEnsemble


class DistillationTrainer(SupervisedTrainer):
    """A ``SupervisedTrainer`` whose loss also looks at teachers: MONAI's own iteration, events, AMP and accumulation.

    After the student's forward pass, the loss runs the teachers on the same images and compares logits and tapped
    features (the paper, figure 1 and eq 5; several teachers: eq 6 and its weights).

    Args:
        loss_function: the combined loss.
        teachers: the frozen teachers, or what they said.
        student_taps: taps of the unwrapped student; their keys are read from the teachers too.
        kwargs: as of ``SupervisedTrainer``.
    """

    def __init__(
        self,
        *,
        loss_function: DistillationLoss,
        teachers: TeacherEnsemble | CachedTeachers,
        student_taps: Taps,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss_function=self._distil, **kwargs)
        self.distillation_loss = loss_function
        self.teachers = teachers.to(self.state.device)
        self.student_taps = student_taps
        self.add_event_handler(Events.ITERATION_STARTED, self.student_taps.arm)

    def _distil(self, student_logits: Tensor, target: Tensor) -> Tensor:
        image = convert_to_tensor(self.state.output[CommonKeys.IMAGE], track_meta=False)
        student_features = self.student_taps.collect(self.student_taps.keys)
        samples = list(zip(self.state.batch["case"], self.state.batch["slice"].tolist(), strict=True))
        teacher_logits, teacher_features = self.teachers(image, samples)
        result = self.distillation_loss(student_logits, target, student_features, teacher_logits, teacher_features)
        weights = {f"weight_{name}": weight for name, weight in zip(self.teachers.names, result.weights, strict=True)}
        self.distillation_loss.last_terms = {**result.terms, **weights}
        return result.loss
