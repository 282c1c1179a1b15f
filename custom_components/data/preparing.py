"""The command ``run preparing``: where the volumes of a datalist are prepared, here or by jobs of a cluster."""

import argparse
import hashlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.locks import locked
from custom_components.jobs import Job, Place, Step, place_of, run_jobs
from custom_components.jobs.place import PLACES, require_no_cluster_file_here

JOBS = 16


def prepare_elsewhere(on: str, cluster: str | None, jobs: int | None, cache_dir: str | Path) -> None:
    """Prepare the volumes of this command by jobs of a cluster, and wait for their end; here, do nothing.

    Each job is this command again, for a share of the cases. The jobs write into the same ``cache_dir``.

    Args:
        on: ``local`` or ``slurm``.
        cluster: file with the settings of the cluster; None for the defaults.
        jobs: number of jobs; None for :data:`JOBS`.
        cache_dir: folder of the prepared volumes.

    Raises:
        InputError: if the options contradict each other, if the cluster cannot be used, or if a job fails.
    """
    if on not in PLACES:
        raise InputError(f"--on {on}: unknown; give {' or '.join(PLACES)}")
    require_no_cluster_file_here(on, cluster)
    if on == "local":
        return
    # A bundle in a host has no need of what a cluster needs.
    from custom_components.jobs.cluster_file import read_cluster_file

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: give at least 1")
    file = None if cluster is None else Path(cluster)
    place = place_of(argparse.Namespace(on=on, cluster=file, jobs=None))
    prepare_by_jobs(sys.argv[1:], place, jobs or JOBS, read_cluster_file(file).cpus, Path(cache_dir))


def prepare_by_jobs(words: Sequence[str], place: Place, jobs: int, cores: int, cache_dir: Path) -> None:
    """Run a command in shares, each by a job.

    Args:
        words: the command's words after ``python -m monai.bundle``.
        place: where the jobs run.
        jobs: number of jobs.
        cores: number of worker processes of each job.
        cache_dir: folder of the prepared volumes, which also holds the jobs' files until they have ended.

    Raises:
        InputError: if a job fails; the message names its log.
    """
    name = hashlib.sha256("\0".join([*words, str(jobs)]).encode()).hexdigest()[:8]
    folder = cache_dir.absolute() / "jobs" / name
    here = ["--on", "local", "--cluster", "None", "--jobs", str(cores)]
    shares = [
        Job(
            f"prepare-{number}",
            folder / str(number),
            [
                Step(
                    "preparing",
                    [sys.executable, "-m", "monai.bundle", *words, *here, "--shard", f"{number}/{jobs}"],
                    folder / f"{number}.log",
                )
            ],
        )
        for number in range(1, jobs + 1)
    ]
    with locked(folder / "lock", f"{cache_dir}: the same command prepares it; wait for its end"):
        run_jobs(place, shares)
        shutil.rmtree(folder)


def worker_processes(on: str, jobs: int | None) -> int | None:
    """The number of worker processes of this command; on a cluster, ``jobs`` is the number of its jobs."""
    return jobs if on == "local" else None


def share_of(cases: Sequence[Mapping[str, Any]], shard: str | None) -> list[Mapping[str, Any]]:
    """The I-th of N shares of cases; all cases without ``shard``.

    Args:
        cases: the cases.
        shard: ``I/N``, counted from 1.

    Raises:
        InputError: if ``shard`` has another form.

    >>> share_of([{"case": "A"}, {"case": "B"}, {"case": "C"}], "1/2")
    [{'case': 'A'}, {'case': 'C'}]
    """
    if shard is None:
        return list(cases)
    matched = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = map(int, matched.groups()) if matched else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f"--shard {shard}: is not I/N with I from 1 to N, such as 3/16")
    return list(cases[number - 1 :: count])
