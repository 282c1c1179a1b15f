"""The checkpoint ``last.pt``, from which a training goes on exactly as if it had never stopped."""

import logging
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events

from custom_components.checkpoint import read_checkpoint, write_checkpoint
from custom_components.distributed import OfEveryProcess
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import remove_partials, replace_file
from custom_components.run_identity import differences, in_one_line, is_comparable

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...


class RandomStates:
    """The random generators of Python, numpy and torch, as one stateful object."""

    def state_dict(self) -> dict[str, Any]:
        kind, keys, *rest = np.random.get_state()
        state = {"python": random.getstate(), "numpy": [kind, keys.tolist(), *rest], "torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        random.setstate(state["python"])
        np.random.set_state(tuple(state["numpy"]))
        torch.set_rng_state(state["torch"].cpu())
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda"]])


class ResumeCheckpoint:
    """Saves ``last.pt`` after every epoch and, if asked to resume, starts from it.

    The checkpoint of the epoch before is kept as ``last.previous.pt``, and is used if ``last.pt`` is damaged. This
    handler must be the last in the list, so that the checkpoint includes all work of the other handlers in the epoch. A
    resumed training repeats everything that happened after the checkpoint.

    Args:
        path: the checkpoint ``last.pt``.
        objects: all objects with a state: network, optimizer, learning-rate schedule, best model. One that is None,
            such as teachers that do not learn, is left out.
        provenance: the result of :func:`custom_components.provenance.provenance`; a checkpoint of another run is
            refused.
        resume: whether to go on from ``path`` if it exists. If false, the training starts from the beginning and
            removes ``path``.

    Raises:
        InputError: when resuming, if both checkpoints are damaged, or if the checkpoint is of another run (the message
            says what differs), of a former version of this project, or has more epochs than ``max_epochs``.
    """

    def __init__(
        self,
        path: str | Path,
        objects: Mapping[str, Stateful | None],
        provenance: Mapping[str, Any],
        resume: bool = False,
    ) -> None:
        self.path = Path(path)
        self.previous = self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")
        self.run = provenance["run"]
        given = {name: item for name, item in objects.items() if item is not None}
        self.objects: dict[str, Stateful] = {**given, "random": OfEveryProcess(RandomStates())}
        self.resume = resume
        self._is_whole = False  # whether ``path`` is a readable checkpoint of this training

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.STARTED, self._load)
        engine.add_event_handler(Events.STARTED, self._check_all_start_alike)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)

    def _all(self, engine: Engine) -> dict[str, Stateful]:
        scaler = getattr(engine, "scaler", None)
        return {**self.objects, "trainer": engine, **({"scaler": scaler} if scaler else {})}

    def _save(self, engine: Engine) -> None:
        state = {"run": self.run, **{name: item.state_dict() for name, item in self._all(engine).items()}}
        self._write(state)

    @idist.one_rank_only()
    def _write(self, state: dict[str, Any]) -> None:
        def write(partial: Path) -> None:
            write_checkpoint(partial, state)
            if self._is_whole:
                os.replace(self.path, self.previous)

        replace_file(self.path, write)
        self._is_whole = True

    @idist.one_rank_only()
    def _clear(self) -> None:
        """Remove the temporary files of a killed writer and, for a new start, the former checkpoints."""
        remove_partials(self.path)
        if not self.resume:
            for former in (self.path, self.previous):
                former.unlink(missing_ok=True)

    def _load(self, engine: Engine) -> None:
        if engine.state.iteration:  # the same training is continued in this process
            return
        self._clear()
        if not self.resume:
            return
        path, checkpoint = self._read()
        if path is None:
            return
        self._check(path, checkpoint, engine)
        max_epochs = engine.state.max_epochs
        for name, item in self._all(engine).items():
            try:
                # The trainer refuses a state with another number of epochs, but a training may go on with more epochs.
                state = {**checkpoint[name], "max_epochs": max_epochs} if item is engine else checkpoint[name]
                item.load_state_dict(state)
            except (KeyError, RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{path}: does not fit this run ({name}: {reason}); use --resume False") from error
        self._is_whole = path == self.path
        logger.info(f"resumed from {path} after epoch {engine.state.epoch} of {max_epochs}")

    def _check_all_start_alike(self, engine: Engine) -> None:
        if len(set(idist.all_gather(engine.state.iteration))) > 1:
            raise InputError(f"{self.path}: not every process sees this file; put output_dir where all machines do")

    def _read(self) -> tuple[Path | None, Any]:
        """Read the newest undamaged checkpoint; None if there is no checkpoint at all."""
        damages = []
        for path in (self.path, self.previous):
            if not path.is_file():
                continue
            try:
                checkpoint = read_checkpoint(path)
            except InputError as damage:
                damages.append(str(damage))
                continue
            for damage in damages:
                logger.warning(f"{damage}; going on from {path}")
            return path, checkpoint
        if damages:
            raise InputError(f"{'; '.join(damages)}; use --resume False")
        return None, None

    def _check(self, path: Path, checkpoint: Any, engine: Engine) -> None:
        try:
            iteration, epoch_length = (checkpoint["trainer"][key] for key in ("iteration", "epoch_length"))
        except (KeyError, TypeError):
            raise InputError(f"{path}: not the checkpoint of a training; use --resume False") from None
        run = checkpoint.get("run")
        if not is_comparable(run):
            raise InputError(f"{path}: saved by another version of this project; use --resume False")
        told = in_one_line(differences(run, self.run))
        if epoch_length != engine.state.epoch_length:
            raise InputError(
                f"{path}: saved in epochs of {epoch_length} batches, this run has {engine.state.epoch_length}, "
                f"with other {told or 'data or batch size'}; use --resume False"
            )
        if told:
            raise InputError(f"{path}: saved by a training with other {told}; use --resume False")
        if iteration > epoch_length * engine.state.max_epochs:
            raise InputError(
                f"{path}: saved after epoch {iteration // epoch_length}, beyond max_epochs "
                f"{engine.state.max_epochs}; raise train::trainer::max_epochs, or start afresh with --resume False"
            )
