"""The import of an archive on a cluster: one job lists it, an array of jobs imports its parts, and a last job merges.

Each job waits for the former ones in the cluster's queue. The same command again finds its jobs and goes on.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.foundation.locks import locked
from custom_components.jobs import Job, Place, Standing, State, Step, run_jobs
from custom_components.jobs.job import JOB_FILE, read_submission
from data_prep.dataset_file import read_dataset
from data_prep.files import require_new_folder
from data_prep.findings import SOME_FINDINGS
from data_prep.quarantine import read_quarantine

PARTS = 64


def import_in_jobs(options: argparse.Namespace, place: Place, cores: int, parts: int) -> int:
    """Import a raw folder by jobs, wait for their end, and return the exit code of the import.

    Args:
        options: the command line of ``import``.
        place: where the jobs run.
        cores: number of worker processes of each job.
        parts: number of jobs that import cases.

    Raises:
        InputError: if a job fails, if the dataset exists already, or if another import has begun to make it.
    """
    folder = options.out.absolute().with_name(f".{options.out.name}.jobs")
    stages = _stages(options, folder, cores, parts)
    jobs = [job for stage in stages for job in stage]
    with locked(folder / "lock", f"{options.out}: another import is writing it; wait for its end"):
        _require_same_import(folder, jobs)
        try:
            if read_submission(jobs[-1].folder) is None:  # the merge of a killed command may have made the dataset
                require_new_folder(options.out)
            _run(stages, place)
        finally:
            if not any((job.folder / JOB_FILE).exists() for job in jobs):
                shutil.rmtree(folder)  # the cluster has taken no job
        cases, rows = read_dataset(options.out)["cases"], read_quarantine(options.out)
        shutil.rmtree(folder)
    print(f"{options.out}: {len(cases)} cases of {len({case['site'] for case in cases})} sites", end="")
    print(f" ({len(rows)} findings in quarantine.json)" if rows else "")
    return SOME_FINDINGS if rows else 0


def _run(stages: Sequence[Sequence[Job]], place: Place) -> None:
    """Submit the stages, each after the former one, and wait for their end.

    A job that was lost and is repeated has a new number in the queue, for which the next stage does not wait: that
    stage then fails for want of its input, and :func:`run_jobs` submits it again when its turn has come.
    """
    jobs = [job for stage in stages for job in stage]
    found = dict(zip([job.folder for job in jobs], place.look(jobs), strict=True))
    going = (State.WAITING, State.RUNNING, State.DONE)
    try:
        former: Sequence[Job] = ()
        for stage in stages:
            place.submit([job for job in stage if found[job.folder].state not in going], former)
            former = stage
        with _progress(len(jobs)) as show:
            for stage in stages:
                run_jobs(place, stage, show=lambda _: show(place.look(jobs)))
    finally:
        place.cancel(jobs)


def _stages(options: argparse.Namespace, folder: Path, cores: int, parts: int) -> list[list[Job]]:
    listing, datasets = folder / "listing", [folder / "parts" / f"{number:04d}" for number in range(1, parts + 1)]
    flags = ["--keep-ids"] if options.keep_ids else ["--key-file", str(options.key_file.expanduser().absolute())]
    flags += ["--n4"] if options.n4 else []
    flags += ["--time-limit", str(options.time_limit)]
    of_source = {"site": options.site, "source": options.source, "series": options.series, "tie": options.tie}
    listed = [word for name, value in of_source.items() if value is not None for word in (f"--{name}={value}",)]
    listed += [f"--masks={options.masks.absolute()}"] if options.masks else []
    listed += ["--site-folders"] if options.site_folders else []
    raw, work = str(options.folder.absolute()), ["--jobs", str(cores)]
    return [
        [_job(folder, "list", ["list", raw, "--out", str(listing), *listed, *work])],
        [
            _job(
                folder,
                f"import-{number}",
                ["import", str(listing), "--out", str(part), "--shard", f"{number}/{parts}", *flags, *work],
            )
            for number, part in enumerate(datasets, 1)
        ],
        [_job(folder, "merge", ["merge", *map(str, datasets), "--out", str(options.out.absolute())])],
    ]


def _job(folder: Path, name: str, words: Sequence[str]) -> Job:
    log = folder / "logs" / f"{name}.log"
    step = Step(name, [sys.executable, "-m", "data_prep", *words], log)
    return Job(name, folder / "jobs" / name, [step], good_codes=(0, SOME_FINDINGS))


def _require_same_import(folder: Path, jobs: Sequence[Job]) -> None:
    """Refuse to go on with the jobs of an import with other options."""
    steps = [[list(step.command) for step in job.steps] for job in jobs]
    known = [read_submission(job.folder) for job in jobs]
    former = [record and [step["command"] for step in record["steps"]] for record in known]
    begun = len(list((folder / "jobs").glob(f"*/{JOB_FILE}")))
    differs = any(words and words != own for words, own in zip(former, steps, strict=True))
    if differs or begun > len(jobs):
        raise InputError("holds an import with other options; remove it, or give the same options again", folder)


@contextlib.contextmanager
def _progress(jobs: int) -> Iterator[object]:
    with tqdm(total=jobs, desc="jobs", unit="job", disable=None) as bar:

        def show(standings: Sequence[Standing]) -> None:
            bar.n = sum(one.state == State.DONE for one in standings)
            bar.set_postfix(running=sum(one.state == State.RUNNING for one in standings))

        yield show
