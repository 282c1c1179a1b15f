import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.foundation.errors import InputError
from custom_components.losses import PredictionDistillationLoss, mix_teachers

few = settings(max_examples=15, deadline=None, derandomize=True)
both_directions = pytest.mark.parametrize("direction", ["student_teacher", "teacher_student"])


def random_logits(seed, n, b=2, c=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, b, c, 3, 4, generator=generator, dtype=torch.float64) * 3


def test_golden(golden, assert_golden, dtype):
    g = golden["kl"]
    for case in g["cases"]:
        student = torch.tensor(g["zs"], dtype=dtype, requires_grad=True)
        loss = PredictionDistillationLoss(case["direction"], case["temperature"], case["scale_by_t2"])
        value = loss(student, torch.tensor(g["zt"], dtype=dtype))
        value.backward()
        assert_golden(value, case["loss"])
        assert_golden(student.grad, case["grad_zs"])


@both_directions
def test_by_hand(golden, direction):
    g = golden["kl_hand"]
    student, teacher = (torch.tensor(g[key], dtype=torch.float64).log().reshape(1, 2, 1, 1) for key in ("ps", "pt"))
    value = PredictionDistillationLoss(direction, temperature=1.0)(student, teacher)
    assert value.item() == pytest.approx(g[direction], rel=1e-12)


@both_directions
def test_high_temperature_limit(golden, direction):
    g = golden["kl_high_T"]
    student, teacher = (torch.tensor(golden["kl"][key], dtype=torch.float64) for key in ("zs", "zt"))
    value = PredictionDistillationLoss(direction, temperature=g["T"])(student, teacher)
    assert value.item() == pytest.approx(g[direction], rel=1e-8)
    margin = (student - teacher)[:, 1] - (student - teacher)[:, 0]
    assert value.item() == pytest.approx(margin.square().mean().item() / 8, rel=1e-4)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_mixture_golden(golden, assert_golden, dtype, half):
    g = golden["mixture"]
    teachers = [torch.tensor(z, dtype=dtype) for z in g["teacher_logits"]]
    weights = torch.tensor(g["weights"], dtype=dtype)
    student = torch.tensor(golden["kl"]["zs"], dtype=dtype)
    for temperature, expected in g["by_temperature"].items():
        assert_golden(mix_teachers(teachers, weights, float(temperature)).exp(), expected["p_t"])
        for direction in ("student_teacher", "teacher_student"):
            loss = PredictionDistillationLoss(direction, float(temperature), scale_by_t2=False)
            assert_golden(loss(student, teachers, weights), expected[direction])
    assert mix_teachers([z.to(half) for z in teachers]).dtype == torch.float32


@both_directions
def test_identical_networks_give_zero_and_no_gradient(direction):
    student = random_logits(0, 1)[0].requires_grad_()
    value = PredictionDistillationLoss(direction)(student, student.detach().clone())
    value.backward()
    assert abs(value) < 1e-14
    assert student.grad.abs().max() < 1e-14


@both_directions
@few
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.5, 20))
def test_invariances_and_sign(direction, seed, temperature):
    student, teacher = random_logits(seed, 2, c=3)
    loss = PredictionDistillationLoss(direction, temperature)
    value = loss(student, teacher)
    assert value > 0
    assert not torch.isclose(value, loss(teacher, student), rtol=1e-6)
    shift = torch.randn(2, 1, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(loss(student + shift, teacher - shift), value)
    torch.testing.assert_close(loss(student.flip(0), teacher.flip(0)), value)
    torch.testing.assert_close(loss(student.repeat(2, 1, 1, 1), teacher.repeat(2, 1, 1, 1)), value)


@both_directions
def test_closed_form_gradient_of_two_classes(direction):
    student, teacher = random_logits(1, 2)
    student.requires_grad_()
    temperature, pixels = 4.0, 2 * 3 * 4
    PredictionDistillationLoss(direction, temperature)(student, teacher).backward()
    d_student, d_teacher = (z.detach()[:, 1] - z.detach()[:, 0] for z in (student, teacher))
    p_student, p_teacher = (d_student / temperature).sigmoid(), (d_teacher / temperature).sigmoid()
    expected = {
        "student_teacher": p_student * (1 - p_student) * (d_student - d_teacher) / pixels,
        "teacher_student": temperature * (p_student - p_teacher) / pixels,
    }[direction]
    torch.testing.assert_close(student.grad[:, 1], expected)
    torch.testing.assert_close(student.grad[:, 0], -expected)


@both_directions
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16, torch.float32])
def test_opposed_saturated_logits_stay_finite(direction, half):
    sure = torch.tensor([80.0, -80.0]).reshape(1, 2, 1, 1).to(half)
    student = sure.clone().requires_grad_()
    value = PredictionDistillationLoss(direction, temperature=1.0)(student, -sure)
    value.backward()
    assert value.item() == pytest.approx(160)
    assert student.grad.isfinite().all()
    # The printed direction loses its gradient when the student is sure and wrong. The other direction does not.
    assert student.grad.abs().max() == (0 if direction == "student_teacher" else 1)


