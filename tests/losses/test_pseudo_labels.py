"""Pseudo-labels and the pixels that no supervised term counts: values computed by hand."""

import math

import pytest
import torch

from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss
from custom_components.losses._tensors import IGNORED
from custom_components.losses.cross_entropy import CrossEntropyLoss
from custom_components.losses.dice import PooledDiceLoss
from custom_components.losses.lovasz import LovaszSoftmaxLoss
from custom_components.losses.pseudo_labels import pseudo_labels
from custom_components.losses.term import Answer, Output

SUPERVISED = {"dice": {"weight": 0.2}, "lovasz": {"weight": 0.3}, "cross_entropy": {"weight": 0.5}}


def logits_of(probs: list[list[float]]) -> torch.Tensor:
    """Logits (B, 2, 1, W) of slices with these probabilities of prostate."""
    gland = torch.tensor(probs, dtype=torch.float64)[:, None, None]
    return torch.cat([1 - gland, gland], dim=1).log()


# Probabilities of prostate of two teachers on four pixels. Their uniform mixture is .9 .65 .45 .1.
FIRST, SECOND = [0.9, 0.9, 0.6, 0.1], [0.9, 0.4, 0.3, 0.1]


@pytest.mark.parametrize(
    ("mode", "weights", "expected"),
    [
        ("all", [0.5, 0.5], [1, 1, 0, 0]),
        ("all", [0.0, 1.0], [1, 0, 0, 0]),
        ("pixels", [0.5, 0.5], [1, IGNORED, IGNORED, 0]),
        # the mixture is .9 .89 .595 .1: the second teacher has only a weight of .02
        ("pixels", [0.98, 0.02], [1, 1, 1, 0]),
        # The masks 1110 and 1000 have the Dice 2·2/5 and 2·1/3 with the mixture's mask 1100, in the mean .73.
        ("slices", [0.5, 0.5], [IGNORED] * 4),
        # The mixture .9 .85 .57 .1 has the mask of the first teacher: .9 · 1 + .1 · 2/4 = .95
        ("slices", [0.9, 0.1], [1, 1, 1, 0]),
    ],
)
def test_pixels_or_slices_on_which_teachers_disagree_are_left_out(mode, weights, expected):
    teachers = [logits_of([FIRST]), logits_of([SECOND])]
    labels = pseudo_labels(teachers, torch.tensor(weights, dtype=torch.float64), mode)
    assert labels.flatten().tolist() == expected


def test_each_slice_has_its_own_weights_and_its_own_agreement():
    teachers = [logits_of([FIRST, FIRST, [0.1] * 4]), logits_of([SECOND, SECOND, [0.2] * 4])]
    weights = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]], dtype=torch.float64)
    labels = pseudo_labels(teachers, weights, "slices")[:, 0]
    # No teacher finds anything on the third slice: they agree.
    assert labels.tolist() == [[IGNORED] * 4, [1, 1, 1, 0], [0] * 4]


STUDENT = logits_of([[0.8, 0.6, 0.3, 0.4]])


def test_an_ignored_pixel_does_not_count_in_any_term():
    labels = torch.tensor([[[1, 0, IGNORED, 0]]])
    # Over the pixels .8 .6 .4 with the mask 1 0 0: MONAI's Dice smooths with 1e-5.
    assert PooledDiceLoss().values(Output(STUDENT), labels).item() == pytest.approx(1 - 1.6 / 2.8, abs=1e-5)
    entropy = -(math.log(0.8) + math.log(0.4) + math.log(0.6)) / 3
    assert CrossEntropyLoss().values(Output(STUDENT), labels).item() == pytest.approx(entropy)
    # Sorted errors .6 .4 .2 of prostate (the last is the pixel with the mask) have the steps 1/2, 1/6, 1/3; of
    # background (the first two are in its mask) 1/2, 1/2, 0.
    lovasz = ((0.3 + 0.4 / 6 + 0.2 / 3) + (0.3 + 0.2)) / 2
    assert LovaszSoftmaxLoss().values(Output(STUDENT), labels).item() == pytest.approx(lovasz)


@pytest.mark.parametrize(
    "term",
    [
        PooledDiceLoss(),
        PooledDiceLoss(generalized=True),
        CrossEntropyLoss(),
        LovaszSoftmaxLoss(),
        LovaszSoftmaxLoss("all"),
    ],
)
def test_ignoring_pixels_is_the_loss_of_the_others(term):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 8, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (3, 8, 8), generator=generator)
    labels[:, :, 5:] = IGNORED
    ignoring = term.values(Output(logits), labels)
    cropped = term.values(Output(logits[..., :5]), labels[..., :5])
    assert ignoring.item() == pytest.approx(cropped.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(ignoring, logits)
    assert not gradient[..., 5:].any()
    assert gradient[..., :5].any()


def test_lovasz_of_each_image_ignores_within_the_image():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 4, 4, generator=generator)
    labels = torch.randint(0, 2, (2, 4, 4), generator=generator)
    labels[1, 2:] = IGNORED
    term = LovaszSoftmaxLoss(per_image=True)
    first, second = term.values(Output(logits), labels).tolist()
    assert first == pytest.approx(term.values(Output(logits[:1]), labels[:1]).item())
    assert second == pytest.approx(term.values(Output(logits[1:, :, :2]), labels[1:, :2]).item())


