import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.errors import InputError
from custom_components.losses import SegmentationLoss, adaptive_weights, teacher_dice_losses

few = settings(max_examples=15, deadline=None, derandomize=True)
MODES = ["loss", "score", "inverse", "uniform"]
dice_losses = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5).map(lambda x: torch.tensor(x).double())


def test_golden(golden, assert_golden, dtype):
    g = golden["weights"]
    for case in (g, g["in_domain_example"]):
        losses = torch.tensor(case["dice_loss"], dtype=dtype)
        for mode in set(MODES) & set(case):
            assert_golden(adaptive_weights(losses, mode), case[mode])
    assert_golden(adaptive_weights(torch.zeros(3, dtype=dtype)), g["all_zero_loss"])
    assert_golden(adaptive_weights(torch.tensor([0.0, 0.3, 0.3], dtype=dtype)), g["one_zero"])


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


@pytest.mark.parametrize(("mode", "sign"), [("loss", 1), ("score", -1), ("inverse", -1)])
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


def test_perfect_teachers_lose_nothing_and_never_less():
    target = torch.randint(0, 2, (2, 1, 6, 6))
    perfect = torch.cat([1 - target, target], dim=1).half() * 160 - 80
    losses = teacher_dice_losses([perfect, -perfect], target)
    assert losses.dtype == torch.float32
    assert 0 <= losses[0] <= 1e-5
    assert losses[1].item() == pytest.approx(1, abs=1e-5)


def test_wrong_arguments():
    with pytest.raises(InputError, match="weighting='best' is unknown"):
        adaptive_weights(torch.ones(2), "best")
    for shape in ((), (0,), (1, 2, 3)):
        with pytest.raises(ValueError, match="teacher losses must be"):
            adaptive_weights(torch.ones(shape))
    with pytest.raises(ValueError, match="differ in H or W"):
        teacher_dice_losses([torch.zeros(1, 2, 4, 4)], torch.zeros(1, 1, 8, 8))
