"""One training at a time in a bundle."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Engine, Events

from custom_components.locks import locked

LOCK = "training.lock"


class OneTraining:
    """Holds the folders that a training writes into while it runs; a second training into one of them is refused.

    Afterwards the lock's file is gone; the one of a killed training stays, and locks nothing.

    It belongs first among the handlers: those after it remove and replace files as soon as the training starts. Of
    several processes that train together (torchrun), the one that writes holds the folders.

    Args:
        folders: of the weights, of the log and the checkpoints; made if missing.

    Raises:
        InputError: when the training starts, if another one is at work in one of the folders.
    """

    def __init__(self, folders: Iterable[str | Path]) -> None:
        self._folders = sorted({Path(folder).resolve() for folder in folders})
        self._held = ExitStack()

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.STARTED, self._hold)
        engine.add_event_handler(Events.COMPLETED, self._held.close)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._let_go_and_raise)

    @idist.one_rank_only()
    def _hold(self) -> None:
        for folder in self._folders:
            refusal = f"{folder}: another training writes into this folder; wait for its end, or train in a copy"
            self._held.enter_context(locked(folder / LOCK, refusal))
            self._held.callback((folder / LOCK).unlink, missing_ok=True)

    def _let_go_and_raise(self, engine: Engine, error: BaseException) -> None:
        self._held.close()
        # Who listens to this event has to raise the error; ignite does not.
        raise error
