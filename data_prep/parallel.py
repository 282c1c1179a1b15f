"""Many items, each in some process, so that none can end the others."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from custom_components.threads import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough that no process waits; bounded, so that memory does not grow with the number of items.
AHEAD = 4


def available_cores() -> int:
    """The cores that this process may use."""
    return usable_cores()


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[tuple[Item, Result | None]]:
    """Yield every item with ``function(item)``, in order; None for an item whose process died (a crash in C, a kill).

    Args:
        function: picklable; what it raises is raised here.
        items: picklable, taken as they are needed.
        jobs: worker processes, started as they are needed; 1 works in this process, where a crash is a crash.
    """
    if jobs == 1:
        yield from ((item, function(item)) for item in items)
        return
    executor = _executor(jobs)
    waiting: deque[tuple[Item, Future]] = deque()
    try:
        for item in items:
            try:
                future = executor.submit(function, item)
            except BrokenProcessPool:
                executor = _executor(jobs)
                future = executor.submit(function, item)
            waiting.append((item, future))
            if len(waiting) >= AHEAD * jobs:
                yield _finish(function, *waiting.popleft())
        while waiting:
            yield _finish(function, *waiting.popleft())
    finally:
        executor.shutdown(cancel_futures=True)


def _finish(function: Callable[[Item], Result], item: Item, future: Future) -> tuple[Item, Result | None]:
    try:
        return item, future.result()
    except BrokenProcessPool:
        # All items in flight end like this; alone, only the guilty one does.
        with _executor(1) as executor:
            try:
                return item, executor.submit(function, item).result()
            except BrokenProcessPool:
                return item, None


def _executor(jobs: int) -> ProcessPoolExecutor:
    # Not forked: a fork of a process with threads (itk, torch) can hang.
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_leave_interrupts_to_parent)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
