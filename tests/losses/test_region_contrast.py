import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.foundation.errors import InputError
from custom_components.losses import RegionContrastLoss

few = settings(max_examples=15, deadline=None, derandomize=True)


def features(seed, b=2, k=3, size=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(b, k, size, size, generator=generator, dtype=torch.float64)


def labels(seed, b=2, size=4, c=2):
    target = torch.randint(0, c, (b, 1, size, size), generator=torch.Generator().manual_seed(seed))
    target.flatten(1)[:, :c] = torch.arange(c)  # every class occurs
    return target


def region_constant(target, background, foreground):
    """Features (B, K, H, W) that have the same vector in all pixels of a region."""
    vectors = torch.tensor([background, foreground], dtype=torch.float64)
    return vectors[target[:, 0]].movedim(-1, 1)


def golden_features(golden, dtype):
    return (torch.tensor(golden["rad"][key], dtype=dtype) for key in ("fs", "ft"))


@pytest.mark.parametrize("key", ["rad", "rad_absent_fg"])
def test_golden(golden, assert_golden, dtype, key):
    student, teacher = golden_features(golden, dtype)
    target = torch.tensor(golden[key]["label"])[:, None]
    for distance in ("l2", "squared"):
        assert_golden(RegionContrastLoss(distance)([student], [teacher], target), golden[key][distance])


def test_golden_absent_background(golden, assert_golden, dtype):
    student, teacher = golden_features(golden, dtype)
    g = golden["rad_absent_bg"]
    assert_golden(RegionContrastLoss()([student], [teacher], torch.tensor(g["label"])[:, None]), g["l2"])


def test_golden_three_classes(golden, assert_golden, dtype):
    student, teacher = golden_features(golden, dtype)
    g = golden["rad_3class"]
    loss = RegionContrastLoss(num_classes=3)
    assert_golden(loss([student], [teacher], torch.tensor(g["label"])[:, None]), g["l2"])


@pytest.mark.parametrize("mask_resize", ["nearest", "area"])
def test_golden_mask_resize(golden, assert_golden, dtype, mask_resize):
    student, teacher = golden_features(golden, dtype)
    g = golden["rad_mask_resize"]
    loss = RegionContrastLoss(mask_resize=mask_resize)
    assert_golden(loss([student], [teacher], torch.tensor(g["label_4x4"])[:, None]), g[f"l2_{mask_resize}"])


@pytest.mark.parametrize(
    ("foreground", "cosine"), [((2.0, 0.0), 1.0), ((0.0, 5.0), 0.0), ((-3.0, 0.0), -1.0), ((1.0, 1.0), 0.5**0.5)]
)
def test_by_hand(foreground, cosine):
    """The teacher's regions point in the same direction (cosine 1)."""
    target = labels(0)
    student, teacher = region_constant(target, (1.0, 0.0), foreground), region_constant(target, (2.0,), (1.0,))
    assert RegionContrastLoss()([student], [teacher], target).item() == pytest.approx(1 - cosine)
    assert RegionContrastLoss("squared")([student], [teacher], target).item() == pytest.approx((1 - cosine) ** 2)


@pytest.mark.parametrize("distance", ["l2", "squared"])
def test_identical_features_give_zero_and_zero_gradient(distance):
    student = features(0).requires_grad_()
    value = RegionContrastLoss(distance)([student], [student.detach().clone()], labels(0))
    value.backward()
    assert value == 0
    assert student.grad.abs().max() == 0


@few
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([0.01, 5.0, 1e4]))
def test_invariances_and_bounds(seed, factor):
    # The networks differ in channels and sizes. The masks are resized to half, the student's 4 x 4.
    student, teacher, target = features(seed, k=5), features(seed + 1, k=3, size=8), labels(seed, size=8)
    loss = RegionContrastLoss()
    value = loss([student], [teacher], target)
    assert 0 <= value <= 2
    torch.testing.assert_close(loss([student * factor], [teacher], target), value)
    torch.testing.assert_close(loss([student], [teacher], 1 - target), value)
    rotation = torch.linalg.qr(features(seed + 2, b=1, k=1, size=5)[0, 0]).Q
    torch.testing.assert_close(loss([torch.einsum("kj,bjhw->bkhw", rotation, student)], [teacher], target), value)
    single = [loss([student[b : b + 1]], [teacher[b : b + 1]], target[b : b + 1]) for b in range(2)]
    torch.testing.assert_close(value, sum(single) / 2)
    torch.testing.assert_close(loss.per_sample([student], [teacher], target), torch.stack(single))


