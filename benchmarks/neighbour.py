"""The speed of a training with two threads on two cores, alone and beside one process that is always busy."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import Figure, ratios

BUSY = "while True: pass"
# libgomp's default: a waiting thread spins for some milliseconds.
SPINNING = {"GOMP_SPINCOUNT": "300000"}
TRAINING = """
import sys, time
import torch
import custom_components
from custom_components.losses import SegmentationLoss
from benchmarks.distillation_step import random_batch, untrained_enet

learner, batch, loss = untrained_enet(torch.device("cpu")), random_batch(int(sys.argv[1]), 64), SegmentationLoss()
network, optimizer = learner["network"], learner["optimizer"]
print(torch.get_num_threads(), flush=True)
for steps in map(int, sys.stdin):
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(network(batch["image"]), batch["label"]).backward()
        optimizer.step()
    print(time.perf_counter() - start, flush=True)
"""


def measure(quick: bool = False) -> list[Figure]:
    """Measure some steps without the busy process in each round, and then the same number of steps beside it."""
    rounds, steps, batch_size = (1, 1, 1) if quick else (5, 6, 8)
    with _started(TRAINING, batch_size) as training:
        own = [_quiet_and_beside(training, steps) for _ in range(rounds)]
    with _started(TRAINING, batch_size, **SPINNING) as training:
        spinning = _quiet_and_beside(training, 1)
    quiet, beside = zip(*own, strict=True)
    return [
        Figure(
            f"training with 2 threads on 2 cores, ENet, {batch_size}x1x64x64: beside a busy process / quiet",
            ratios(beside, quiet),
            3.0,
            parts={
                "quiet, s a step": statistics.median(quiet) / steps,
                "beside, s a step": statistics.median(beside) / steps,
                "quiet, with threads that spin, s a step": spinning[0],
                "beside, with threads that spin, s a step": spinning[1],
            },
        )
    ]


def _quiet_and_beside(training: subprocess.Popen, steps: int) -> tuple[float, float]:
    quiet = _seconds(training, steps)
    with _started(BUSY):
        return quiet, _seconds(training, steps)


def _seconds(training: subprocess.Popen, steps: int) -> float:
    training.stdin.write(f"{steps}\n")
    training.stdin.flush()
    return float(training.stdout.readline())


@contextmanager
def _started(program: str, *arguments: object, **environment: str) -> Iterator[subprocess.Popen]:
    """Start a program on two cores, with its default number of threads.

    A training takes its first step before it is timed.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", BIND + program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kept | environment,
    )
    try:
        if program == TRAINING:
            process.stdout.readline()
            _seconds(process, 1)
        yield process
    finally:
        process.kill()
        process.communicate()


BIND = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
"""
