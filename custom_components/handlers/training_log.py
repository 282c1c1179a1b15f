"""``training.csv``: one row an epoch, with every loss term, teacher weight and validation metric."""

import csv
import io
import logging
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from torch.optim import Optimizer

from custom_components.distributed import mean_over_processes
from custom_components.errors import InputError
from custom_components.files import write_text

logger = logging.getLogger(__name__)


class TrainingLog:
    """Writes the epoch's means to ``training.csv`` and hands them to the other logs as ``engine.state.metrics``.

    A loss that has terms leaves them in ``last_terms`` (name to scalar tensor) after each call.

    Args:
        output_dir: folder of ``training.csv``.
        loss: the loss function.
        optimizer: for its learning rate.
        validator: the evaluator that the trainer runs; its metrics go into the row of their epoch.

    Raises:
        InputError: as soon as a loss term is not finite; it names the term, the cases and the slices of the batch.
    """

    def __init__(self, output_dir: str | Path, loss: Any, optimizer: Optimizer, validator: Engine) -> None:
        self.file = Path(output_dir) / "training.csv"
        self.loss = loss
        self.optimizer = optimizer
        self.validator = validator
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, float] = defaultdict(float)
        self._validation: dict[str, float] = {}

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer and its validator."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish)
        self.validator.add_event_handler(Events.COMPLETED, self._keep_validation)

    def state_dict(self) -> dict[str, list[dict[str, float]]]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, list[dict[str, float]]]) -> None:
        self.rows = state["rows"]

    def _start(self, engine: Engine) -> None:
        self._sums.clear()
        self._validation = {}

    def _add(self, engine: Engine) -> None:
        terms = {"loss": engine.state.output["loss"], **self.loss.last_terms}
        for name, term in terms.items():
            value = float(term.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"loss term '{name}' is {value} in epoch {engine.state.epoch}, on {_samples(engine.state.batch)}; "
                    "lower the learning rate (--learning_rate)"
                )
            self._sums[name] += value

    def _keep_validation(self, validator: Engine) -> None:
        self._validation = {name: float(value) for name, value in validator.state.metrics.items()}

    def _finish(self, engine: Engine) -> None:
        means = mean_over_processes({name: total / engine.state.epoch_length for name, total in self._sums.items()})
        engine.state.metrics.update(means)
        rate = self.optimizer.param_groups[0]["lr"]
        self.rows.append({"epoch": engine.state.epoch, "learning_rate": rate, **means, **self._validation})
        self._write()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in {**means, **self._validation}.items())
        logger.info(f"epoch {engine.state.epoch}/{engine.state.max_epochs}: {shown}")

    @idist.one_rank_only()
    def _write(self) -> None:
        write_text(self.file, self._csv())

    def _csv(self) -> str:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def _samples(batch: dict[str, Any]) -> str:
    pairs = zip(batch["case"], batch["slice"], strict=True)
    return ", ".join(f"{case} slice {int(index)}" for case, index in pairs)
