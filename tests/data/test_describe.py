import json

import numpy as np
import pytest
import torch
from monai.transforms import Compose, NormalizeIntensityd, RandFlip, ScaleIntensityRange, ThresholdIntensity

from custom_components.data.describe import describe


def test_a_transform_is_its_class_and_its_settings():
    assert describe(ThresholdIntensity(threshold=3.0, above=False, cval=1)) == {
        "transform": "ThresholdIntensity",
        "above": False,
        "cval": 1,
        "threshold": 3.0,
    }


def test_every_setting_counts_however_deep():
    descriptions = [
        describe(ScaleIntensityRange(0, 1, 0, 1)),
        describe(ScaleIntensityRange(0, 2, 0, 1)),
        describe(NormalizeIntensityd("image")),
        describe(NormalizeIntensityd("image", subtrahend=np.array([1.0]))),
        describe(NormalizeIntensityd("image", nonzero=True)),
    ]
    assert len({json.dumps(description) for description in descriptions}) == len(descriptions)


def test_the_random_state_is_no_setting():
    assert describe(RandFlip(prob=0.5).set_random_state(1)) == describe(RandFlip(prob=0.5).set_random_state(2))


def test_is_plain_json():
    values = {"a": np.arange(2), "b": torch.ones(1), "c": (1, None), "d": np.mean, 5: [True], "e": np.array([np.nan])}
    assert describe(values) == {"a": [0, 1], "b": [1.0], "c": [1, None], "d": "mean", "5": [True], "e": ["nan"]}


@pytest.mark.parametrize("field_of_view", [None, 40])
def test_running_the_preprocessing_does_not_change_its_description(checked_in_preprocessing, cases, field_of_view):
    preprocessing = checked_in_preprocessing(field_of_view=field_of_view)
    before = describe(preprocessing.transforms)
    assert json.loads(json.dumps(before)) == before
    preprocessing({"image": cases[0]["image"], "label": cases[0]["label"]})
    assert describe(preprocessing.transforms) == before
    assert describe(Compose(preprocessing.transforms).transforms) == before
