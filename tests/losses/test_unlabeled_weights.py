"""The teachers' weights on samples without a mask, computed by hand."""

import math

import pytest
import torch

from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer, Output
from custom_components.losses.unlabeled_weights import UnlabeledWeights, agreement_losses


def logits_of(probs: torch.Tensor) -> torch.Tensor:
    """Logits (1, 2, H, W) of probabilities of prostate (H, W)."""
    return torch.stack([1 - probs, probs]).log()[None]


def disc(probability: float, background: float = 1e-9) -> torch.Tensor:
    """Probabilities on 100 pixels, 20 of which are prostate."""
    probs = torch.full((10, 10), background, dtype=torch.float64)
    probs[:2] = probability
    return logits_of(probs)


def test_agreement_is_the_soft_dice_with_the_mean():
    # On 20 pixels the mean of .9 and .5 is .7: 2·20·.9·.7 + 1 over 20·.81 + 20·.49 + 1, and so on.
    losses = agreement_losses([disc(0.9), disc(0.5)])[0]
    assert losses.tolist() == pytest.approx([1 - 26.2 / 27, 1 - 15 / 15.8])
    weights = UnlabeledWeights("agreement", temperature=0.1)([disc(0.9), disc(0.5)])[0]
    ratio = math.exp((26.2 / 27 - 15 / 15.8) / 0.1)
    assert weights.tolist() == pytest.approx([ratio / (1 + ratio), 1 / (1 + ratio)])


@pytest.mark.parametrize("sureness", [1e-3, 1e-6, 1e-12])
def test_a_teacher_that_confidently_finds_nothing_does_not_win(sureness):
    finds, blind = disc(0.9), logits_of(torch.full((10, 10), sureness, dtype=torch.float64))
    weights = UnlabeledWeights("agreement", temperature=0.1)([blind, finds, blind])[0]
    # The blind ones are the majority: the consensus is .3. The Dice of the finder is (2·20·.27 + 1) / (16.2 + 1.8 + 1),
    # that of the others 1 / (1.8 + 1).
    ratio = math.exp((11.8 / 19 - 1 / 2.8) / 0.1)
    assert weights.tolist() == pytest.approx([1 / (ratio + 2), ratio / (ratio + 2), 1 / (ratio + 2)], rel=0.05)
    assert weights[1] > 0.85


def test_a_slice_on_which_all_find_nothing_gives_all_the_same_weight():
    blind = [logits_of(torch.full((10, 10), sure, dtype=torch.float64)) for sure in (1e-3, 1e-6, 1e-12)]
    weights = UnlabeledWeights("agreement", temperature=0.1)(blind)
    assert weights[0].tolist() == pytest.approx([1 / 3] * 3, abs=1e-3)


def test_a_majority_that_is_wrong_in_the_same_way_wins():
    wrong = logits_of(disc(0.9).softmax(dim=1)[0, 1].flip(0))
    weights = UnlabeledWeights("agreement", temperature=0.1)([disc(0.9), wrong, wrong])[0]
    assert weights[0] < 0.05


def test_each_slice_has_its_own_weights():
    finds, blind = disc(0.9), disc(1e-9)
    weights = UnlabeledWeights("agreement", 0.1)([torch.cat([finds, blind]), torch.cat([blind, finds])])
    assert weights[0].tolist() == pytest.approx(weights[1].flip(0).tolist())


def test_fixed_weights_are_divided_by_their_sum_and_counted():
    logits = [torch.zeros(3, 2, 1, 1)] * 2
    assert UnlabeledWeights([1, 3], 0.1)(logits).tolist() == [[0.25, 0.75]] * 3
    with pytest.raises(
        InputError, match=r"\Aloss option unlabeled_weighting=\[1, 3, 1\] must name 2 teachers' weights"
    ):
        UnlabeledWeights([1, 3, 1], 0.1)(logits)


@pytest.mark.parametrize("weighting", ["site", "statistics"])
def test_measured_weights_must_be_set_before_the_training(weighting):
    weights, logits = UnlabeledWeights(weighting, 0.1), [torch.zeros(3, 2, 1, 1)] * 2
    with pytest.raises(ValueError, match=rf"\Aunlabeled_weighting {weighting}: the weights were not measured"):
        weights(logits)
    weights.use([3, 1])
    assert weights(logits).tolist() == [[0.75, 0.25]] * 3


@pytest.mark.parametrize(
    ("weighting", "message"),
    [
        ("best", "unlabeled_weighting='best' is unknown; choose one of 'uniform', 'agreement', 'site', 'statistics'"),
        ([0, 0], r"unlabeled_weighting=\[0, 0\] must hold a weight above 0"),
        ([-1, 2], "unlabeled_weighting=-1 must be a number of at least 0"),
    ],
)
def test_other_values_are_refused(weighting, message):
    with pytest.raises(InputError, match=rf"\Aloss option {message}"):
        DistillationLoss(unlabeled_weighting=weighting)


@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_samples_with_a_mask_keep_the_weights_that_they_have_alone(scope):
    generator = torch.Generator().manual_seed(0)
    student, *teachers = (torch.randn(4, 2, 8, 8, generator=generator) for _ in range(3))
    target = (torch.rand(4, 1, 8, 8, generator=generator) > 0.6).float()
    has_mask = torch.tensor([True, False, True, False])
    loss = DistillationLoss("emkd", weighting="inverse", scope=scope, unlabeled_weighting=[1, 3])
    found = loss.compare(Output(student), target, [Answer(teacher) for teacher in teachers], has_mask).weights
    alone = loss.teacher_weights([teacher[has_mask] for teacher in teachers], target[has_mask])
    assert torch.equal(found[has_mask], alone.expand(2, 2))
    assert found[~has_mask].tolist() == [[0.25, 0.75]] * 2


@pytest.mark.parametrize(("weighting", "expected"), [("inverse", [0.5, 0.5]), ([1, 3], [0.25, 0.75])])
def test_by_default_they_are_uniform_or_the_fixed_ones(weighting, expected):
    loss = DistillationLoss("emkd", alpha=0, weighting=weighting)
    answers = [Answer(torch.zeros(2, 2, 4, 4)), Answer(torch.ones(2, 2, 4, 4))]
    result = loss.compare(
        Output(torch.zeros(2, 2, 4, 4)), torch.zeros(2, 1, 4, 4), answers, torch.zeros(2, dtype=torch.bool)
    )
    assert result.weights.tolist() == [expected] * 2
