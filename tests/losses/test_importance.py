import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.foundation.errors import InputError
from custom_components.losses import ImportanceMapLoss

few = settings(max_examples=15, deadline=None, derandomize=True)
DISTANCES = ["l1", "l2_squared", "l1_scaled", "l2"]
every_distance = pytest.mark.parametrize("distance", DISTANCES)


def features(seed, b=2, k=3, size=4, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(b, k, size, size, generator=generator, dtype=torch.float64) * scale


def as_map(values):
    """A one-channel feature (1, 1, 2, 2)."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2)


def test_golden(golden, assert_golden, dtype):
    g = golden["imd"]
    student, teacher = (torch.tensor(g[key], dtype=dtype) for key in ("fs", "ft"))
    for case in g["cases"]:
        for distance in ("l1", "l2", "l2_squared"):
            assert_golden(ImportanceMapLoss(case["p"], distance)([student], [teacher]), case[distance])
        assert_golden(ImportanceMapLoss(case["p"], "l1_scaled")([student], [teacher]) * 2, case["l1"])


def test_golden_resize(golden, assert_golden, dtype):
    student = torch.tensor(golden["imd"]["fs"], dtype=dtype)
    g = golden["imd_resize"]
    teacher = torch.tensor(g["ft"], dtype=dtype)
    for distance in ("l1", "l2_squared"):
        assert_golden(ImportanceMapLoss(g["p"], distance)([student], [teacher]), g[distance])


@pytest.mark.parametrize(("distance", "column"), [("l1", 0), ("l2", 1), ("l2_squared", 2)])
def test_by_hand(golden, distance, column):
    g = golden["imd_hand"]
    loss = ImportanceMapLoss(distance=distance)
    one_hot, other, flat = as_map([1, 0, 0, 0]), as_map([0, 0, 3, 0]), as_map([2, 2, 2, 2])
    assert loss([one_hot], [other]).item() == pytest.approx(g["disjoint"][column], rel=1e-12)
    assert loss([one_hot], [flat]).item() == pytest.approx(g["onehot_vs_flat"][column], rel=1e-12)


def test_pairs_are_summed_and_samples_averaged():
    loss = ImportanceMapLoss()
    a, b, c, d = (features(i) for i in range(4))
    pair_losses = loss([a], [b]) + loss([c], [d])
    torch.testing.assert_close(loss([a, c], [b, d]), pair_losses)
    samples = torch.stack([loss([a[i : i + 1]], [b[i : i + 1]]) for i in range(2)])
    torch.testing.assert_close(loss.per_sample([a], [b]), samples)
    torch.testing.assert_close(loss([a], [b]), samples.mean())


@every_distance
def test_identical_features_give_zero_and_finite_gradient(distance):
    student = features(0).requires_grad_()
    value = ImportanceMapLoss(distance=distance)([student], [student.detach().clone()])
    value.backward()
    assert value == 0
    assert student.grad.isfinite().all()


@every_distance
@few
@given(seed=st.integers(0, 10**6), power=st.sampled_from([1, 1.5, 2, 4]), factor=st.sampled_from([-3.0, 1e-5, 1e6]))
def test_invariances_and_bounds(distance, seed, power, factor):
    student, teacher = features(seed, k=4), features(seed + 1, k=3)
    loss = ImportanceMapLoss(power, distance)
    value = loss([student], [teacher])
    torch.testing.assert_close(loss([student * factor], [teacher]), value)
    torch.testing.assert_close(loss([student], [teacher * factor]), value)
    torch.testing.assert_close(loss([student.flip(1)], [teacher]), value)
    torch.testing.assert_close(loss([student.repeat(1, 2, 1, 1)], [teacher]), value)
    torch.testing.assert_close(loss([student.transpose(2, 3)], [teacher.transpose(2, 3)]), value)
    bound = {"l1": 32**0.5, "l2_squared": 2.0, "l1_scaled": 2**0.5, "l2": 2**0.5}[distance]
    assert 0 <= value <= bound


@every_distance
@few
@given(seed=st.integers(0, 10**6), power=st.sampled_from([1, 2, 4]))
def test_features_and_gradient_are_orthogonal(distance, seed, power):
    """The loss does not change with the scale of a sample's features, so by Euler's theorem both are orthogonal."""
    student = features(seed).requires_grad_()
    ImportanceMapLoss(power, distance)([student], [features(seed + 1)]).backward()
    assert (student * student.grad).sum(dim=(1, 2, 3)).abs().max() < 1e-12
    assert student.grad.abs().max() > 1e-6


def test_dead_student_gives_the_norm_of_the_teachers_map_without_gradient():
    student = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    value = ImportanceMapLoss()([student], [as_map([2, 2, 2, 2])])
    value.backward()
    assert value.item() == pytest.approx(4 * 0.5)
    assert student.grad.abs().max() == 0


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_features_of_100_stay_finite(half):
    student = features(0, scale=100).to(half).requires_grad_()
    teacher = features(1, scale=100).to(half)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = ImportanceMapLoss()([student], [teacher])
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert student.grad.isfinite().all()
    torch.testing.assert_close(value, ImportanceMapLoss()([student.float()], [teacher.float()]))


@every_distance
@pytest.mark.parametrize("power", [1, 2, 4])
@pytest.mark.parametrize("teacher_size", [3, 5])
def test_gradcheck(distance, power, teacher_size):
    loss = ImportanceMapLoss(power, distance)
    teacher = features(7, size=teacher_size)
    assert torch.autograd.gradcheck(lambda s: loss([s], [teacher]), features(8, size=3).requires_grad_())


def test_sizes_are_compared_in_both_directions():
    student, teacher = features(0, size=4), features(1, size=4)
    wide, tall = teacher[..., :3, :], teacher[..., :3]
    loss = ImportanceMapLoss()
    torch.testing.assert_close(loss([student.mT], [wide.mT]), loss([student], [wide]))
    torch.testing.assert_close(loss([student.mT], [tall.mT]), loss([student], [tall]))


@few
@given(seed=st.integers(0, 10**6))
def test_pixels_of_both_networks_may_move_together(seed):
    student, teacher = features(seed), features(seed + 1)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(seed))
    moved = [f.flatten(2)[..., order].reshape(f.shape) for f in (student, teacher)]
    loss = ImportanceMapLoss()
    torch.testing.assert_close(loss([moved[0]], [moved[1]]), loss([student], [teacher]))


def test_another_device():
    with pytest.raises(
        ValueError,
        match=r"\Afeature pair 0 must be \(B, K, h, w\) of one batch size and device, not .* cpu and .* meta\Z",
    ):
        ImportanceMapLoss()([features(0)], [features(1).to("meta")])


def test_only_the_student_learns():
    student, teacher = features(0).requires_grad_(), features(1).requires_grad_()
    ImportanceMapLoss()([student], [teacher]).backward()
    assert teacher.grad is None
    assert student.grad is not None


@pytest.mark.parametrize(
    ("student", "teacher"),
    [([], []), ([(1, 2, 4, 4)], []), ([(1, 2, 4, 4)], [(2, 2, 4, 4)]), ([(2, 4, 4)], [(2, 4, 4)])],
)
def test_unpaired_features(student, teacher):
    with pytest.raises(
        ValueError, match=r"\A(?:[01] student and 0 teacher features given; they are paired|feature pair 0 must be )"
    ):
        ImportanceMapLoss()([torch.ones(s) for s in student], [torch.ones(s) for s in teacher])


def test_wrong_options():
    with pytest.raises(InputError, match=r"\Aloss option power=0\.5 must be a number of at least 1\Z"):
        ImportanceMapLoss(power=0.5)
    with pytest.raises(InputError, match=r"\Aloss option distance='L1' is unknown; choose one of 'l1'"):
        ImportanceMapLoss(distance="L1")
