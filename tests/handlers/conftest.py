"""A training that a reader can follow by hand: its only weight is the number of finished iterations."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch import nn


class Training(SimpleNamespace):
    """The trainer, its validator, the network and the loss that the handlers listen to."""

    trainer: Engine
    validator: Engine
    network: nn.Linear
    loss: SimpleNamespace
    optimizer: torch.optim.Optimizer


@pytest.fixture
def make_training() -> Callable[..., Training]:
    """``make_training(dice=[0.2, 0.5])`` makes a training whose validations give these scores, one after each epoch."""

    def make(dice: Sequence[float] = (), losses: Sequence[float] = (1.0, 3.0)) -> Training:
        network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(network.weight)
        loss = SimpleNamespace(last_terms={})
        remaining, scores = [], iter(dice)

        def iterate(engine: Engine, batch: dict) -> dict:
            remaining[:] = remaining or losses
            with torch.no_grad():
                network.weight += 1
            value = torch.tensor(remaining.pop(0))
            loss.last_terms = {"dice": value / 2}
            engine.state.output = {"loss": value, "image": torch.zeros(2, 1), "pred": network.weight.expand(2, 1)}
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
            return engine.state.output

        def validate(engine: Engine, batch: None) -> None:
            engine.state.metrics["val_mean_dice"] = next(scores)

        trainer, validator = Engine(iterate), Engine(validate)
        trainer.register_events(*IterationEvents)
        if dice:
            trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: validator.run([None]))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        return Training(trainer=trainer, validator=validator, network=network, loss=loss, optimizer=optimizer)

    return make
