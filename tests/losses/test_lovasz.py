from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.foundation.errors import InputError
from custom_components.losses import LovaszSoftmaxLoss

few = settings(max_examples=15, deadline=None, derandomize=True)


def case(seed, b=2, c=2, size=5):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, c, size, size, generator=generator, dtype=torch.float64) * 2
    return logits, torch.randint(0, c, (b, 1, size, size), generator=generator)


def logits_of(prob_fg):
    return torch.stack([torch.log1p(-prob_fg), prob_fg.log()], dim=1)


def hard_logits(labels, c):
    return (torch.nn.functional.one_hot(labels, c).movedim(-1, 1).double() * 2 - 1) * 400


def level_set_integral(logits, target):
    """An independent definition: ∫ 1 - IoU of the pixels with an error above t, dt, mean over the present classes."""
    probs = logits.softmax(1).movedim(1, 0).flatten(1)
    losses = []
    for c in target.unique():
        is_class = target.flatten() == c
        errors = (is_class.double() - probs[c]).abs()
        levels = torch.cat([errors.new_zeros(1), errors.sort().values])
        loss = 0.0
        for low, high in pairwise(levels):
            wrong = errors > low
            loss += (high - low) * (1 - (is_class & ~wrong).sum() / (is_class | wrong).sum().double())
        losses.append(loss)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "present"),
        ({"per_image": True}, "per_image"),
        ({"classes": [1]}, "fg_only"),
        ({"classes": [1], "per_image": True}, "fg_only_per_image"),
    ],
)
def test_golden(golden, assert_golden, two_class_logits, options, key):
    g = golden["lovasz"]
    loss = LovaszSoftmaxLoss(**options)(two_class_logits(g["prob_fg"]), torch.tensor(g["label"])[:, None])
    assert_golden(loss, g[key])


def test_golden_gradient(golden, assert_golden, two_class_logits):
    g = golden["lovasz"]
    logits = two_class_logits(g["prob_fg"]).requires_grad_()
    LovaszSoftmaxLoss()(logits, torch.tensor(g["label"])[:, None]).backward()
    # The golden gradient is that of the probabilities, with rows (b, h, w). The softmax's Jacobian turns it into that
    # of the logits.
    to_probs = torch.tensor(g["grad_prob_NC"], dtype=torch.float64).reshape(2, 2, 2, 2).movedim(-1, 1)
    probs = logits.detach().double().softmax(1)
    expected = probs * (to_probs - (probs * to_probs).sum(1, keepdim=True))
    assert_golden(logits.grad, expected.tolist())


@pytest.mark.parametrize(("classes", "key"), [("present", "present"), ("all", "all"), ([1], "fg_only")])
def test_golden_absent_class(golden, assert_golden, two_class_logits, classes, key):
    g = golden["lovasz_empty"]
    loss = LovaszSoftmaxLoss(classes)(two_class_logits(g["prob_fg"]), torch.tensor(g["label"])[:, None])
    assert_golden(loss, g[key])


def test_golden_three_classes(golden, assert_golden, dtype):
    g = golden["lovasz_3class"]
    loss = LovaszSoftmaxLoss()(torch.tensor(g["logits"], dtype=dtype), torch.tensor(g["label"])[:, None])
    assert_golden(loss, g["present"])


def test_hard_prediction_gives_one_minus_mean_iou(golden):
    g = golden["lovasz_hard"]
    loss = LovaszSoftmaxLoss()(hard_logits(torch.tensor(g["pred"]), 2), torch.tensor(g["label"])[:, None])
    assert loss.item() == pytest.approx(g["one_minus_mean_iou"], rel=1e-12)


def test_perfect_prediction_is_zero():
    _, target = case(0, c=3)
    assert LovaszSoftmaxLoss()(hard_logits(target[:, 0], 3), target) == 0


@pytest.mark.parametrize("error", [0.5, 0.2])
def test_equal_errors_give_that_error(error):
    _, target = case(1)
    errors = torch.full((2, 5, 5), error, dtype=torch.float64)
    assert loss_of_errors(errors, target).item() == pytest.approx(error, rel=1e-12)


