import pytest
import torch

from custom_components.foundation.errors import InputError
from custom_components.losses import LovaszSoftmaxLoss, SegmentationLoss


def hard_logits(labels):
    return torch.cat([1 - labels, labels], dim=1).double() * 800 - 400


def square_masks():
    """Two overlapping masks (1, 1, 6, 6): 9 pixels each, 4 shared, so Dice 4/9."""
    a, b = torch.zeros(2, 1, 1, 6, 6, dtype=torch.int64)
    a[..., :3, :3] = 1
    b[..., 1:4, 1:4] = 1
    return a, b


def test_dice_golden(golden, assert_golden, two_class_logits):
    g = golden["dice"]
    terms = SegmentationLoss().terms(two_class_logits(g["prob_fg"]), torch.tensor(g["label"])[:, None])
    assert_golden(terms["dice"], g["batch_true"])
    assert_golden(terms["lovasz"], golden["lovasz"]["present"])


def test_weights_of_the_paper(golden, assert_golden, dtype):
    g = golden["totals"]
    terms = {name: torch.tensor(g[name], dtype=dtype) for name in ("dice", "lovasz")}
    assert_golden(SegmentationLoss().total(terms), g["seg"])


def test_forward_is_the_weighted_sum_of_the_terms():
    logits, target = torch.randn(2, 2, 5, 5), torch.randint(0, 2, (2, 1, 5, 5))
    loss = SegmentationLoss(dice_weight=0.5, lovasz_weight=2.0, cross_entropy_weight=3.0)
    terms = loss.terms(logits, target)
    expected_entropy = -logits.log_softmax(1).gather(1, target).mean()
    torch.testing.assert_close(terms["cross_entropy"], expected_entropy)
    expected = 0.5 * terms["dice"] + 2.0 * terms["lovasz"] + 3.0 * terms["cross_entropy"]
    torch.testing.assert_close(loss(logits, target), expected)


def test_terms_of_weight_0_are_left_out():
    logits, target = torch.randn(1, 2, 4, 4), torch.randint(0, 2, (1, 1, 4, 4))
    assert list(SegmentationLoss().terms(logits, target)) == ["dice", "lovasz"]
    teacher = SegmentationLoss(dice_weight=1.0, lovasz_weight=0.0, cross_entropy_weight=1.0)
    assert list(teacher.terms(logits, target)) == ["dice", "cross_entropy"]


def test_dice_of_hard_predictions():
    mask, shifted = square_masks()
    dice = SegmentationLoss(lovasz_weight=0.0, dice_weight=1.0)
    assert dice(hard_logits(mask), mask) <= 1e-5
    assert dice(hard_logits(1 - mask), mask).item() == pytest.approx(1, abs=1e-5)
    assert dice(hard_logits(shifted), mask).item() == pytest.approx(1 - 4 / 9, abs=1e-6)


def test_dice_follows_from_the_jaccard_index():
    mask, shifted = square_masks()
    jaccard = 1 - LovaszSoftmaxLoss([1])(hard_logits(shifted), mask).item()
    assert jaccard == pytest.approx(4 / 14)
    dice = 1 - SegmentationLoss().terms(hard_logits(shifted), mask)["dice"].item()
    assert dice == pytest.approx(2 * jaccard / (1 + jaccard), abs=1e-6)


def test_dice_is_pooled_over_the_batch_and_blind_to_pixel_order():
    logits, target = torch.randn(2, 2, 4, 4), torch.randint(0, 2, (2, 1, 4, 4))
    order = torch.randperm(32)
    shuffled = [x.movedim(1, -1).reshape(32, -1)[order].reshape(2, 4, 4, -1).movedim(-1, 1) for x in (logits, target)]
    torch.testing.assert_close(SegmentationLoss()(*shuffled), SegmentationLoss()(logits, target))


def test_generalized_dice_sees_prediction_on_an_empty_slice():
    empty = torch.zeros(1, 1, 6, 6, dtype=torch.int64)
    mask, shifted = square_masks()
    loss = SegmentationLoss(dice_weight=1.0, lovasz_weight=0.0, generalized=True)
    assert loss(hard_logits(mask), mask).item() == pytest.approx(0, abs=1e-6)
    assert loss(hard_logits(empty), mask) > 0.1
    assert loss(hard_logits(mask), empty) > loss(hard_logits(empty), empty) + 0.1
    # Sudre's formula by hand: the weights are 1/9² and 1/27², 5 pixels are missed, and 5 are false.
    weighted = [4 / 81 + 22 / 729, 18 / 81 + 54 / 729]
    assert loss(hard_logits(shifted), mask).item() == pytest.approx(1 - 2 * weighted[0] / weighted[1], rel=1e-5)


@pytest.mark.parametrize("generalized", [False, True])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fill", [0, 1])
def test_one_class_masks_and_saturated_half_logits_stay_finite(generalized, half, fill):
    logits = (torch.randn(1, 2, 384, 384).sign() * 80).to(half).requires_grad_()
    loss = SegmentationLoss(cross_entropy_weight=1.0, generalized=generalized)
    value = loss(logits, torch.full((1, 1, 384, 384), fill))
    value.backward()
    assert value.isfinite()
    assert value.dtype == torch.float32
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("generalized", [False, True])
def test_gradcheck(generalized):
    target = torch.randint(0, 2, (2, 1, 3, 3))
    loss = SegmentationLoss(cross_entropy_weight=0.5, generalized=generalized)
    logits = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


@pytest.mark.parametrize(
    ("logits", "target"),
    [
        ((2, 2, 4, 4), (2, 4, 4)),
        ((2, 2, 4, 4), (2, 2, 4, 4)),
        ((2, 2, 4, 4), (1, 1, 4, 4)),
        ((2, 2, 4, 4), (2, 1, 4, 5)),
        ((2, 1, 4, 4), (2, 1, 4, 4)),
        ((2, 2, 4), (2, 1, 4)),
    ],
)
def test_wrong_shapes(logits, target):
    with pytest.raises(ValueError, match=r"\A(?:target|logits)") as error:
        SegmentationLoss()(torch.zeros(logits), torch.zeros(target))
    assert "\n" not in str(error.value)


def test_another_device():
    with pytest.raises(ValueError, match=r"\Atarget is on meta"):
        SegmentationLoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, device="meta"))


@pytest.mark.parametrize("label", [2.0, -1.0, 0.5, float("nan")])
def test_labels_that_are_no_classes(label):
    target = torch.zeros(1, 1, 4, 4)
    target[..., 0, 0] = label
    with pytest.raises(InputError, match=rf"\Athe label masks hold the values .*{label:g}.* classes 0 to 1"):
        SegmentationLoss()(torch.zeros(1, 2, 4, 4), target)


@pytest.mark.parametrize(
    "options", [{"dice_weight": -1.0}, {"lovasz_weight": "0.3"}, {"dice_weight": 0.0, "lovasz_weight": 0.0}]
)
def test_wrong_options(options):
    with pytest.raises(
        InputError,
        match=r"\A(?:loss option (?:dice|lovasz)_weight=|the segmentation loss has no term; give dice_weight)",
    ):
        SegmentationLoss(**options)
