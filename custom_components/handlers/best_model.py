"""``models/model.pt``: the weights of the best epoch, with their provenance."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch import nn

from custom_components.checkpoint import remove_partial_weights, write_weights

logger = logging.getLogger(__name__)


class BestModel:
    """Keeps the weights of the epoch with the highest validation metric, or of the last epoch without validation.

    Args:
        models_dir: folder of ``model.pt`` (a bare state dict) and ``provenance.json``.
        network: the unwrapped network.
        provenance: the result of :func:`custom_components.provenance.provenance`.
        validator: the evaluator that the trainer runs.
        metric: name of the validator's metric that decides; higher is better.
    """

    def __init__(
        self,
        models_dir: str | Path,
        network: nn.Module,
        provenance: Mapping[str, Any],
        validator: Engine,
        metric: str = "val_mean_dice",
    ) -> None:
        self.model_file = Path(models_dir) / "model.pt"
        self.network = network
        self.provenance = provenance
        self.validator = validator
        self.metric = metric
        self.best: float | None = None

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer and its validator."""
        engine.add_event_handler(Events.STARTED, lambda: remove_partial_weights(self.model_file))
        self.validator.add_event_handler(Events.COMPLETED, self._compare, engine)
        engine.add_event_handler(Events.COMPLETED, self._keep_unvalidated)

    def state_dict(self) -> dict[str, float | None]:
        return {"best": self.best}

    def load_state_dict(self, state: Mapping[str, float | None]) -> None:
        self.best = state["best"]

    def _compare(self, validator: Engine, trainer: Engine) -> None:
        value = float(validator.state.metrics[self.metric])
        if value > (-math.inf if self.best is None else self.best):
            self.best = value
            self._save(trainer, {self.metric: value})

    def _keep_unvalidated(self, trainer: Engine) -> None:
        if self.best is None:
            logger.info(f"{self.model_file}: no validation, so it has the weights of the last epoch")
            self._save(trainer, {})

    @idist.one_rank_only()
    def _save(self, trainer: Engine, metrics: dict[str, float]) -> None:
        write_weights(self.model_file, self.network, self.provenance, trainer.state.epoch, metrics)
