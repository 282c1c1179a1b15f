import importlib

import pytest
import torch
from torch import nn

from custom_components import loss_terms
from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss, SegmentationLoss
from custom_components.losses.term import Output, SupervisedTerm, Taught, Term


class MeanLogit(Term):
    """A term that a test adds: the mean logit of the teachers minus that of the student, for each sample."""

    needs = frozenset({"logits"})

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def summary(self, teacher: Output, labels: torch.Tensor | None) -> list[torch.Tensor]:
        return [teacher.logits.mean(dim=(1, 2, 3))]

    def values(self, student: Output, labels: torch.Tensor | None, taught: Taught | None = None) -> torch.Tensor:
        means = torch.stack([mean for (mean,) in taught.summaries], dim=1)
        return self.factor * ((means * taught.weights).sum(dim=1) - student.logits.mean(dim=(1, 2, 3)))


def arguments(n=2, b=3):
    target = torch.zeros(b, 1, 4, 4)
    target[..., 1:3, 1:3] = 1
    features = [torch.randn(b, 3, 4, 4)]
    return torch.randn(b, 2, 4, 4), target, features, [torch.randn(b, 2, 4, 4) for _ in range(n)], [features] * n


def test_a_new_term_is_a_file_and_a_line(monkeypatch):
    monkeypatch.setitem(loss_terms.TERMS, "mean_logit", f"{__name__}.MeanLogit")
    loss = DistillationLoss(alpha=0, weighting="uniform", terms={"mean_logit": {"weight": 0.5, "factor": 3}})
    args = arguments()
    output = loss(*args)
    assert list(output.terms) == ["dice", "lovasz", "prediction", "mean_logit"]
    expected = 3 * (torch.stack(args[3]).mean() - args[0].mean())
    torch.testing.assert_close(output.terms["mean_logit"], expected)
    torch.testing.assert_close(output.weighted_terms["mean_logit"], 0.5 * expected)
    with pytest.raises(
        InputError, match=r"\Aloss term mean_logit has no option 'power'; it has weight, anneal, factor\Z"
    ):
        DistillationLoss(terms={"mean_logit": {"weight": 0.5, "power": 3}})
    with pytest.raises(InputError, match=r"\Aloss term mean_logit has no weight; give terms\.mean_logit\.weight\Z"):
        DistillationLoss(terms={"mean_logit": {"factor": 3}})


@pytest.mark.parametrize("name", loss_terms.TERMS)
def test_every_term_says_what_it_needs_and_summarises_a_teacher_by_sample(name):
    module, _, kind = loss_terms.TERMS[name].rpartition(".")
    term = getattr(importlib.import_module(module), kind)()
    assert term.needs <= {"mask", "features", "logits"}
    assert isinstance(term, SupervisedTerm) == (name in loss_terms.SUPERVISED)
    student, target, features, teachers, _ = arguments(n=1)
    labels = target[:, 0].long()
    summary = term.summary(Output(teachers[0].requires_grad_(), features), labels)
    assert bool(summary) == (name in loss_terms.DISTILLING)
    assert all(len(tensor) == 3 for tensor in summary)
    values = term.values(Output(student, features), labels, Taught([summary], torch.ones(1)))
    assert values.ndim == 0 or len(values) == 3
    assert values.isfinite().all()


@pytest.mark.parametrize("name", loss_terms.DISTILLING)
def test_a_samples_value_does_not_depend_on_the_others(name):
    module, _, kind = loss_terms.TERMS[name].rpartition(".")
    term = getattr(importlib.import_module(module), kind)()
    student, target, features, teachers, teacher_features = arguments()
    labels = target[:, 0].long()

    def values(rows):
        summaries = [
            term.summary(Output(z[rows], [f[rows] for f in fs]), labels[rows])
            for z, fs in zip(teachers, teacher_features, strict=True)
        ]
        own = Output(student[rows], [2 * f[rows].flip(0) for f in features])
        return term.values(own, labels[rows], Taught(summaries, torch.tensor([0.3, 0.7])))

    whole = values([0, 1, 2])
    # The student's features are those of the teacher in reverse, so that the middle one stays.
    torch.testing.assert_close(values([1]), whole[1:2])


def test_what_a_loss_needs_is_what_its_terms_need():
    assert SegmentationLoss().needs == {"mask"}
    assert DistillationLoss().needs == {"mask", "features", "logits"}
    assert DistillationLoss(alpha=0).needs == {"mask", "logits"}
    unsupervised = {"dice": {"weight": 0}, "lovasz": {"weight": 0}}
    assert DistillationLoss(alpha=0, terms=unsupervised).needs == {"logits"}


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.5), (0.25, 0.4), (0.5, 0.3), (1.0, 0.1)])
def test_a_weight_falls_to_its_share_by_hand(progress, weight):
    """The weight falls linearly from .5 to a fifth, .1. The other weights stay."""
    loss = DistillationLoss(beta=0.5, terms={"prediction": {"anneal": 0.2}})
    loss.progress = progress
    terms = dict.fromkeys(loss.term_weights, torch.tensor(1.0))
    weighted = {name: value.item() for name, value in loss.weighted(terms).items()}
    expected = {"dice": 0.2, "lovasz": 0.3, "importance": 0.1, "region_contrast": 0.1, "prediction": weight}
    assert weighted == pytest.approx(expected)


def test_a_network_alone_takes_supervised_terms_only():
    loss = SegmentationLoss(terms={"dice": {"weight": 1}, "lovasz": {}, "cross_entropy": {"weight": 0.5}})
    assert loss.term_weights == {"dice": 1, "lovasz": 0.3, "cross_entropy": 0.5}
    assert isinstance(loss.parts, nn.ModuleDict)
    with pytest.raises(
        InputError, match=r"\Aloss option terms='prediction' is unknown; choose one of 'dice', 'lovasz'"
    ):
        SegmentationLoss(terms={"prediction": {"weight": 0.1}})
    with pytest.raises(InputError, match=r"\Aloss option terms\.dice\.anneal is of a distillation; remove it\Z"):
        SegmentationLoss(terms={"dice": {"anneal": 0.1}})
    with pytest.raises(InputError, match=r"\Aloss option classes=\[2\] names a class that 2-class logits lack\Z"):
        SegmentationLoss(terms={"lovasz": {"classes": [2]}})(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))
