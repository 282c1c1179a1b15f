import copy
import json

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from torch import nn

from custom_components.foundation.errors import InputError
from custom_components.losses import (
    DistillationLoss,
    ImportanceMapLoss,
    PredictionDistillationLoss,
    RegionContrastLoss,
    SegmentationLoss,
    adaptive_weights,
    teacher_dice_losses,
)
from custom_components.losses.presets import PRESETS
from custom_components.losses.weights import JUDGES

TERMS = ["dice", "lovasz", "importance", "region_contrast", "prediction"]
both_presets = pytest.mark.parametrize("preset", ["paper", "emkd"])


class TinyNet(nn.Module):
    """A network with logits and two taps, of strides 1 and 2."""

    def __init__(self, channels):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(channels, channels, 3, 2, 1), nn.ReLU())
        self.head = nn.ConvTranspose2d(channels, 2, 2, 2)

    def forward(self, image):
        low = self.low(image)
        high = self.high(low)
        return self.head(high), [low, high]


def batch(b=3, size=16):
    target = torch.zeros(b, 1, size, size)
    target[:, :, 4:10, 5:12] = 1
    return target + 0.3 * torch.randn(b, 1, size, size), target


def arguments(n=2, dtype=torch.float64, b=2):
    """The arguments of forward: student_logits, target, student_features, teacher_logits, teacher_features."""
    student_features = [torch.randn(b, 3, 8, 8, dtype=dtype), torch.randn(b, 5, 4, 4, dtype=dtype)]
    teacher_features = [[torch.randn(b, 4, 8, 8, dtype=dtype), torch.randn(b, 6, 4, 4, dtype=dtype)] for _ in range(n)]
    target = torch.zeros(b, 1, 8, 8)
    target[:, :, 2:6, 1:5] = 1
    teacher_logits = [torch.randn(b, 2, 8, 8, dtype=dtype) for _ in range(n)]
    return torch.randn(b, 2, 8, 8, dtype=dtype), target, student_features, teacher_logits, teacher_features


def test_golden_total(golden, assert_golden, dtype):
    g = golden["totals"]
    mid = (torch.tensor(g["weights"], dtype=dtype) * torch.tensor(g["mid_per_teacher"], dtype=dtype)).sum()
    terms = {name: torch.tensor(g[name], dtype=dtype) for name in ("dice", "lovasz")}
    terms |= {"importance": mid * 0.75, "region_contrast": mid * 0.25, "prediction": torch.tensor(g["kl"], dtype=dtype)}
    assert_golden(sum(DistillationLoss().weighted(terms).values()), g["kd_total"])


@both_presets
def test_terms_are_those_of_the_parts(preset):
    student, target, student_features, teachers, teacher_features = arguments()
    emkd = preset == "emkd"
    weights = adaptive_weights(teacher_dice_losses(teachers, target))
    importance = ImportanceMapLoss(distance="l2_squared" if emkd else "l1")
    contrast = RegionContrastLoss("squared" if emkd else "l2")
    prediction = PredictionDistillationLoss("teacher_student" if emkd else "student_teacher")
    expected = SegmentationLoss().terms(student, target)
    expected["importance"] = sum(
        w * importance(student_features, f) for w, f in zip(weights, teacher_features, strict=True)
    )
    expected["region_contrast"] = sum(
        w * contrast(student_features, f, target) for w, f in zip(weights, teacher_features, strict=True)
    )
    expected["prediction"] = prediction(student, teachers, weights)

    output = DistillationLoss(preset)(student, target, student_features, teachers, teacher_features)
    assert list(output.terms) == TERMS
    torch.testing.assert_close(output.terms, expected)
    torch.testing.assert_close(output.weights, weights)
    mid = expected["importance"] + expected["region_contrast"]
    seg = 0.2 * expected["dice"] + 0.3 * expected["lovasz"]
    torch.testing.assert_close(output.loss, seg + 0.1 * mid + 0.1 * expected["prediction"])
    torch.testing.assert_close(sum(output.weighted_terms.values()), output.loss)
    assert list(output.weighted_terms) == TERMS