def loss_of_errors(errors, target):
    prob_fg = torch.where(target[:, 0] == 1, 1 - errors, errors)
    return LovaszSoftmaxLoss()(logits_of(prob_fg), target)


@few
@given(seed=st.integers(0, 10**6), factor=st.floats(0.05, 1.0))
def test_homogeneous_and_convex_in_the_errors(seed, factor):
    _, target = case(seed)
    a, b = torch.rand(2, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 0.98 + 0.01
    loss_a, loss_b = loss_of_errors(a, target), loss_of_errors(b, target)
    torch.testing.assert_close(loss_of_errors(a * factor, target), loss_a * factor, rtol=1e-9, atol=0)
    mixed = loss_of_errors(factor * a + (1 - factor) * b, target)
    assert mixed <= factor * loss_a + (1 - factor) * loss_b + 1e-12


@few
@given(seed=st.integers(0, 10**6), c=st.integers(2, 4))
def test_equals_the_level_set_integral_within_0_and_1(seed, c):
    logits, target = case(seed, c=c)
    loss = LovaszSoftmaxLoss()(logits, target)
    torch.testing.assert_close(loss, level_set_integral(logits, target), rtol=1e-11, atol=0)
    assert 0 <= loss <= 1


@few
@given(seed=st.integers(0, 10**6))
def test_pixel_order_does_not_matter_even_with_ties(seed):
    logits, target = case(seed, b=1)
    logits = logits.round()  # many equal errors
    order = torch.randperm(25, generator=torch.Generator().manual_seed(seed))
    shuffled = [x.flatten(2)[:, :, order].reshape(x.shape) for x in (logits, target)]
    torch.testing.assert_close(LovaszSoftmaxLoss()(*shuffled), LovaszSoftmaxLoss()(logits, target), rtol=1e-12, atol=0)


def test_one_image_makes_per_image_irrelevant():
    logits, target = case(3, b=1, c=3)
    assert LovaszSoftmaxLoss(per_image=True)(logits, target) == LovaszSoftmaxLoss()(logits, target)


@pytest.mark.parametrize(("classes", "c"), [("present", 2), ("present", 3), ("all", 2), ([1], 2)])
def test_gradcheck(classes, c):
    logits, target = case(4, c=c, size=3)
    loss = LovaszSoftmaxLoss(classes)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_matches_float32(half):
    logits, target = case(5, size=40)
    logits = logits.to(half)
    assert LovaszSoftmaxLoss()(logits, target) == LovaszSoftmaxLoss()(logits.float(), target)


@pytest.mark.parametrize("fill", [0, 1])
def test_saturated_logits_and_one_class_masks_stay_finite(fill):
    logits = torch.tensor([80.0, -80.0]).reshape(1, 2, 1, 1).repeat(2, 1, 4, 4).half().requires_grad_()
    loss = LovaszSoftmaxLoss()(logits, torch.full((2, 1, 4, 4), fill))
    loss.backward()
    assert loss.item() == fill  # background is predicted with certainty
    assert logits.grad.isfinite().all()


def test_gradient_over_many_pixels_is_as_good_in_float32():
    logits = torch.randn(1, 2, 200, 200, dtype=torch.float64)
    target = torch.randint(0, 2, (1, 1, 200, 200))
    gradients = []
    for dtype in (torch.float64, torch.float32):
        z = logits.detach().to(dtype, copy=True).requires_grad_()
        LovaszSoftmaxLoss()(z, target).backward()
        gradients.append(z.grad.double())
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


@pytest.mark.parametrize("classes", ["prsent", [], [-1], [0.5]])
def test_unknown_classes_option(classes):
    with pytest.raises(InputError, match=r"\Aloss option classes="):
        LovaszSoftmaxLoss(classes)


def test_class_beyond_the_logits():
    with pytest.raises(InputError, match=r"\Aloss option classes=\[2\] names a class that 2-class logits lack\Z"):
        LovaszSoftmaxLoss([2])(*case(0))
