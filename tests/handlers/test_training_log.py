import csv
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from custom_components.foundation.errors import NotFiniteError
from custom_components.handlers import TrainingLog

BATCHES = [{"case": ["BMC_Case00", "HK_Case01"], "slice": torch.tensor([2, 0])}] * 2


@pytest.fixture
def log(tmp_path):
    def attach(training) -> TrainingLog:
        handler = TrainingLog(tmp_path, training.loss, training.optimizer, training.validator)
        handler.attach(training.trainer)
        return handler

    return attach


def rows(folder) -> list[dict[str, str]]:
    with open(folder / "training.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_row_an_epoch_with_means_and_the_validation_of_that_epoch(make_training, log, tmp_path):
    # The validation comes before the log, as in the configs.
    training = make_training(dice=[0.25, 0.75])
    log(training)
    training.trainer.run(BATCHES, max_epochs=2)
    expected = {"learning_rate": "0.5", "loss": "2.0", "dice": "1.0"}
    assert rows(tmp_path) == [
        {"epoch": "1", **expected, "val_mean_dice": "0.25"},
        {"epoch": "2", **expected, "val_mean_dice": "0.75"},
    ]
    assert training.trainer.state.metrics == {"loss": 2.0, "dice": 1.0}


def test_an_epoch_without_validation_leaves_its_cell_empty(make_training, log, tmp_path):
    training = make_training(dice=[0.25])
    handler = log(training)
    training.trainer.run(BATCHES, max_epochs=1)
    second = make_training()
    log(second).load_state_dict(handler.state_dict())
    second.trainer.run(BATCHES, max_epochs=1)
    assert [row["val_mean_dice"] for row in rows(tmp_path)] == ["0.25", ""]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(make_training, log, value):
    training = make_training(losses=[1.0, value])
    log(training)
    with pytest.raises(
        NotFiniteError, match=rf"\Aloss term 'dice' is {value} in epoch 1, on BMC_Case00 slice 2, HK_Case01 "
    ):
        training.trainer.run(BATCHES, max_epochs=1)
    assert training.network.weight.item() == 2.0


def test_a_term_that_is_not_finite_is_named(make_training, log):
    training = make_training()
    handler = log(training)
    training.trainer.state.output = {"loss": torch.tensor(1.0), "image": torch.zeros(2, 1), "pred": torch.zeros(2, 1)}
    training.trainer.state.batch = BATCHES[0]
    training.loss.last_terms = {"dice": torch.tensor(0.5), "lovasz": torch.tensor(math.nan)}
    with pytest.raises(NotFiniteError, match=r"\Aloss term 'lovasz' is nan"):
        handler._add(training.trainer)


class OneByOne(TorchDispatchMode):
    """Counts the values that were read one by one; each such read would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_the_terms_of_a_step_are_fetched_together(make_training, log):
    training = make_training()
    handler = log(training)
    training.trainer.state.output = {"loss": torch.tensor(1.5), "image": torch.zeros(2, 1), "pred": torch.zeros(2, 1)}
    training.loss.last_terms = {"dice": torch.tensor(0.5), "norm": torch.tensor(1 / 3, dtype=torch.float64)}
    with OneByOne() as asked:
        handler._add(training.trainer)
    assert asked.count == 0
    assert handler._values == {"loss": [1.5], "dice": [0.5], "norm": [1 / 3]}