@few
@given(seed=st.integers(0, 10**6))
def test_pixels_may_move_within_a_region(seed):
    student, teacher, target = features(seed), features(seed + 1), labels(seed)
    moved = student.clone()
    for b in range(2):
        for c in range(2):
            inside = target[b, 0] == c
            moved[b][:, inside] = student[b][:, inside].flip(1)
    loss = RegionContrastLoss()
    torch.testing.assert_close(loss([moved], [teacher], target), loss([student], [teacher], target))


@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize("mask_resize", ["nearest", "area"])
def test_one_class_masks_give_zero_and_no_gradient(fill, mask_resize):
    student = features(0).requires_grad_()
    target = torch.full((2, 1, 16, 16), fill)
    value = RegionContrastLoss(mask_resize=mask_resize)([student], [features(1)], target)
    value.backward()
    assert value == 0
    assert student.grad.abs().max() == 0


def test_dead_region_of_either_network_does_not_count():
    target = labels(0)
    dead, alive = region_constant(target, (1.0, 1.0), (0.0, 0.0)), features(1).requires_grad_()
    loss = RegionContrastLoss()
    assert loss([alive], [dead], target) == 0
    dying = (dead * 1 + 1e-9).requires_grad_()
    dying.data[:, :, target[0, 0] == 1] = 1e-9
    value = loss([dying], [alive.detach()], target[:1].expand_as(target))
    value.backward()
    assert value == 0
    assert dying.grad.abs().max() == 0


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_matches_float32_under_autocast(half):
    student, teacher, target = features(0, size=64).to(half), features(1, size=64).to(half), labels(0, size=64)
    student = (student * 100).requires_grad_()
    loss = RegionContrastLoss()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss([student], [teacher], target)
    value.backward()
    torch.testing.assert_close(value, loss([student.float()], [teacher.float()], target))
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("distance", ["l2", "squared"])
@pytest.mark.parametrize("mask_resize", ["nearest", "area"])
@pytest.mark.parametrize("c", [2, 3])
def test_gradcheck(distance, mask_resize, c):
    loss, target = RegionContrastLoss(distance, mask_resize, num_classes=c), labels(3, size=8, c=c)
    target[:, 0, ::2, ::2].flatten(1)[:] = 0
    target[:, 0, 0, :6:2] = torch.arange(3).clamp(max=c - 1)
    assert torch.autograd.gradcheck(lambda s: loss([s], [features(1)], target), features(0).requires_grad_())


def test_only_the_student_learns():
    student, teacher = features(0).requires_grad_(), features(1).requires_grad_()
    RegionContrastLoss()([student], [teacher], labels(0)).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0


def test_wrong_shapes_labels_and_options():
    loss, student = RegionContrastLoss(), features(0)
    with pytest.raises(ValueError, match=r"\Atarget must be \(2, 1, H, W\)"):
        loss([student], [student], labels(0, b=1))
    with pytest.raises(ValueError, match=r"\A2 student and 1 teacher features given; they are paired"):
        loss([student, student], [student], labels(0))
    with pytest.raises(
        InputError, match=r"\Athe label masks hold the values 0, 1, 2, but the loss expects the classes 0 to 1"
    ):
        loss([student], [student], labels(0, c=3))
    for options in ({"distance": "l1"}, {"mask_resize": "bilinear"}, {"num_classes": 1}):
        with pytest.raises(InputError, match=rf"\Aloss option {next(iter(options))}="):
            RegionContrastLoss(**options)
