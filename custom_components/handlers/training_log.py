"""The log ``training.csv``: one row for each epoch, with loss terms, teacher weights and validation metrics."""

import logging
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from monai.utils import CommonKeys
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from custom_components.distributed import mean_over_processes
from custom_components.foundation.errors import NotFiniteError
from custom_components.foundation.files import remove_partials, write_csv
from custom_components.not_finite import LOWER, MEND, not_finite

logger = logging.getLogger(__name__)


class TrainingLog:
    """Writes the means of each epoch to ``training.csv`` and gives them to the other logs in ``engine.state.metrics``.

    After each call, a loss with terms holds their values in ``last_terms`` (scalar tensors by name). A term that some
    batches lack is averaged over the batches that have it.

    Args:
        output_dir: folder of ``training.csv``.
        loss: the loss function.
        optimizer: the optimizer; the log shows its learning rate.
        validator: the evaluator that the trainer runs; the log shows its metrics in the epoch's row.

    Raises:
        NotFiniteError: if a loss term is not finite; the message names the term, the cases and the slices. Also if the
            weights are not finite at an epoch's end, before they are saved.
    """

    def __init__(self, output_dir: str | Path, loss: Any, optimizer: Optimizer, validator: Engine) -> None:
        self.file = Path(output_dir) / "training.csv"
        self.loss = loss
        self.optimizer = optimizer
        self.validator = validator
        self.rows: list[dict[str, float]] = []
        self._values: dict[str, list[float]] = defaultdict(list)
        self._validation: dict[str, float] = {}

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer and its validator."""
        engine.add_event_handler(Events.STARTED, lambda: remove_partials(self.file))
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._check_weights)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish)
        self.validator.add_event_handler(Events.COMPLETED, self._keep_validation)

    def state_dict(self) -> dict[str, list[dict[str, float]]]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, list[dict[str, float]]]) -> None:
        self.rows = state["rows"]

    def _start(self, engine: Engine) -> None:
        self._values.clear()
        self._validation = {}

    def _add(self, engine: Engine) -> None:
        output = engine.state.output
        terms = {"loss": output["loss"], **self.loss.last_terms}
        # All values in one transfer: each transfer from a GPU waits for all of its queued work.
        on_device = torch.stack([term.detach().reshape(()).to(output["loss"].device) for term in terms.values()])
        values = dict(zip(terms, on_device.tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            tensors = [
                ("image", output[CommonKeys.IMAGE], MEND),
                ("network's output", output[CommonKeys.PRED], LOWER),
            ]
            raise not_finite(values, engine.state.epoch, engine.state.batch, tensors)
        for name, value in values.items():
            self._values[name].append(value)

    def _check_weights(self, engine: Engine) -> None:
        """Check the weights before they are saved: the epoch's last step may make them NaN, and no loss shows this."""
        if engine.state.iteration % engine.state.epoch_length:
            return
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        if not get_total_norm(weights).isfinite():
            what = f"the weights are not finite after the last step of epoch {engine.state.epoch}"
            raise NotFiniteError(what, advice=LOWER)

    def _keep_validation(self, validator: Engine) -> None:
        self._validation = {name: float(value) for name, value in validator.state.metrics.items()}

    def _finish(self, engine: Engine) -> None:
        means = mean_over_processes({name: fmean(values) for name, values in self._values.items()})
        engine.state.metrics.update(means)
        rate = self.optimizer.param_groups[0]["lr"]
        self.rows.append({"epoch": engine.state.epoch, "learning_rate": rate, **means, **self._validation})
        self._write()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in {**means, **self._validation}.items())
        logger.info(f"epoch {engine.state.epoch}/{engine.state.max_epochs}: {shown}")

    @idist.one_rank_only()
    def _write(self) -> None:
        columns = dict.fromkeys(name for row in self.rows for name in row)
        write_csv(self.file, self.rows, list(columns))
