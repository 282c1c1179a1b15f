"""Prediction distillation, equations (1) and (2) of the paper."""

from collections.abc import Sequence

import torch
from torch import Tensor

from custom_components.losses._tensors import check_choice, check_logits, check_number, in_full_precision
from custom_components.losses.term import Output, Taught, Term

DIRECTIONS = ("student_teacher", "teacher_student")


class PredictionDistillationLoss(Term):
    """The Kullback-Leibler divergence between the student's and the teachers' softened probabilities, averaged over
    pixels.

    Deviations from the paper: the mean is also over the batch. The paper does not state the temperature; it is 4, as in
    the reference code. The loss is multiplied by the temperature's square, so that β has nearly the same effect at
    every temperature (``scale_by_t2=False`` is exactly equation (2)). A gate multiplies the divergence at each pixel.

    Args:
        direction: ``"student_teacher"`` is KL(p^s || p^t), as printed. ``"teacher_student"`` is KL(p^t || p^s), as in
            Hinton et al. 2015 (the paper's [8]) and in the reference code. Its gradient stays large where the student
            is confidently wrong.
        temperature: λ of equation (1).
        scale_by_t2: whether to multiply the loss by λ².

    Raises:
        InputError: if the direction is unknown, or the temperature is 0 or below.
    """

    needs = frozenset({"logits"})

    def __init__(self, direction: str = "student_teacher", temperature: float = 4.0, scale_by_t2: bool = True) -> None:
        super().__init__()
        check_choice("direction", direction, DIRECTIONS)
        check_number("temperature", temperature, least=0, above=True)
        self.direction = direction
        self.temperature = temperature
        self.scale_by_t2 = scale_by_t2

    @in_full_precision
    def forward(
        self, student_logits: Tensor, teacher_logits: Tensor | Sequence[Tensor], weights: Tensor | None = None
    ) -> Tensor:
        """The mean divergence of a batch.

        Args:
            student_logits: (B, C, H, W).
            teacher_logits: logits of the same shape, of one teacher or a list of n teachers.
            weights: the teachers' weights, see :func:`mix_teachers`.

        Returns:
            Scalar; the gradient reaches the student only.

        Raises:
            ValueError: on shapes or devices that do not fit.

        >>> student, teacher = torch.zeros(1, 2, 1, 1), torch.tensor([0.75, 0.25]).log().view(1, 2, 1, 1)
        >>> kl = PredictionDistillationLoss("teacher_student", temperature=1)
        >>> round(kl(student, teacher).item(), 4)  # 3/4 ln(3/2) + 1/4 ln(1/2)
        0.1308
        """
        teachers = [teacher_logits] if isinstance(teacher_logits, Tensor) else teacher_logits
        return self.values(Output(student_logits), None, Taught([[z] for z in teachers], weights)).mean()

    def summary(self, teacher: Output, labels: Tensor | None) -> list[Tensor]:
        """The logits (B, C, H, W). The term applies the temperature and the weights later, together with the student's
        logits.
        """
        return [teacher.logits]

    def values(self, student: Output, labels: Tensor | None, taught: Taught | None = None) -> Tensor:
        """The divergence at each pixel, (B, H, W).

        Raises:
            ValueError: on shapes or devices that do not fit.
        """
        check_logits(student.logits, "student_logits")
        teachers = [logits for (logits,) in taught.summaries]
        for z in teachers:
            if z.shape != student.logits.shape or z.device != student.logits.device:
                raise ValueError(
                    f"student logits {tuple(student.logits.shape)} on {student.logits.device} and teacher logits "
                    f"{tuple(z.shape)} on {z.device} must have one shape and device"
                )
        log_teacher = mix_teachers(teachers, taught.weights, self.temperature)
        log_student = torch.log_softmax(student.logits / self.temperature, dim=1)
        if self.direction == "student_teacher":
            divergence = log_student.exp() * (log_student - log_teacher)
        else:
            divergence = log_teacher.exp() * (log_teacher - log_student)
        # torch's kl_div has no fitting mean: its "batchmean" divides by B alone and leaves a sum over the pixels.
        values = divergence.sum(dim=1)
        if taught.gate:
            values = values * taught.gate.of_predictions(log_student, log_teacher)
        return values * self.temperature**2 if self.scale_by_t2 else values


@in_full_precision
@torch.no_grad()
def mix_teachers(logits: Sequence[Tensor], weights: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """Log-probabilities (B, C, H, W) of the weighted mean Σ_j w_j softmax(z_j / λ), without gradient.

    The paper prints w_j Σ_j p^j, but w_j must be inside the sum.

    Args:
        logits: the logits of n teachers, each (B, C, H, W).
        weights: (n,), or (B, n) if each sample has its own weights; non-negative, with sum 1 over n. By default all
            weights are equal.
        temperature: λ of equation (1).

    Raises:
        ValueError: if there is no teacher, or shapes or devices do not fit.
    """
    if not logits:
        raise ValueError("no teacher logits given")
    for z in logits:
        check_logits(z, "teacher logits")
        if z.shape != logits[0].shape or z.device != logits[0].device:
            raise ValueError(f"teacher logits differ: {[(tuple(z.shape), str(z.device)) for z in logits]}")
    n, b = len(logits), len(logits[0])
    if weights is None:
        weights = logits[0].new_full((n,), 1 / n)
    if weights.shape not in ((n,), (b, n)) or weights.device != logits[0].device:
        raise ValueError(
            f"weights {tuple(weights.shape)} on {weights.device} must be ({n},) or ({b}, {n}) on {logits[0].device}"
        )
    log_weights = weights.log().movedim(-1, 0).reshape(n, -1, 1, 1, 1)
    log_probs = torch.stack([torch.log_softmax(z / temperature, dim=1) for z in logits])
    return torch.logsumexp(log_weights + log_probs, dim=0)
