import pytest

from custom_components.foundation.errors import InputError
from custom_components.teachers.kinds import Predictions, bundles_among, entries, order_of_kinds, predictions_among


@pytest.fixture
def folder(tmp_path):
    """A folder that holds a folder of predictions and a bundle."""
    (tmp_path / "bundles" / "pspnet" / "configs").mkdir(parents=True)
    (tmp_path / "bundles" / "pspnet" / "configs" / "train.json").write_text("{}")
    (tmp_path / "nnunet").mkdir()
    return tmp_path


def test_entries_are_told_apart(folder, monkeypatch):
    bundles, nnunet = folder / "bundles", str(folder / "nnunet")
    table = {"predictions": nnunet, "classes": {"prostate": [1, 2]}, "confidence": 0.9, "name": "nn"}
    teachers = [nnunet, "pspnet", str(bundles / "pspnet"), table]
    assert entries(teachers, bundles) == [
        Predictions(folder / "nnunet"),
        "pspnet",
        str(bundles / "pspnet"),
        Predictions(folder / "nnunet", {"prostate": [1, 2]}, 0.9, "nn"),
    ]
    assert bundles_among(teachers, bundles) == teachers[1:3]
    assert [one.name for one in predictions_among(teachers, bundles)] == [None, "nn"]
    assert order_of_kinds(teachers, bundles) == [1, 0, 0, 1]
    # A single entry may stand without a list.
    assert entries(nnunet, bundles) == [Predictions(folder / "nnunet")]
    assert entries({"predictions": nnunet}, bundles) == [Predictions(folder / "nnunet")]
    # The name of a bundle never means a folder in the working directory.
    (folder / "pspnet").mkdir()
    monkeypatch.chdir(folder)
    assert entries("pspnet", bundles) == ["pspnet"]


def test_a_name_that_is_nothing_is_left_to_the_search_for_bundles(folder):
    assert entries("nowhere/at/all", folder / "bundles") == ["nowhere/at/all"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"folder": "x"}, r"\Ateachers: 'folder' is no key of a teacher; use predictions, classes, confidence, name"),
        ({"classes": {}}, r"\Ateachers: \{'classes': \{\}\} names no folder of predictions; give e\.g\. "),
        ({"predictions": 3}, r"\Ateachers: \{'predictions': 3\} names no folder of predictions; "),
    ],
)
def test_a_wrong_table_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        entries([table], ".")