def test_alpha_and_beta_0_leave_the_segmentation_loss():
    args = arguments()
    output = DistillationLoss(alpha=0.0, beta=0.0)(*args)
    assert list(output.terms) == ["dice", "lovasz"]
    torch.testing.assert_close(output.loss, SegmentationLoss()(*args[:2]))
    no_features = DistillationLoss(alpha=0.0)(*args[:2], [], args[3], [])
    assert list(no_features.terms) == ["dice", "lovasz", "prediction"]


def test_slopes_in_alpha_and_beta():
    args = arguments()
    base = DistillationLoss()(*args)
    steeper = DistillationLoss(alpha=1.1)(*args).loss - base.loss
    torch.testing.assert_close(steeper, base.terms["importance"] + base.terms["region_contrast"])
    torch.testing.assert_close(DistillationLoss(beta=1.1)(*args).loss - base.loss, base.terms["prediction"])


@both_presets
@pytest.mark.parametrize("weighting", ["loss", "score", "inverse", "uniform", [0.2, 0.8]])
@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_identical_teachers_equal_one(preset, weighting, scope):
    student, target, student_features, teachers, teacher_features = arguments(n=1)
    single = weighting if isinstance(weighting, str) else [3.0]
    one = DistillationLoss(preset, weighting=single, scope=scope)(
        student, target, student_features, teachers, teacher_features
    )
    two = DistillationLoss(preset, weighting=weighting, scope=scope)(
        student, target, student_features, teachers * 2, teacher_features * 2
    )
    assert one.weights.eq(1).all()
    torch.testing.assert_close(two.loss, one.loss)


@both_presets
def test_batch_order_does_not_matter(preset):
    args = arguments(b=3)

    def flip(value):
        return [flip(v) for v in value] if isinstance(value, list) else value.flip(0)

    for scope in ("batch", "sample"):
        loss = DistillationLoss(preset, scope=scope)
        torch.testing.assert_close(loss(*map(flip, args)).loss, loss(*args).loss)


def test_scope_sample_weighs_each_image_by_its_own():
    """A distilling term of a batch is then the mean of the terms of its images, each computed alone."""
    student, target, student_features, teachers, teacher_features = arguments()
    loss = DistillationLoss(scope="sample")
    whole = loss(student, target, student_features, teachers, teacher_features)
    alone = []
    for b in (slice(0, 1), slice(1, 2)):
        features = [[f[b] for f in fs] for fs in teacher_features]
        alone.append(loss(student[b], target[b], [f[b] for f in student_features], [z[b] for z in teachers], features))
    for name in TERMS[2:]:
        torch.testing.assert_close(whole.terms[name], (alone[0].terms[name] + alone[1].terms[name]) / 2)
    torch.testing.assert_close(whole.weights, torch.cat([alone[0].weights, alone[1].weights]))
    assert whole.weights.shape == (2, 2)


def test_fixed_weights_are_normalised():
    args = arguments()
    output = DistillationLoss(weighting=[1.0, 3.0])(*args)
    torch.testing.assert_close(output.weights, torch.tensor([0.25, 0.75]).double())
    only_second = DistillationLoss(weighting=[0.0, 1.0])(*args)
    torch.testing.assert_close(only_second.loss, DistillationLoss()(*args[:3], args[3][1:], args[4][1:]).loss)


def test_only_the_student_learns():
    student, target, student_features, teachers, teacher_features = arguments()
    learners = [student, *student_features]
    others = [*teachers, *(f for fs in teacher_features for f in fs)]
    for tensor in learners + others:
        tensor.requires_grad_()
    output = DistillationLoss()(student, target, student_features, teachers, teacher_features)
    output.loss.backward()
    assert all(t.grad is not None and t.grad.abs().max() > 0 for t in learners)
    assert all(t.grad is None for t in others)
    assert not any(t.requires_grad for t in [*output.terms.values(), output.weights])


