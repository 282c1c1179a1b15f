"""Functions timed in turn, and the ratio of their times."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target.

    Args:
        what: the figure in words.
        values: one value for each round; the median counts.
        target: the bound that the median must meet.
        at_least: whether the bound is a lower one.
        unit: unit of the values; empty for a ratio.
        parts: the medians that the figure was computed from, by name with unit.
        note: how the figure was measured, or why it misses the target.
    """

    what: str
    values: Sequence[float]
    target: float
    at_least: bool = False
    unit: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.median >= self.target if self.at_least else self.median <= self.target


def seconds(run: Callable[[], object], device: torch.device | None = None) -> float:
    """Wall-clock time of one call. A GPU finishes its queued work before the call and again before the clock stops."""
    wait = torch.cuda.synchronize if device and device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def in_turn(
    rounds: int, *runs: Callable[[], object], device: torch.device | None = None, warm_up: bool = True
) -> list[list[float]]:
    """The seconds of every function in every round, one list for each function.

    The functions take turns, so that other work on the machine slows all of them. With ``warm_up`` the first round is
    not counted.
    """
    for run in runs if warm_up else ():
        run()
    times = [[seconds(run, device) for run in runs] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """The ratio of two lists of seconds, round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]
