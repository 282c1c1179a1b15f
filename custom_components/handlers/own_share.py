"""A training beside others, which ends with the cores that they have left."""

from ignite.engine import Engine, Events

from custom_components.threads import take_own_share


class OwnShareOfCores:
    """At the start of every epoch, takes as many threads as ``python -m experiments run`` grants each training then."""

    def attach(self, engine: Engine) -> None:
        """Listen to the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, take_own_share)
