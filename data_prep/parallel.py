"""Work on many items in worker processes with a time limit, so that a crash or an endless read affects one item
only.
"""

import argparse
import enum
import math
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from pebble import CONSTS, ProcessExpired, ProcessFuture, ProcessPool

from custom_components.foundation.threads import usable_cores
from data_prep.findings import Finding

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough items that no process waits, but a bounded number, so that memory does not grow with the number of items.
AHEAD = 4
# Time limit for one case. N4, the slowest step, takes 20 s.
LIMIT_S = 600
# Seconds that pebble waits for the lock under which a worker takes a task. A worker holds the lock for milliseconds,
# unless it was killed meanwhile.
CONSTS.channel_lock_timeout = 10


def add_arguments(parser: argparse.ArgumentParser, jobs_help: str = "") -> None:
    """Add the flags of a command that reads many cases; ``jobs_help`` is a further meaning of ``--jobs``."""
    add_jobs(parser, jobs_help)
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        default=LIMIT_S,
        metavar="SECONDS",
        help=f"for one case in a worker process; one that takes longer is quarantined ({LIMIT_S})",
    )


def add_jobs(parser: argparse.ArgumentParser, more_help: str = "") -> None:
    """Add ``--jobs``."""
    parser.add_argument(
        "--jobs",
        type=_count,
        default=None if more_help else available_cores(),
        metavar="N",
        help=f"number of worker processes; 0 means this process{more_help}",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes, such as 4")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as {LIMIT_S}")
    return seconds


class Late(enum.Enum):
    """The result of an item that took too long."""

    LATE = "late"


def lost_finding(path: Path, lost: Late | None) -> Finding:
    """The finding for an image that ended its reading process (``lost`` is None), or took too long to read."""
    if lost is None:
        return Finding(str(path), "ended the process that read it (a crash, or too little memory)", "export it again")
    return Finding(str(path), "took too long to read", "check the file and its disk, or give a longer --time-limit")


def available_cores() -> int:
    """The number of cores that this process may use."""
    return usable_cores()


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, limit_s: float | None = None
) -> Iterator[tuple[Item, Result | Late | None]]:
    """Yield every item and its result ``function(item)``, in order.

    The result is None if the item's process died (a crash in C, a kill). The result is :attr:`Late.LATE` if the item
    took too long; then its process is ended.

    Args:
        function: a picklable function; its errors are raised here.
        items: picklable items; an iterator is read only as far as needed.
        jobs: number of worker processes. 0 means this process, without protection from crashes and without a time
            limit.
        limit_s: most seconds that one item may take; None for no limit.

    >>> list(in_processes(abs, [-3, 2], jobs=0))
    [(-3, 3), (2, 2)]
    """
    if jobs == 0:
        yield from ((item, function(item)) for item in items)
        return
    pool = _pool(jobs)
    waiting: deque[tuple[Item, ProcessFuture]] = deque()
    try:
        for item in items:
            if not pool.active:
                pool = _pool(jobs)
            waiting.append((item, pool.schedule(function, args=(item,), timeout=limit_s)))
            if len(waiting) >= AHEAD * jobs:
                yield _finish(*waiting.popleft())
        while waiting:
            yield _finish(*waiting.popleft())
    finally:
        pool.stop()
        pool.join()


def _finish(item: Item, future: ProcessFuture) -> tuple[Item, Result | Late | None]:
    try:
        return item, future.result()
    except (ProcessExpired, BrokenProcessPool):
        return item, None
    except TimeoutError as error:
        # The function itself may have raised a TimeoutError, for example from the network.
        if error.args[:1] == ("Task timeout",):
            return item, Late.LATE
        raise


def _pool(jobs: int) -> ProcessPool:
    # Workers are not forked from this process, because a fork of a process with threads (itk, torch) can hang.
    context = multiprocessing.get_context("forkserver")
    # The server process imports these modules once for all workers.
    context.set_forkserver_preload(["data_prep.__main__"])
    return ProcessPool(jobs, context=context)
