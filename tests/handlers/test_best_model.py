import json

import pytest
import torch

from custom_components.foundation.files import file_sha256
from custom_components.handlers import BestModel

BATCHES = [{}, {}]


@pytest.fixture
def best_model(tmp_path):
    def make(training) -> BestModel:
        handler = BestModel(tmp_path / "models", training.network, {"bundle": "enet"}, training.validator)
        handler.attach(training.trainer)
        return handler

    return make


def kept(folder) -> tuple[float, dict]:
    """The kept weight, which is the number of iterations done when it was kept, and the provenance."""
    weight = torch.load(folder / "models" / "model.pt", weights_only=True)["weight"].item()
    return weight, json.loads((folder / "models" / "provenance.json").read_text())


def test_keeps_the_best_epoch_and_the_first_of_equals(make_training, best_model, tmp_path):
    training = make_training(dice=[0.2, 0.5, 0.5, 0.4])
    best_model(training)
    training.trainer.run(BATCHES, max_epochs=4)
    weight, provenance = kept(tmp_path)
    assert weight == 4.0
    assert provenance["epoch"] == 2
    assert provenance["metrics"] == {"val_mean_dice": 0.5}


def test_keeps_the_last_epoch_without_validation(make_training, best_model, tmp_path):
    training = make_training()
    best_model(training)
    training.trainer.run(BATCHES, max_epochs=3)
    weight, provenance = kept(tmp_path)
    assert weight == 6.0
    assert (provenance["epoch"], provenance["metrics"]) == (3, {})


def test_a_metric_of_nan_is_never_the_best(make_training, best_model, tmp_path):
    training = make_training(dice=[float("nan"), 0.1, float("nan")])
    best_model(training)
    training.trainer.run(BATCHES, max_epochs=3)
    weight, provenance = kept(tmp_path)
    assert (weight, provenance["epoch"]) == (4.0, 2)


def test_the_provenance_names_the_weights_and_what_it_was_given(make_training, best_model, tmp_path):
    training = make_training()
    best_model(training)
    training.trainer.run(BATCHES, max_epochs=1)
    _, provenance = kept(tmp_path)
    assert provenance["bundle"] == "enet"
    assert provenance["weights_sha256"] == file_sha256(tmp_path / "models" / "model.pt")
    assert sorted(file.name for file in (tmp_path / "models").iterdir()) == ["model.pt", "provenance.json"]


def test_a_resumed_run_does_not_take_a_worse_epoch(make_training, best_model, tmp_path):
    before = make_training(dice=[0.5])
    state = best_model(before)
    before.trainer.run(BATCHES, max_epochs=1)
    after = make_training(dice=[0.4])
    best_model(after).load_state_dict(state.state_dict())
    after.trainer.run(BATCHES, max_epochs=1)
    assert kept(tmp_path)[1]["metrics"] == {"val_mean_dice": 0.5}
