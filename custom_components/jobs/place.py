"""The interface of the places where jobs run, and the options that choose one."""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from custom_components.foundation.errors import InputError
from custom_components.jobs.job import Job, Standing, State, last_words

PLACES = ("local", "slurm")


class Place(Protocol):
    """A machine or a cluster that runs jobs. No method waits for the end of a job.

    Attributes:
        name: ``local`` or ``slurm``.
        pause: seconds between two looks at the states.
        attempts: how often a lost job may be submitted; 1 on a machine of one's own, where it would be lost again.
    """

    name: str
    pause: float
    attempts: int

    def submit(self, jobs: Sequence[Job], after: Sequence[Job] = ()) -> None:
        """Put jobs into the queue; on a cluster, several jobs are one array.

        Args:
            jobs: the jobs; a job whose folder holds a job that has not ended must not be submitted.
            after: jobs, submitted before, that must have ended first, well or not.

        Raises:
            InputError: if the place refuses them.
        """
        ...

    def look(self, jobs: Sequence[Job]) -> list[Standing]:
        """The present states of jobs, also of those that a former program has submitted, to whatever place."""
        ...

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Interrupt the jobs that have not ended, as Ctrl-C does, and wait for the end of their processes."""
        ...


def add_place_options(parser: argparse.ArgumentParser, work: str) -> None:
    """Add ``--on``, ``--cluster`` and ``--jobs`` to a command.

    Args:
        parser: the command's parser.
        work: one part of the work in the plural, such as ``trainings``.
    """
    add_where(parser)
    parser.add_argument(
        "--jobs",
        type=int,
        help=f"number of {work} at the same time (default: 1 on this machine, no limit on a cluster)",
    )


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add ``--on`` and ``--cluster`` to a command that has a ``--jobs`` of its own."""
    parser.add_argument("--on", choices=PLACES, default="local", help="this machine (default), or a Slurm cluster")
    parser.add_argument("--cluster", type=Path, metavar="FILE.yaml", help="partition, time, memory, GPUs for Slurm")


def require_no_cluster_file_here(on: str, cluster: str | Path | None) -> None:
    """Refuse ``--cluster`` for work on this machine.

    Raises:
        InputError: if there is a file and ``on`` is ``local``.
    """
    if on == "local" and cluster is not None:
        raise InputError("--cluster is for --on slurm; add it, or leave --cluster out")


def place_of(options: argparse.Namespace) -> Place:
    """The place that the options of :func:`add_place_options` choose.

    Raises:
        InputError: if the options contradict each other, or the cluster cannot be used from here.
    """
    from custom_components.jobs.cluster_file import read_cluster_file
    from custom_components.jobs.local import LocalPlace
    from custom_components.jobs.slurm import SlurmPlace

    if options.jobs is not None and options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: give at least 1")
    require_no_cluster_file_here(options.on, options.cluster)
    if options.on == "local":
        return LocalPlace(options.jobs or 1)
    return SlurmPlace(read_cluster_file(options.cluster), options.jobs)


def run_jobs(
    place: Place,
    jobs: Sequence[Job],
    show: Callable[[Sequence[Standing]], None] = lambda standings: None,
) -> list[Standing]:
    """Run jobs to their end and return how they ended. If this call is interrupted, or a job fails, it cancels them.

    Jobs of a killed former call that still run, or that have ended well, are not submitted again.

    Args:
        place: where they run.
        jobs: the jobs.
        show: gets the states, in the order of the jobs, after each look.

    Raises:
        InputError: if a job fails; the message names its log.
    """
    lost = dict.fromkeys(range(len(jobs)), 0)
    kept = (State.WAITING, State.RUNNING, State.DONE)
    try:
        found = place.look(jobs)
        place.submit([job for job, one in zip(jobs, found, strict=True) if one.state not in kept])
        while True:
            found = place.look(jobs)
            show(found)
            for number, (job, one) in enumerate(zip(jobs, found, strict=True)):
                if one.state == State.LOST and lost[number] + 1 < place.attempts:
                    lost[number] += 1
                    place.submit([job])
                elif one.state in (State.FAILED, State.LOST):
                    raise InputError(f"{job.name}: {last_words(job.folder, one)}")
            if all(one.state == State.DONE for one in found):
                return found
            time.sleep(place.pause)
    finally:
        place.cancel(jobs)
