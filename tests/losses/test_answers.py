"""The distillation loss on teachers' answers: batches with and without masks, teachers with and without features."""

import pytest
import torch

from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer, Output

TERMS = {"cross_entropy": {"weight": 0.5}}


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)

    def output() -> Output:
        features = [torch.randn(4, 3, size, size, generator=generator) for size in (8, 2)]
        return Output(torch.randn(4, 2, 16, 16, generator=generator), features)

    target = (torch.rand(4, 1, 16, 16, generator=generator) > 0.6).float()
    return output(), target, [output(), output()]


def rows_of(output: Output, rows: list[int]) -> Output:
    return Output(output.logits[rows], [features[rows] for features in output.features])


def compared(loss: DistillationLoss, student: Output, target, teachers, has_mask=None):
    return loss.compare(student, target, [loss.answer(teacher, target) for teacher in teachers], has_mask)


def test_answers_give_the_loss_of_the_outputs(batch):
    student, target, teachers = batch
    loss = DistillationLoss("emkd", terms=TERMS)
    logits, features = [one.logits for one in teachers], [one.features for one in teachers]
    direct = loss(student.logits, target, student.features, logits, features)
    for has_mask in (None, torch.ones(4, dtype=torch.bool)):
        result = compared(loss, student, target, teachers, has_mask)
        assert result.loss.item() == direct.loss.item()
        assert {name: term.item() for name, term in result.terms.items()} == {
            name: term.item() for name, term in direct.terms.items()
        }


def test_each_term_is_the_mean_over_the_samples_that_have_its_inputs(batch):
    student, target, teachers = batch
    loss = DistillationLoss("emkd", terms=TERMS, weighting="uniform")
    has_mask = torch.tensor([True, False, True, False])
    hidden = target.clone()
    hidden[~has_mask] = 0  # a sample without a mask has zeros in place of labels
    mixed = compared(loss, student, hidden, teachers, has_mask).terms
    masked = compared(loss, rows_of(student, [0, 2]), target[[0, 2]], [rows_of(one, [0, 2]) for one in teachers]).terms
    everywhere = compared(loss, student, target, teachers).terms
    for name in ("dice", "lovasz", "cross_entropy", "region_contrast"):
        assert mixed[name].item() == pytest.approx(masked[name].item(), rel=1e-6), name
    for name in ("importance", "prediction"):
        assert mixed[name].item() == pytest.approx(everywhere[name].item(), rel=1e-6), name


def test_without_any_mask_the_terms_that_need_none_remain(batch):
    student, target, teachers = batch
    loss = DistillationLoss("emkd", weighting="uniform")
    result = compared(loss, student, torch.zeros_like(target), teachers, torch.zeros(4, dtype=torch.bool))
    assert list(result.terms) == ["importance", "prediction"]
    alone = DistillationLoss("emkd", alpha=0, beta=0)
    student.logits.requires_grad_()
    nothing = compared(alone, student, torch.zeros_like(target), teachers, torch.zeros(4, dtype=torch.bool))
    assert nothing.terms == {}
    nothing.loss.backward()
    assert not student.logits.grad.any()


def test_a_teacher_without_features_is_left_out_of_their_terms_alone(batch):
    student, target, teachers = batch
    loss = DistillationLoss("emkd", weighting=[0.25, 0.75])
    both = compared(loss, student, target, teachers).terms
    bare = [teachers[0], Output(teachers[1].logits)]
    one = compared(loss, student, target, bare).terms
    first_alone = DistillationLoss("emkd", weighting=[1.0])
    first = compared(first_alone, student, target, teachers[:1]).terms
    assert one["prediction"].item() == both["prediction"].item()
    for name in ("importance", "region_contrast"):
        assert one[name].item() == pytest.approx(0.25 * first[name].item(), rel=1e-6)
    none = compared(loss, student, target, [Output(teacher.logits) for teacher in teachers]).terms
    assert list(none) == ["dice", "lovasz", "prediction"]


@pytest.mark.parametrize("gate", ["right", "better"])
def test_a_gate_is_open_on_samples_without_a_mask(batch, gate):
    student, target, teachers = batch
    gated, plain = (DistillationLoss("emkd", alpha=0, weighting="uniform", gate=one) for one in (gate, None))
    no_mask = torch.zeros(4, dtype=torch.bool)
    empty = torch.zeros_like(target)
    assert (
        compared(gated, student, empty, teachers, no_mask).terms["prediction"].item()
        == compared(plain, student, empty, teachers, no_mask).terms["prediction"].item()
    )


def test_options_of_summaries_are_those_that_change_them(batch):
    _, target, (teacher, _) = batch
    options = {"importance": {"power": 2.0}, "region_contrast": {"mask_resize": "area"}}
    default = DistillationLoss("emkd")
    for name, changed in options.items():
        other = DistillationLoss("emkd", terms={name: changed})
        term, before = other.terms_of_features[name], default.terms_of_features[name]
        assert term.summary_options() == {**before.summary_options(), **changed}
        same = DistillationLoss("paper").terms_of_features[name]  # the preset paper has another distance
        assert same.summary_options() == before.summary_options()
        own, first = (loss.answer(teacher, target).summaries[name] for loss in (other, default))
        assert not all(torch.equal(*pair) for pair in zip(own, first, strict=True))


def test_no_answers_are_refused(batch):
    student, target, _ = batch
    with pytest.raises(ValueError, match=r"\Ano answers of teachers given"):
        DistillationLoss().compare(student, target, [])


def test_an_answer_has_no_summaries_unless_given():
    assert Answer(torch.zeros(1, 2, 1, 1)).summaries == {}
