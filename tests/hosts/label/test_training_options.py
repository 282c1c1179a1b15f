"""The options of a training, as a client sends them, before the training starts."""

import pytest

from custom_components.bundle import SHIPPED_BUNDLES
from custom_components.foundation.errors import InputError
from integrations.monai_label import compatibility  # noqa: F401 - before MONAI Label is imported
from integrations.monai_label.training import BundleTraining


class NoStudies:
    """A datastore without an image."""

    def datalist(self):
        return []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": "many"}, "--max_epochs many: not a whole number"),
        ({"max_epochs": 2.5}, "--max_epochs 2.5: not a whole number"),
        ({"max_epochs": None}, "--max_epochs None: give at least 1"),
        ({"max_epochs": 0}, "--max_epochs 0: give at least 1"),
        ({"val_split": "half"}, "val_split: half is not a share from 0 to below 1"),
        ({"val_split": None}, "val_split: None is not a share from 0 to below 1"),
        ({"val_split": 1}, "val_split: 1 is not a share from 0 to below 1"),
        ({"pretrained": "maybe"}, "--pretrained maybe: neither True nor False"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, options, message):
    with pytest.raises(InputError) as caught:
        BundleTraining(SHIPPED_BUNDLES / "enet", {}, tmp_path)(options, NoStudies())
    assert str(caught.value) == message


@pytest.mark.parametrize(("value", "expected"), [("false", False), ("True", True), (False, False)])
def test_pretrained_means_what_it_says(tmp_path, monkeypatch, value, expected):
    seen = []
    training = BundleTraining(SHIPPED_BUNDLES / "enet", {}, tmp_path)
    monkeypatch.setattr(training, "_command", lambda options: seen.append(options["pretrained"]))
    with pytest.raises(InputError, match=r"\A0 labelled images"):
        training({"pretrained": value}, NoStudies())
    assert seen == [expected]
