"""The teachers' weights on images without masks, measured on the training images of their sites."""

import math

import pytest
import torch
from torch import nn

from custom_components.bundle import Bundle
from custom_components.data import SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer
from custom_components.teachers import TeacherEnsemble, Teachers, measured_weights
from custom_components.teachers.load import Teacher
from custom_components.teachers.taps import Taps


def loss(weighting, **options) -> DistillationLoss:
    return DistillationLoss(unlabeled_weighting=weighting, weighting_temperature=0.5, **options)


class Says(Teachers):
    """Two teachers: the first predicts each mask, the second predicts nothing."""

    names = ("finds", "blind")
    identities = ({}, {})

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def answer(self, batch, summarise):
        self.asked += batch.sample["case"]
        gland = torch.where(batch.target > 0, 50.0, -50.0)
        background = torch.full_like(gland, -50.0)
        return [Answer(torch.cat([-logits, logits], dim=1)) for logits in (gland, background)]


@pytest.fixture
def dataset(cases, preprocessing, random_transforms, tmp_path) -> SliceDataset:
    """Masks for both cases of BMC and one of HK, none for the other of HK."""
    return SliceDataset(
        cases[:3], preprocessing, tmp_path, random_transforms(), views=2, without_masks=[{**cases[3], "label": None}]
    )


def test_the_masks_of_the_sites_without_all_masks_decide(dataset, cases):
    teachers = Says()
    weights = measured_weights(loss("site"), teachers, dataset, "cpu")
    # Pooled over the case's slices, the Dice losses are 0 and 1.
    assert weights == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))], abs=1e-4)
    assert set(teachers.asked) == {cases[2]["case"]}, "the other site's masks do not count"


def test_another_loss_may_judge(dataset):
    weights = measured_weights(loss("site", judged_by="cross_entropy"), Says(), dataset, "cpu")
    assert weights[0] > 0.99


@pytest.mark.parametrize("mode", ["uniform", "agreement", [1, 3]])
def test_some_need_no_measurement(dataset, mode):
    assert measured_weights(loss(mode), None, dataset, "cpu") is None


class Normed(nn.Sequential):
    def __init__(self, mean: float, **options) -> None:
        super().__init__(nn.BatchNorm2d(1, **options), nn.Conv2d(1, 2, 1))
        if self[0].running_mean is not None:
            self[0].running_mean.fill_(mean)


def ensemble(tmp_path, *networks: nn.Module, **facts) -> TeacherEnsemble:
    taps = {"stride2": "0"}
    return TeacherEnsemble(
        [
            Teacher(Bundle(tmp_path / f"t{n}", {}, taps), own, Taps(own, taps), "hash", **facts)
            for n, own in enumerate(networks)
        ],
        ("stride2",),
    )


def test_the_teacher_with_the_nearest_statistics_weighs_most(dataset, cases, tmp_path):
    images = torch.cat([case.image.volume().flatten() for case in dataset.cases[2:]])
    mean, variance = images.mean().item(), images.var(unbiased=False).item()
    teachers = ensemble(tmp_path, Normed(mean), Normed(mean + 2))
    found = measured_weights(loss("statistics"), teachers, dataset, "cpu")
    # One channel: the variances are v and 1, and the means differ by 0 or 2.
    near = (variance + 1 / variance) / 2 - 1
    far = (variance + 4) / 2 + (1 + 4) / (2 * variance) - 1
    ratio = math.exp((far - near) / 0.3)
    assert found == pytest.approx([ratio / (1 + ratio), 1 / (1 + ratio)], rel=1e-3)
    assert measured_weights(loss(None), teachers, dataset, "cpu") == found, "the default"


def test_the_distance_of_an_adapted_teacher_is_that_of_its_own_statistics(dataset, tmp_path):
    teachers = ensemble(tmp_path, Normed(0), Normed(0))
    teachers.distances = [0.1, 0.1 + 0.3 * math.log(4)]
    assert measured_weights(loss("statistics"), teachers, dataset, "cpu") == pytest.approx([0.8, 0.2])


def test_by_default_nothing_is_measured_that_cannot_be_compared(dataset, tmp_path):
    assert measured_weights(loss(None), Says(), dataset, "cpu") is None
    assert measured_weights(loss(None), ensemble(tmp_path, Normed(0)), dataset, "cpu") is None
    without = ensemble(tmp_path, Normed(0), Normed(1, track_running_stats=False))
    assert measured_weights(loss(None), without, dataset, "cpu") is None
    fixed = DistillationLoss(weighting=[1, 3])
    assert measured_weights(fixed, ensemble(tmp_path, Normed(0), Normed(1)), dataset, "cpu") is None


def test_what_cannot_be_measured_is_refused(dataset, cases, preprocessing, tmp_path):
    teachers = ensemble(tmp_path, Normed(0), Normed(1, track_running_stats=False))
    with pytest.raises(InputError, match=r"\ANormed: has no batch-norm statistics"):
        measured_weights(loss("statistics"), teachers, dataset, "cpu")
    with pytest.raises(
        InputError, match=r"\Aloss option unlabeled_weighting='statistics' needs teachers that are networks"
    ):
        measured_weights(loss("statistics"), Says(), dataset, "cpu")
    foreign = SliceDataset(cases[:2], preprocessing, tmp_path, without_masks=cases[3:4])
    with pytest.raises(InputError, match=r"\Aloss option unlabeled_weighting='site': no training case of the sites"):
        measured_weights(loss("site"), Says(), foreign, "cpu")
