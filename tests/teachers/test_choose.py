"""The choice of teachers, and what the options of the distillation's config make of it."""

import json

import pytest
from torch import nn

from custom_components.teachers import choose_teachers

FROZEN, ONLINE, CACHED = nn.Identity(), nn.Identity(), nn.Identity()


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ((FROZEN, None, None), FROZEN),
        ((None, ONLINE, None), ONLINE),
        ((FROZEN, None, CACHED), CACHED),
        ((FROZEN, ONLINE, None), ONLINE),
    ],
)
def test_the_choice(given, chosen):
    assert choose_teachers(*given) is chosen


def test_no_teachers_at_all():
    with pytest.raises(ValueError, match=r"\Ano teachers: "):
        choose_teachers(frozen_teachers=None, online_teachers=None)


def test_an_empty_list_of_teachers_is_a_choice_too():
    """A module that has a length, and none of it, is false to Python; it is not missing."""
    empty = nn.ModuleList()
    assert choose_teachers(FROZEN, empty) is empty


def test_the_trainer_and_the_provenance_choose_from_the_same(repository):
    config = json.loads((repository / "bundles" / "distillation" / "configs" / "train.json").read_text())
    kinds = {"frozen_teachers": "@teacher_ensemble", "online_teachers": "@online_teachers"}
    chooser = {"_target_": "custom_components.teachers.choose_teachers", **kinds}
    assert config["own_teachers"] == chooser
    assert config["chosen_teachers"] == {**chooser, "cached_teachers": "@cached_teachers"}
    assert config["train"]["trainer"]["teachers"] == "@chosen_teachers"
    assert config["train"]["dataloader"]["dataset"]["teachers"] == "@chosen_teachers"
    assert config["provenance"]["teachers"] == config["cached_teachers"]["teachers"] == "@own_teachers"
