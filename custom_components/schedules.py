"""The learning rate over a training: the paper's schedule, or one cycle that ends with the training."""

from typing import NamedTuple

from custom_components.foundation.errors import InputError

SCHEDULES = ("paper", "one_cycle")


class Cycle(NamedTuple):
    """The numbers of batches in which the learning rate rises and falls, as torch's ``CyclicLR`` takes it.

    Attributes:
        up: number of batches of the rise.
        down: number of batches of the fall. None makes the fall as long as the rise, even if a user changes the rise.
    """

    up: int
    down: int | None


def cycle(schedule: str, epochs: int, batches: int) -> Cycle:
    """The cycle of a schedule.

    Args:
        schedule: with ``"paper"``, the learning rate rises for 2000 batches and falls for 2000 batches, again and
            again until the training ends. With ``"one_cycle"``, it rises over the first third of the training and falls
            over the rest.
        epochs: number of epochs of the training.
        batches: number of batches in an epoch.

    Raises:
        InputError: if there is no such schedule.

    >>> cycle("one_cycle", epochs=30, batches=10)
    Cycle(up=100, down=200)
    """
    if schedule not in SCHEDULES:
        raise InputError(f"schedule: {schedule!r} is none of {', '.join(SCHEDULES)}")
    if schedule == "paper":
        return Cycle(up=2000, down=None)
    steps = epochs * batches
    return Cycle(up=max(1, steps // 3), down=max(1, steps * 2 // 3))
