"""Two things timed in turn, and what one takes of the other."""

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
        values: one a round; the median counts.
        target: the bound to meet.
        at_least: whether the bound is a lower one.
        unit: of the values; empty for a ratio.
        parts: medians of what the figure was made from, by name with unit.
    """

    what: str
    values: Sequence[float]
    target: float
    at_least: bool = False
    unit: str = ""
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.median >= self.target if self.at_least else self.median <= self.target


def seconds(run: Callable[[], object], device: torch.device | None = None) -> float:
    """Wall-clock time of one call; a GPU's queue is emptied before and after."""
    wait = torch.cuda.synchronize if device and device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def in_turn(
    rounds: int, *runs: Callable[[], object], device: torch.device | None = None, warm_up: bool = True
) -> list[list[float]]:
    """Seconds of every run in every round, one list a run.

    The runs take turns, so that whatever else the machine does hits all of them. With ``warm_up`` a first round is not
    counted.
    """
    for run in runs if warm_up else ():
        run()
    times = [[seconds(run, device) for run in runs] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]
