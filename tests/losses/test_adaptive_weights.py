from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.foundation.errors import InputError
from custom_components.losses import (
    DistillationLoss,
    SegmentationLoss,
    adaptive_weights,
    teacher_cross_entropies,
    teacher_dice_losses,
)

few = settings(max_examples=15, deadline=None, derandomize=True)
MODES = ["loss", "score", "inverse", "softmin", "uniform"]
dice_losses = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5).map(lambda x: torch.tensor(x).double())


def test_golden(golden, assert_golden, dtype):
    g = golden["weights"]
    for case in (g, g["in_domain_example"]):
        losses = torch.tensor(case["dice_loss"], dtype=dtype)
        for mode in set(MODES) & set(case):
            assert_golden(adaptive_weights(losses, mode), case[mode])
    assert_golden(adaptive_weights(torch.zeros(3, dtype=dtype)), g["all_zero_loss"])
    assert_golden(adaptive_weights(torch.tensor([0.0, 0.3, 0.3], dtype=dtype)), g["one_zero"])


@pytest.mark.parametrize(("temperature", "own"), [(0.1, exp(-0.5)), (0.05, exp(-1.0)), (1.0, exp(-0.05))])
def test_softmin_by_hand(temperature, own):
    """One teacher has a loss of .05, and two teachers have .4."""
    other = exp(-0.4 / temperature)
    expected = torch.tensor([own, other, other]).double() / (own + 2 * other)
    losses = torch.tensor([0.05, 0.4, 0.4]).double()
    torch.testing.assert_close(adaptive_weights(losses, "softmin", temperature), expected)


def test_softmin_parts_teachers_more_sharply_than_inverse():
    losses = torch.tensor([0.05, 0.4, 0.4]).double()
    rounded = [
        [round(weight, 2) for weight in adaptive_weights(losses, mode).tolist()] for mode in ("softmin", "inverse")
    ]
    assert rounded == [[0.94, 0.03, 0.03], [0.8, 0.1, 0.1]]


def test_softmin_is_blind_to_what_all_teachers_lose():
    losses = torch.tensor([[0.1, 0.3], [0.2, 0.25]]).double()
    torch.testing.assert_close(adaptive_weights(losses + 0.5, "softmin"), adaptive_weights(losses, "softmin"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [-0.1, 0.0, 0.37, 1.0])
def test_equal_losses_give_equal_weights(mode, value):
    torch.testing.assert_close(adaptive_weights(torch.full((3,), value), mode), torch.full((3,), 1 / 3))


@pytest.mark.parametrize("mode", MODES)
@few
@given(losses=dice_losses)
def test_weights_are_a_distribution_that_follows_the_order_of_teachers(mode, losses):
    weights = adaptive_weights(losses, mode)
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1)
    torch.testing.assert_close(adaptive_weights(losses.flip(0), mode), weights.flip(0))
    by_sample = adaptive_weights(torch.stack([losses, losses.flip(0)]), mode)
    torch.testing.assert_close(by_sample, torch.stack([weights, weights.flip(0)]))


@pytest.mark.parametrize("mode", ["loss", "inverse"])
@few
@given(losses=dice_losses, factor=st.floats(0.1, 10))
def test_scale_of_the_losses_does_not_matter(mode, losses, factor):
    torch.testing.assert_close(adaptive_weights(losses * factor, mode), adaptive_weights(losses, mode))


@pytest.mark.parametrize(("mode", "sign"), [("loss", 1), ("score", -1), ("inverse", -1), ("softmin", -1)])
def test_a_worse_teacher_gains_or_loses(mode, sign):
    before, after = (adaptive_weights(torch.tensor([loss, 0.2, 0.4]), mode)[0] for loss in (0.3, 0.35))
    assert sign * (after - before) > 0.01


def test_no_gradient():
    losses = torch.tensor([0.1, 0.2], requires_grad=True)
    assert not adaptive_weights(losses).requires_grad
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    assert not teacher_dice_losses([logits], torch.zeros(1, 1, 4, 4)).requires_grad


def test_dice_losses_are_those_of_the_segmentation_loss():
    teachers = [torch.randn(3, 2, 6, 6) for _ in range(2)]
    target = torch.randint(0, 2, (3, 1, 6, 6))
    dice = SegmentationLoss().terms
    expected = torch.stack([dice(z, target)["dice"] for z in teachers])
    torch.testing.assert_close(teacher_dice_losses(teachers, target), expected)
    samples = [torch.stack([dice(z[b : b + 1], target[b : b + 1])["dice"] for z in teachers]) for b in range(3)]
    torch.testing.assert_close(teacher_dice_losses(teachers, target, per_sample=True), torch.stack(samples))


def test_cross_entropies_by_hand_and_on_a_slice_without_prostate():
    """The second of two slices is empty. There Dice is 1 for both teachers, but cross-entropy differs."""
    target = torch.tensor([[[[1, 0]]], [[[0, 0]]]])
    probs = [[[[0.8, 0.1]], [[0.5, 0.1]]], [[[0.3, 0.2]], [[0.1, 0.1]]]]  # of prostate, for each teacher and slice
    teachers = [torch.stack([1 - p, p], dim=1).log() for p in torch.tensor(probs).double()]
    hand = [[(log(0.8) + log(0.9)) / 2, (log(0.3) + log(0.8)) / 2], [(log(0.5) + log(0.9)) / 2, log(0.9)]]
    expected = -torch.tensor(hand).double()
    torch.testing.assert_close(teacher_cross_entropies(teachers, target, per_sample=True), expected)
    torch.testing.assert_close(teacher_cross_entropies(teachers, target), expected.mean(dim=0))
    torch.testing.assert_close(
        teacher_dice_losses(teachers, target, True)[1], torch.ones(2).double(), rtol=0, atol=1e-4
    )

    def weights(judged_by):
        loss = DistillationLoss(alpha=0, weighting="softmin", scope="sample", judged_by=judged_by)
        return loss(teachers[0], target, [], teachers, []).weights[1]

    torch.testing.assert_close(weights("dice"), torch.full((2,), 0.5).double(), rtol=0, atol=1e-3)
    own, other = (exp(value / 0.1) for value in hand[1])
    torch.testing.assert_close(weights("cross_entropy"), torch.tensor([own, other]).double() / (own + other))


def test_perfect_teachers_lose_nothing_and_never_less():
    target = torch.randint(0, 2, (2, 1, 6, 6))
    perfect = torch.cat([1 - target, target], dim=1).half() * 160 - 80
    losses = teacher_dice_losses([perfect, -perfect], target)
    assert losses.dtype == torch.float32
    assert 0 <= losses[0] <= 1e-5
    assert losses[1].item() == pytest.approx(1, abs=1e-5)


def test_wrong_arguments():
    with pytest.raises(InputError, match=r"\Aloss option weighting='best' is unknown"):
        adaptive_weights(torch.ones(2), "best")
    with pytest.raises(InputError, match=r"\Aloss option weighting_temperature=0 must be a number above 0\Z"):
        adaptive_weights(torch.ones(2), "softmin", 0)
    for shape in ((), (0,), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"\Ateacher losses must be"):
            adaptive_weights(torch.ones(shape))
    with pytest.raises(ValueError, match=r"\Atarget \(1, 1, 8, 8\) and logits \(1, 2, 4, 4\) differ in H or W\Z"):
        teacher_dice_losses([torch.zeros(1, 2, 4, 4)], torch.zeros(1, 1, 8, 8))