@pytest.mark.parametrize("size", [8, 64])
def test_the_gradient_is_that_of_a_network_alone_and_of_the_predictions_to_the_last_bit(size):
    student, target, _, teachers, _ = arguments(dtype=torch.float32)
    student, target, *teachers = (x.repeat(1, 1, size // 8, size // 8) for x in (student, target, *teachers))
    student.requires_grad_()
    output = DistillationLoss("measured", alpha=0)(student, target, [], teachers, [])
    total, prediction = (
        torch.autograd.grad(value, student, retain_graph=True)[0]
        for value in (output.loss, output.weighted_terms["prediction"])
    )
    (alone,) = torch.autograd.grad(SegmentationLoss(cross_entropy_weight=0.5)(student, target), student)
    assert torch.equal(total, alone + prediction)


def test_gradcheck():
    student, target, student_features, teachers, teacher_features = arguments()
    small = [f[:, :2, :4, :4] for f in student_features]
    loss = DistillationLoss(terms={"importance": {"power": 2}})

    def value(z, low, high):
        return loss(z, target[:, :, :4, :4], [low, high], crop(teachers), [crop(fs) for fs in teacher_features]).loss

    def crop(tensors):
        return [t[:, :, :4, :4] for t in tensors]

    inputs = [x.clone().requires_grad_() for x in (student[:, :, :4, :4], *small)]
    assert torch.autograd.gradcheck(value, inputs)


@both_presets
def test_training_lowers_the_loss_and_leaves_the_teachers_as_they_are(preset):
    image, target = batch()
    teachers = [TinyNet(6).eval().requires_grad_(False) for _ in range(2)]
    states = [copy.deepcopy(teacher.state_dict()) for teacher in teachers]
    with torch.no_grad():
        teacher_logits, teacher_features = zip(*(teacher(image) for teacher in teachers), strict=True)
    student, loss = TinyNet(4), DistillationLoss(preset)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    history = []
    for _ in range(40):
        logits, features = student(image)
        output = loss(logits, target, features, teacher_logits, teacher_features)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        history.append(output.loss.item())
    assert history[-1] < 0.8 * history[0]
    for teacher, state in zip(teachers, states, strict=True):
        torch.testing.assert_close(dict(teacher.state_dict()), dict(state), rtol=0, atol=0)


@both_presets
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_finite_on_one_class_masks_in_half(preset, half, fill, scope):
    student, target, student_features, teachers, teacher_features = arguments(dtype=half)
    student = (student.sign() * 80).requires_grad_()
    student_features = [(f * 100).requires_grad_() for f in student_features]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = DistillationLoss(preset, scope=scope)(
            student, torch.full_like(target, fill), student_features, teachers, teacher_features
        )
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert all(value.isfinite().all() for value in [output.loss, output.weights, *output.terms.values()])
    assert all(x.grad.isfinite().all() for x in [student, *student_features])


def test_meta_tensors_give_plain_ones():
    args = arguments()
    wrapped = [MetaTensor(args[0]), MetaTensor(args[1]), *args[2:]]
    output = DistillationLoss()(*wrapped)
    assert type(output.loss) is torch.Tensor
    assert output.loss == DistillationLoss()(*args).loss


def test_configured_from_json():
    text = """{"loss": {"_target_": "custom_components.losses.DistillationLoss", "preset": "emkd", "alpha": 0.3,
        "weighting": [1, 2], "terms": {"cross_entropy": {"weight": 1.0}, "prediction": {"temperature": 2.0},
        "importance": {"power": 2}, "region_contrast": {"mask_resize": "area"}}}}"""
    loss = ConfigParser(json.loads(text)).get_parsed_content("loss")
    weights = {"dice": 0.2, "lovasz": 0.3, "cross_entropy": 1.0, "importance": 0.3, "region_contrast": 0.3}
    assert loss.term_weights == {**weights, "prediction": 0.1}
    assert (loss.parts["prediction"].temperature, loss.parts["importance"].power) == (2.0, 2)
    # Options that the config does not name keep the preset's values.
    assert (loss.parts["prediction"].direction, loss.parts["importance"].distance) == ("teacher_student", "l2_squared")
    contrast = loss.parts["region_contrast"]
    assert (contrast.distance, contrast.mask_resize) == ("squared", "area")
    assert list(loss(*arguments()).terms) == ["dice", "lovasz", "cross_entropy", *TERMS[2:]]


def test_a_preset_is_a_table_and_what_is_given_goes_over_it():
    args = arguments()
    spelled_out = DistillationLoss(
        "emkd", beta=1, terms={"cross_entropy": {"weight": 0.5}}, weighting="inverse", scope="sample"
    )
    torch.testing.assert_close(DistillationLoss("measured")(*args).loss, spelled_out(*args).loss)
    printed = DistillationLoss("paper")
    assert printed.options == PRESETS["paper"]
    weights = [printed.term_weights[name] for name in ("importance", "region_contrast", "prediction")]
    assert (weights, printed.options["weighting"], printed.options["scope"]) == ([0.1] * 3, "loss", "batch")
    given = DistillationLoss("measured", alpha=0, weighting="uniform", terms={"cross_entropy": {"weight": 0}})
    assert given.term_weights == {"dice": 0.2, "lovasz": 0.3, "prediction": 1}
    assert (given.options["weighting"], given.options["scope"]) == ("uniform", "sample")
    assert list(given(*args).terms) == ["dice", "lovasz", "prediction"]


def test_annealed_begins_as_measured_and_ends_without_its_teachers():
    args = arguments()
    measured, annealed = DistillationLoss("measured"), DistillationLoss("annealed")
    torch.testing.assert_close(annealed(*args).loss, measured(*args).loss)
    annealed.progress = 1.0
    alone = DistillationLoss("measured", alpha=0, beta=0)
    torch.testing.assert_close(annealed(*args).loss, alone(*args).loss)


def test_importance_and_region_contrast_are_weighed_apart():
    args = arguments()
    apart = DistillationLoss(alpha=0.3, terms={"region_contrast": {"weight": 0.05}, "importance": {}})
    assert (apart.term_weights["importance"], apart.term_weights["region_contrast"]) == (0.3, 0.05)
    output, base = apart(*args), DistillationLoss()(*args)
    torch.testing.assert_close(
        output.loss - base.loss, 0.2 * base.terms["importance"] - 0.05 * base.terms["region_contrast"]
    )
    one = DistillationLoss(terms={"importance": {"weight": 0}})(*args)
    assert list(one.terms) == ["dice", "lovasz", "region_contrast", "prediction"]


def test_the_order_of_the_terms_is_the_tables_whatever_the_order_given():
    shuffled = {name: {"weight": 1.0} for name in reversed(TERMS)}
    output = DistillationLoss(terms=shuffled)(*arguments())
    assert list(output.terms) == list(output.weighted_terms) == TERMS


def test_a_distillation_without_a_supervised_term():
    nothing = {name: {"weight": 0} for name in ("dice", "lovasz")}
    assert list(DistillationLoss(terms=nothing)(*arguments()).terms) == TERMS[2:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "EMKD"}, "loss option preset='EMKD' is unknown; choose one of 'paper', 'emkd', 'measured'"),
        ({"alpha": -0.1}, "loss option alpha=-0.1 must be a number of at least 0"),
        ({"beta": "0.1"}, "loss option beta='0.1'"),
        ({"weighting": "dice"}, "loss option weighting='dice' is unknown"),
        ({"weighting": [0, 0]}, r"loss option weighting=\[0, 0\] must hold a weight above 0"),
        ({"weighting": [1, -1]}, "loss option weighting=-1"),
        ({"scope": "image"}, "loss option scope='image'"),
        (
            {"terms": {"prediction": {"temprature": 2.0}}},
            "loss term prediction has no option 'temprature'; it has .*temperature",
        ),
        ({"terms": {"importance": {"power": 0.5}}}, r"loss option power=0\.5"),
        (
            {"terms": {"importance": {"weight": "much"}}},
            r"loss option terms\.importance\.weight='much' must be a number",
        ),
        ({"terms": {"importance": 0.2}}, r"loss option terms\.importance=0\.2 must hold options by name"),
        ({"terms": "importance"}, "loss option terms='importance' must be a table"),
        ({"terms": {"importanse": {"weight": 0.2}}}, "loss option terms='importanse' is unknown; choose one of 'dice'"),
        ({"terms": {name: {"weight": 0} for name in TERMS}}, "the loss has no term; give a weight above 0"),
        (
            {"terms": {"prediction": {"anneal": 1.5}}},
            r"loss option terms\.prediction\.anneal=1\.5 must be .* at most 1",
        ),
        ({"judged_by": "iou"}, "loss option judged_by='iou' is unknown; choose one of 'dice', 'cross_entropy'"),
        (
            {"weighting": "score", "judged_by": "cross_entropy"},
            "loss option judged_by='cross_entropy': the weighting 'score' is 1 - Dice loss",
        ),
        ({"weighting_temperature": 0}, "loss option weighting_temperature=0 must be a number above 0"),
        ({"gate": "wrong"}, "loss option gate='wrong' is unknown; choose one of 'right', 'better'"),
    ],
)
def test_wrong_options_in_one_line(options, message):
    with pytest.raises(InputError, match=rf"\A{message}") as error:
        DistillationLoss(**options)
    assert "\n" not in str(error.value)


