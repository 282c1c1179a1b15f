"""The number of threads of a training that runs beside other trainings."""

from ignite.engine import Engine, Events

from custom_components.foundation.threads import take_own_share


class OwnShareOfCores:
    """Sets, at the start of every epoch, the number of threads that ``experiments run`` grants each training."""

    def attach(self, engine: Engine) -> None:
        """Set the number of threads before each epoch of the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, take_own_share)