def compared(loss, student, target, teachers, has_mask):
    return loss.compare(Output(student), target, [Answer(teacher) for teacher in teachers], has_mask)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    student, *teachers = (torch.randn(4, 2, 16, 16, generator=generator) for _ in range(3))
    return student, (torch.rand(4, 1, 16, 16, generator=generator) > 0.6).float(), teachers


def test_the_mixtures_class_is_the_mask_of_samples_without_one(batch):
    student, target, teachers = batch
    has_mask = torch.tensor([True, False, True, False])
    options = {"alpha": 0, "beta": 0, "terms": SUPERVISED}
    mixture = sum(teacher.softmax(dim=1) for teacher in teachers) / 2
    drawn = torch.where(has_mask[:, None, None, None], target, mixture.argmax(dim=1, keepdim=True).float())
    expected = compared(DistillationLoss("emkd", **options), student, drawn, teachers, None).terms
    hidden = target * has_mask[:, None, None, None]
    found = compared(DistillationLoss("emkd", pseudo_labels="all", **options), student, hidden, teachers, has_mask)
    assert {name: term.item() for name, term in found.terms.items()} == {
        name: term.item() for name, term in expected.items()
    }


@pytest.mark.parametrize("mode", ["all", "pixels", "slices"])
def test_with_a_mask_for_every_sample_nothing_changes(batch, mode):
    student, target, teachers = batch
    for has_mask in (None, torch.ones(4, dtype=torch.bool)):
        options = {"alpha": 0, "terms": {"cross_entropy": {"weight": 0.5}}}
        plain, with_pseudo = (
            compared(DistillationLoss("emkd", pseudo_labels=choice, **options), student, target, teachers, has_mask)
            for choice in (None, mode)
        )
        assert with_pseudo.loss.item() == plain.loss.item()


@pytest.mark.parametrize("mode", ["pixels", "slices"])
def test_without_any_agreement_the_supervised_terms_are_absent(batch, mode):
    student, target, (teacher, _) = batch
    student.requires_grad_()
    loss = DistillationLoss("emkd", alpha=0, pseudo_labels=mode)
    result = compared(loss, student, torch.zeros_like(target), [teacher, -teacher], torch.zeros(4, dtype=torch.bool))
    assert not result.terms
    result.loss.backward()
    assert not student.grad.any()


def test_samples_with_pseudo_labels_are_left_out_of_the_distilling_terms(batch):
    student, target, teachers = batch
    has_mask = torch.tensor([True, False, True, False])
    of_masks = [part[has_mask] for part in (student, target)]
    loss = DistillationLoss("emkd", alpha=0, scope="sample", pseudo_labels="all")
    each = DistillationLoss("emkd", alpha=0, scope="sample")
    alone = compared(each, *of_masks, [one[has_mask] for one in teachers], None)
    found = compared(loss, student, target, teachers, has_mask)
    torch.testing.assert_close(found.terms["prediction"], alone.terms["prediction"])


def test_the_pseudo_labels_of_a_preset_can_be_switched_off(batch):
    student, target, teachers = batch
    loss = DistillationLoss("new_site", beta=1, pseudo_labels="none")
    result = compared(loss, student, target, teachers, torch.zeros(4, dtype=torch.bool))
    assert list(result.terms) == ["prediction"]
    with_labels = compared(DistillationLoss("new_site"), student, target, teachers, torch.zeros(4).bool())
    assert list(with_labels.terms) == ["dice", "lovasz", "cross_entropy"]


def test_soft_labels_compare_only_the_samples_without_a_mask(batch):
    student, target, teachers = batch
    has_mask = torch.tensor([True, False, True, False])
    without, with_mask = [[part[rows] for part in (student, target, *teachers)] for rows in (~has_mask, has_mask)]
    plain = DistillationLoss("new_site", beta=1, pseudo_labels="none")
    soft = DistillationLoss("new_site", beta=1, pseudo_labels="soft")
    found = compared(soft, student, target, teachers, has_mask).terms
    expected = compared(plain, *without[:2], without[2:], torch.zeros(2, dtype=torch.bool)).terms
    torch.testing.assert_close(found["prediction"], expected["prediction"])
    of_masks = compared(plain, *with_mask[:2], with_mask[2:], None).terms
    for name in ("dice", "lovasz", "cross_entropy"):
        torch.testing.assert_close(found[name], of_masks[name])
    # In the last epoch, all samples have a mask.
    assert list(compared(soft, student, target, teachers, None).terms) == ["dice", "lovasz", "cross_entropy"]


def test_a_term_for_each_pixel_is_averaged_over_those_that_count(batch, monkeypatch):
    """A term of the documentation's kind, which knows nothing of ignored pixels."""
    student, target, teachers = batch
    loss = DistillationLoss("emkd", alpha=0, beta=0, pseudo_labels="pixels", terms={"dice": {"weight": 1}})
    shown = []

    def values(output, labels, taught=None):
        shown.append(labels)
        return (labels == 1).double()

    monkeypatch.setattr(loss.parts["dice"], "values", values)
    result = compared(loss, student, target, teachers, torch.tensor([True, False, False, False]))
    (labels,) = shown
    assert (labels == IGNORED).any()
    share = (labels == 1).sum() / (labels != IGNORED).sum()
    assert result.terms["dice"].item() == pytest.approx(share.item())


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        InputError, match=r"\Aloss option pseudo_labels='some' is unknown; choose one of 'all', 'pixels'"
    ):
        DistillationLoss(pseudo_labels="some")