def test_networks_of_other_classes_than_the_region_contrast():
    three = torch.randn(2, 3, 8, 8).double()
    _, target, student_features, _, teacher_features = arguments(n=1)
    with pytest.raises(
        InputError, match=r"\Aloss option region_contrast\.num_classes=2, but the student has 3 classes"
    ):
        DistillationLoss()(three, target, student_features, [three], teacher_features)
    fitting = DistillationLoss(terms={"region_contrast": {"num_classes": 3}})(
        three, target, student_features, [three], teacher_features
    )
    assert fitting.loss.isfinite()


def test_wrong_counts():
    student, target, student_features, teachers, teacher_features = arguments()
    loss = DistillationLoss()
    with pytest.raises(ValueError, match=r"\Alogits of 2 and features of 1 teachers"):
        loss(student, target, student_features, teachers, teacher_features[:1])
    with pytest.raises(ValueError, match=r"\Alogits of 0"):
        loss(student, target, student_features, [], [])
    with pytest.raises(ValueError, match=r"\A1 student and 2 teacher features given; they are paired"):
        loss(student, target, student_features[:1], teachers, teacher_features)
    with pytest.raises(InputError, match=r"\Aloss option weighting=\[1\.0\] must name 2 teachers' weights\Z"):
        DistillationLoss(weighting=[1.0])(student, target, student_features, teachers, teacher_features)


@pytest.mark.parametrize(("scope", "shape"), [("batch", (3,)), ("sample", (2, 3))])
def test_equal_weights_need_no_dice_of_the_teachers(scope, shape, monkeypatch):
    monkeypatch.setitem(JUDGES, "dice", None)
    args = arguments(b=2, n=3)
    output = DistillationLoss(weighting="uniform", scope=scope)(*args)
    torch.testing.assert_close(output.weights, torch.full(shape, 1 / 3, dtype=output.weights.dtype))
    torch.testing.assert_close(output.loss, DistillationLoss(weighting=[1, 1, 1], scope=scope)(*args).loss)


@pytest.mark.parametrize("weighting", ["loss", "score", "inverse", "uniform"])
def test_nor_does_a_teacher_alone(weighting, monkeypatch):
    monkeypatch.setitem(JUDGES, "dice", None)
    assert DistillationLoss(weighting=weighting)(*arguments(n=1)).weights.tolist() == [1.0]
