"""Jobs as processes on this machine: a queue in this program, long jobs first, each job with a GPU of its own."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from custom_components.forked_python import ForkedPython
from custom_components.foundation.files import write_text
from custom_components.foundation.threads import THREADS_FILE, usable_cores
from custom_components.jobs import devices
from custom_components.jobs.job import (
    Job,
    Standing,
    State,
    forget,
    new_token,
    own_attempt,
    read_submission,
    record_submission,
)
from custom_components.jobs.standing import identity, is_alive, standings

PATIENCE = 30  # seconds that an interrupted job has to end before it is killed


class LocalPlace:
    """This machine.

    Args:
        limit: number of jobs that run at the same time.
    """

    name = "local"
    pause = 0.5
    attempts = 1

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._queue: list[tuple[Job, tuple[Job, ...]]] = []
        self._running: dict[Path, _Running] = {}
        self._devices: list[str] | None = None

    def submit(self, jobs: Sequence[Job], after: Sequence[Job] = ()) -> None:
        for job in jobs:
            record_submission(job, self.name, new_token(), owner=identity())
            self._queue.append((job, tuple(after)))
        self._queue.sort(key=lambda entry: -entry[0].seconds)

    def look(self, jobs: Sequence[Job]) -> list[Standing]:
        for job in jobs:
            self._adopt(job)
        self._running = {folder: one for folder, one in self._running.items() if one.is_alive}
        self._start()
        self._share_cores()
        found = standings([job.folder for job in jobs])
        return [self._from_here(job, one) for job, one in zip(jobs, found, strict=True)]

    def cancel(self, jobs: Sequence[Job]) -> None:
        folders = {job.folder for job in jobs}
        for job in jobs:
            self._adopt(job)
        for job, _ in [entry for entry in self._queue if entry[0].folder in folders]:
            forget(job.folder)
        self._queue = [entry for entry in self._queue if entry[0].folder not in folders]
        stopped = {folder: one for folder, one in self._running.items() if folder in folders}
        told: set[Path] = set()
        end = time.monotonic() + PATIENCE
        while any(one.is_alive for one in stopped.values()):
            for folder in stopped.keys() - told:
                # A process that starts ignores a signal until it has written its attempt, so it gets one again.
                if own_attempt(folder, read_submission(folder)):
                    told.add(folder)
                stopped[folder].signal(signal.SIGINT)  # an interrupted process removes its temporary files
            if time.monotonic() > end:
                for one in stopped.values():
                    one.signal(signal.SIGKILL)
            time.sleep(0.05)

    def _from_here(self, job: Job, found: Standing) -> Standing:
        """The standing of a job, if its process has not written its first attempt yet."""
        if found.state != State.WAITING or found.place != self.name or job in [queued for queued, _ in self._queue]:
            return found
        return Standing(State.RUNNING if job.folder in self._running else State.LOST, self.name)

    def _adopt(self, job: Job) -> None:
        """Let a job that a killed program has left behind count among those that run."""
        record = read_submission(job.folder)
        if record and record["place"] == self.name and job.folder not in self._running:
            attempt = own_attempt(job.folder, record)
            if attempt and "ended" not in attempt and is_alive(attempt):
                self._running[job.folder] = _Running(attempt["gpu"], attempt=attempt)

    def _start(self) -> None:
        for job, after in list(self._queue):
            if len(self._running) >= self.limit:
                break
            if all(one.state.has_ended for one in standings([former.folder for former in after])):
                self._queue.remove((job, after))
                self._running[job.folder] = self._run(job)

    def _run(self, job: Job) -> "_Running":
        side_by_side = len(self._running) + 1
        gpu = self._next_device() if job.uses_gpu else ""
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads_each(side_by_side)),
            THREADS_FILE: str(_write_threads(job.folder, side_by_side).absolute()),
            **({devices.VISIBLE: gpu} if gpu else {}),
        }
        words = [sys.executable, "-m", "custom_components.jobs.process", str(job.folder)]
        with (job.folder / "job.log").open("w", encoding="utf-8") as log:
            return _Running(gpu, process=ForkedPython(words, stdout=log, env=environment))

    def _next_device(self) -> str:
        if self._devices is None:
            self._devices = devices.usable_devices()
        if not self._devices:
            return ""
        taken = [one.gpu for one in self._running.values()]
        return devices.least_loaded(self._devices, taken, devices.memory_in_use())

    def _share_cores(self) -> None:
        """Tell every running job its number of threads. A training reads the file at the start of an epoch."""
        for folder in self._running:
            _write_threads(folder, len(self._running))


@dataclass
class _Running:
    """A running job: a process of this program, or the attempt of a program that was killed."""

    gpu: str
    process: ForkedPython | None = None
    attempt: dict | None = None

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None if self.process else is_alive(self.attempt)

    def signal(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)
        elif self.is_alive:
            os.kill(self.attempt["pid"], number)


def threads_each(side_by_side: int) -> int:
    """The number of threads of each of the jobs that run at the same time."""
    return max(1, usable_cores() // max(1, side_by_side))


def _write_threads(folder: Path, side_by_side: int) -> Path:
    file, threads = folder / "threads.txt", str(threads_each(side_by_side))
    if not file.is_file() or file.read_text() != threads:
        write_text(file, threads)
    return file
