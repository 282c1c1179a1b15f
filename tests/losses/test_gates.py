from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.losses import DistillationLoss, Gate, ImportanceMapLoss, PredictionDistillationLoss
from custom_components.losses.presets import PRESETS
from custom_components.losses.term import Output, Taught

few = settings(max_examples=30, deadline=None, derandomize=True)
both_directions = pytest.mark.parametrize("direction", ["student_teacher", "teacher_student"])
ONE = torch.ones(1, dtype=torch.float64)


def logits_of(probs_fg):
    """Logits (B, 2, H, W) with these foreground probabilities (B, H, W)."""
    p = torch.tensor(probs_fg, dtype=torch.float64)
    return torch.stack([1 - p, p], dim=1).log()


# One slice of four pixels. In this order, the teacher is right and surer than the student, wrong, right but less sure
# than the student, and right on the background.
MASK = torch.tensor([[[1, 1], [1, 0]]])
TEACHER = logits_of([[[0.9, 0.4], [0.6, 0.2]]])
STUDENT = logits_of([[[0.5, 0.5], [0.8, 0.5]]])


def predictions(direction, gate, student=STUDENT, teacher=TEACHER):
    term = PredictionDistillationLoss(direction, temperature=1.0)
    return term.values(Output(student), MASK, Taught([[teacher]], ONE, gate)).mean()


def test_right_by_hand():
    gate = Gate.right(TEACHER, MASK)
    first = 0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5)
    last = 0.8 * log(0.8 / 0.5) + 0.2 * log(0.2 / 0.5)
    assert predictions("teacher_student", gate).item() == pytest.approx((first + last) / 4)
    first = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)
    last = 0.5 * log(0.5 / 0.8) + 0.5 * log(0.5 / 0.2)
    assert predictions("student_teacher", gate).item() == pytest.approx((first + last) / 4)
    # For features, only a right teacher counts: it is right on three of four pixels, and on two of three of prostate.
    assert gate.of_map(torch.Size((1, 1)), torch.float64).item() == 0.75
    assert gate.of_map(torch.Size((2, 1)), torch.float64).tolist() == [[[0.5], [1.0]]]
    assert gate.of_regions(2, torch.float64).item() == pytest.approx(2 / 3)


def test_better_by_hand():
    """The mixture's cross-entropies on three slices are .105, 1.609 and ln 2; the student's is ln 2 on each."""
    labels = torch.ones(3, 1, 1, dtype=torch.int64)
    teacher, student = (logits_of([[[p]] for p in probs]) for probs in ((0.9, 0.2, 0.5), (0.5, 0.5, 0.5)))
    loss = DistillationLoss(alpha=0, gate="better", judged_by="cross_entropy", terms={"prediction": {"temperature": 1}})
    output = loss(student, labels[:, None], [], [teacher], [])
    followed = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)
    assert output.terms["prediction"].item() == pytest.approx(followed / 3)


def test_better_by_dice_by_hand():
    """Two slices of two prostate pixels: Dice losses 1 - 2 (.9 + .9) / (1.8 + 2) and 1 - 2 (.2 + .2) / (.4 + 2)
    against the student's 1 - 2 (.5 + .5) / (1 + 2), so that the teacher is better on the first."""
    labels = torch.ones(2, 1, 2, dtype=torch.int64)
    teacher, student = (logits_of([[[p, p]] for p in probs]) for probs in ((0.9, 0.2), (0.5, 0.5)))
    loss = DistillationLoss(alpha=0, gate="better", terms={"prediction": {"temperature": 1}})
    output = loss(student, labels[:, None], [], [teacher], [])
    followed = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)
    assert output.terms["prediction"].item() == pytest.approx(followed / 2)


def one_hot_map(place):
    features = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    features.view(-1)[place] = 1
    return [features]


