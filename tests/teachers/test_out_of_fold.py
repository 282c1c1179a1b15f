"""A teacher teaches only the cases that it was not trained on."""

from types import SimpleNamespace

import pytest
import torch

from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Output
from custom_components.teachers import OutOfFold, load_teacher


def case(name: str, sha256: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, info={"voxel_sha256": sha256 or name.upper()})


def teachers(*trained_on: set[str] | None) -> SimpleNamespace:
    names = [f"t{number}" for number in range(len(trained_on))]
    return SimpleNamespace(names=names, trained_on=[known and frozenset(known) for known in trained_on])


DATASET = SimpleNamespace(cases=[case("a"), case("b"), case("c")])


def test_each_case_has_the_teachers_that_have_not_seen_it():
    may_teach = OutOfFold(teachers({"A", "B"}, {"B", "C"}, {"X"}), DATASET)
    found = may_teach(["c", "a", "b", "c"], torch.device("cpu"))
    assert found.tolist() == [[True, False, True], [False, True, True], [False, False, True], [True, False, True]]


def test_a_case_that_all_teachers_have_seen_is_named():
    with pytest.raises(InputError, match=r"\Aout_of_fold: all teachers were trained on b \(and 1 more cases\)"):
        OutOfFold(teachers({"A", "B", "C"}, {"B", "C"}), DATASET)


def test_unknown_cases_are_refused():
    with pytest.raises(InputError, match=r"\Aout_of_fold: the cases that t1 was trained on are unknown"):
        OutOfFold(teachers({"A"}, None), DATASET)
    unhashed = SimpleNamespace(cases=[SimpleNamespace(name="a", info={})])
    with pytest.raises(InputError, match=r"\Aout_of_fold: a has no voxel_sha256 in the datalist"):
        OutOfFold(teachers({"A"}), unhashed)


def test_a_teacher_knows_the_cases_of_its_training(make_trained, cases):
    known = load_teacher(str(make_trained("espnet").path)).trained_on
    assert known == {one["voxel_sha256"] for one in cases}


def test_the_loss_gives_no_weight_to_a_teacher_that_may_not_teach():
    torch.manual_seed(0)
    loss = DistillationLoss(alpha=0, weighting="uniform", scope="sample")
    target = (torch.rand(2, 1, 8, 8) > 0.5).float()
    answers = [loss.answer(Output(torch.randn(2, 2, 8, 8), []), target) for _ in range(3)]
    student = Output(torch.randn(2, 2, 8, 8), [])
    may_teach = torch.tensor([[True, False, True], [False, True, False]])
    result = loss.compare(student, target, answers, may_teach=may_teach)
    torch.testing.assert_close(result.weights, torch.tensor([[0.5, 0, 0.5], [0, 1, 0]]))
    both = loss.compare(student, target, answers, may_teach=torch.tensor([[False, True, False]] * 2))
    only = loss.compare(student, target, answers[1:2])
    torch.testing.assert_close(both.terms["prediction"], only.terms["prediction"])


def test_all_weight_on_a_teacher_that_may_not_teach_is_shared_by_the_others():
    loss = DistillationLoss(alpha=0, weighting=[1, 0, 0])
    target = torch.ones(1, 1, 4, 4)
    answers = [loss.answer(Output(torch.randn(1, 2, 4, 4), []), target) for _ in range(3)]
    student, may_teach = Output(torch.randn(1, 2, 4, 4), []), torch.tensor([[False, True, True]])
    result = loss.compare(student, target, answers, may_teach=may_teach)
    torch.testing.assert_close(result.weights, torch.tensor([[0.0, 0.5, 0.5]]))
