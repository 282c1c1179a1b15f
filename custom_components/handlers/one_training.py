"""A lock that lets only one training at a time write into a bundle."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Engine, Events

from custom_components.foundation.locks import locked

LOCK = "training.lock"


class OneTraining:
    """Locks the folders that a training writes into; a second training into one of these folders is refused.

    The lock's file is removed at the end. A killed training leaves the file, but the file alone locks nothing.

    This handler must be the first in the list: later handlers remove and replace files as soon as the training starts.
    Under torchrun only the process that writes takes the lock.

    Args:
        folders: the folders of the weights, the log and the checkpoints; made if missing.

    Raises:
        InputError: at the training's start, if another training writes into one of the folders.
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
        # ignite calls the listeners of this event instead of raising the error, so this listener raises it again.
        raise error