@pytest.mark.parametrize(("distance", "expected"), [("l1", 1.0), ("l2_squared", 1.0), ("l2", 1.0), ("l1_scaled", 0.5)])
def test_a_gate_leaves_out_pixels_of_the_importance_map(distance, expected):
    """Two maps have their 1 on different pixels, so both pixels differ by 1. The teacher is right only on the first."""
    term = ImportanceMapLoss(distance=distance)
    teacher, student = Output(TEACHER, one_hot_map(0)), Output(STUDENT, one_hot_map(1))
    gate = Gate.right(TEACHER, MASK)
    value = term.values(student, MASK, Taught([term.summary(teacher, None)], ONE, gate))
    assert value.tolist() == [pytest.approx(expected)]


def batch(seed, n, c=2, b=2):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, c, (b, 1, 4, 4), generator=generator)
    features = [random(b, 3, 4, 4), random(b, 5, 2, 2)]
    teachers = [random(b, c, 4, 4) for _ in range(n)]
    return random(b, c, 4, 4), labels, features, teachers, [[random(b, 4, 4, 4), random(b, 6, 2, 2)] for _ in range(n)]


@both_directions
@few
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 3),
    c=st.integers(2, 3),
    temperature=st.sampled_from([1.0, 4.0, 20.0]),
    scope=st.sampled_from(["batch", "sample"]),
)
def test_no_pixels_gradient_points_away_from_its_masks_class(direction, seed, n, c, temperature, scope):
    student, labels, _, teachers, _ = batch(seed, n, c)
    student.requires_grad_()
    options = {"direction": direction, "temperature": temperature}
    loss = DistillationLoss(alpha=0, gate="right", weighting="softmin", scope=scope, terms={"prediction": options})
    output = loss(student, labels, [], teachers, [])
    (gradient,) = torch.autograd.grad(output.weighted_terms["prediction"], student)
    assert gradient.gather(1, labels).max() <= 1e-12
    ungated = DistillationLoss(alpha=0, weighting="softmin", scope=scope, terms={"prediction": options})
    (gradient,) = torch.autograd.grad(ungated(student, labels, [], teachers, []).weighted_terms["prediction"], student)
    assert gradient.gather(1, labels).max() > 1e-6


@pytest.mark.parametrize("gate", ["right", "better"])
def test_teachers_that_are_right_are_followed_as_without_a_gate(gate):
    student, labels, features, _, teacher_features = batch(0, 2)
    right = torch.cat([1 - labels, labels], dim=1).double() * 60
    args = (student, labels, features, [right, 2 * right], teacher_features)
    for preset in ("paper", "emkd", "measured"):
        torch.testing.assert_close(DistillationLoss(preset, gate=gate)(*args), DistillationLoss(preset)(*args))


@pytest.mark.parametrize("gate", ["right", "better"])
def test_teachers_that_are_wrong_everywhere_pull_at_nothing(gate):
    student, labels, features, _, teacher_features = batch(0, 2)
    wrong = torch.cat([labels, 1 - labels], dim=1).double() * 60
    learners = [tensor.requires_grad_() for tensor in (student, *features)]
    output = DistillationLoss(gate=gate)(student, labels, features, [wrong, wrong], teacher_features)
    for name in ("importance", "region_contrast", "prediction"):
        assert output.terms[name] == 0
        gradients = torch.autograd.grad(output.weighted_terms[name], learners, retain_graph=True, allow_unused=True)
        assert all(gradient is None or gradient.abs().max() == 0 for gradient in gradients)


@pytest.mark.parametrize("gate", ["right", "better"])
@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_finite_on_one_class_masks_in_half(gate, fill, half):
    student, labels, features, teachers, teacher_features = batch(1, 2)
    student, *teachers = (tensor.to(half).requires_grad_() for tensor in (student, *teachers))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = DistillationLoss(gate=gate, weighting="softmin", judged_by="cross_entropy", scope="sample")(
            student, torch.full_like(labels, fill), features, teachers, teacher_features
        )
    output.loss.backward()
    assert output.loss.isfinite()
    assert student.grad.isfinite().all()
    assert all(teacher.grad is None for teacher in teachers)


def test_no_preset_has_a_gate_and_only_annealed_lets_weights_fall():
    for preset in PRESETS:
        loss = DistillationLoss(preset)
        assert loss.gate is None
        assert any("anneal" in options for options in loss.options["terms"].values()) == (preset == "annealed")
        assert loss.options["weighting"] != "softmin"
