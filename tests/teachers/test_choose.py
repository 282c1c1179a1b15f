"""The choice of teachers, by the options of the distillation's config."""

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
    """To Python, a module of length 0 is false. But it is not a missing module."""
    empty = nn.ModuleList()
    assert choose_teachers(FROZEN, empty) is empty


def test_the_trainer_and_the_provenance_choose_from_the_same(repository):
    config = json.loads((repository / "bundles" / "distillation" / "configs" / "train.json").read_text())
    kinds = {
        kind: f"@{kind}" for kind in ("frozen_teachers", "online_teachers", "cached_teachers", "predicted_teachers")
    }
    kinds["frozen_teachers"] = "@teacher_ensemble"
    given = {"teachers": "@teachers", "bundles_dir": "@bundles_dir"}
    assert config["chosen_teachers"] == {"_target_": "custom_components.teachers.choose_teachers", **kinds, **given}
    assert config["train"]["trainer"]["teachers"] == "@chosen_teachers"
    # The loader is made before the teachers, so that a seed keeps its order of the slices.
    assert set(config["train"]["dataloader"]["dataset"]) == {"_target_", "dataset"}
    assert config["provenance"]["teachers"] == "@chosen_teachers"
    assert config["cached_teachers"]["teachers"] == "@teacher_ensemble"