@both_directions
def test_gradcheck_and_only_the_student_learns(direction):
    student, *teachers = (z.clone().requires_grad_() for z in random_logits(2, 3))
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    loss = PredictionDistillationLoss(direction)
    assert torch.autograd.gradcheck(lambda z: loss(z, teachers, weights), student)
    loss(student, teachers, weights).backward()
    assert all(z.grad is None for z in [*teachers, weights])


@both_directions
@few
@given(seed=st.integers(0, 10**6))
def test_mixture_lies_between_the_teachers_and_below_their_mean_loss(direction, seed):
    student, *teachers = random_logits(seed, 4, c=3)
    weights = torch.rand(3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.01
    weights /= weights.sum()
    mixture = mix_teachers(teachers, weights, 2.0).exp()
    probs = torch.stack([(z / 2).softmax(1) for z in teachers])
    torch.testing.assert_close(mixture.sum(1), torch.ones(2, 3, 4, dtype=torch.float64))
    assert (mixture <= probs.amax(0) + 1e-12).all()
    assert (mixture >= probs.amin(0) - 1e-12).all()
    loss = PredictionDistillationLoss(direction, 2.0)
    mean_loss = sum(w * loss(student, z) for w, z in zip(weights, teachers, strict=True))
    assert loss(student, teachers, weights) <= mean_loss + 1e-12


@both_directions
def test_one_teacher_several_equal_ones_and_one_of_weight_0(direction):
    student, teacher, other = random_logits(3, 3)
    loss = PredictionDistillationLoss(direction)
    alone = loss(student, teacher)
    torch.testing.assert_close(loss(student, [teacher]), alone)
    torch.testing.assert_close(loss(student, [teacher] * 3, torch.tensor([0.2, 0.3, 0.5]).double()), alone)
    torch.testing.assert_close(loss(student, [teacher, other], torch.tensor([1.0, 0.0]).double()), alone)


def test_weights_of_each_sample():
    teachers = list(random_logits(4, 2))
    weights = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64)
    mixture = mix_teachers(teachers, weights)
    for b in range(2):
        alone = mix_teachers([z[b : b + 1] for z in teachers], weights[b])
        torch.testing.assert_close(mixture[b : b + 1], alone)


def test_wrong_shapes_and_options():
    loss = PredictionDistillationLoss()
    z = torch.zeros(2, 2, 4, 4)
    for teachers in (torch.zeros(2, 2, 4, 5), [z, torch.zeros(2, 3, 4, 4)], z.to("meta")):
        with pytest.raises(
            ValueError, match=r"\Astudent logits .* and teacher logits .* must have one shape and device\Z"
        ):
            loss(z, teachers)
    with pytest.raises(ValueError, match=r"\Ateacher logits differ"):
        mix_teachers([z, torch.zeros(2, 3, 4, 4)])
    with pytest.raises(ValueError, match=r"\Ano teacher"):
        loss(z, [])
    with pytest.raises(ValueError, match=r"\Aweights"):
        loss(z, [z], torch.ones(3))
    with pytest.raises(ValueError, match=r"\Aweights \(1,\) on meta must be \(1,\) or \(2, 1\) on cpu\Z"):
        loss(z, [z], torch.ones(1, device="meta"))
    with pytest.raises(InputError, match=r"\Aloss option direction='forward'"):
        PredictionDistillationLoss("forward")
    for temperature in (0, -1.0, float("nan"), float("inf"), "4"):
        with pytest.raises(InputError, match=r"\Aloss option temperature"):
            PredictionDistillationLoss(temperature=temperature)
