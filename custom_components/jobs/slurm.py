"""Jobs on a Slurm cluster, through submitit: it writes the scripts, and queues a job again before its time is over."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.jobs.cluster_file import ClusterSettings
from custom_components.jobs.job import Job, Standing, State, forget, new_token, record_submission
from custom_components.jobs.process import run_job
from custom_components.jobs.standing import NO_ANSWER, standings

ARRAY = 1000  # the default of Slurm's MaxArraySize is 1001
TIMEOUTS = 1000  # how often a job may be queued again because its time is over
SHARED_DISK = 10  # seconds in which the last files of a job arrive
PATIENCE = 120  # seconds in which an interrupted job leaves the queue; Slurm kills it after 30
TRANSIENT = ("Unable to contact", "imed out", "onnection refused", "onnection failure", "emporarily")


class RunJob:
    """The function that submitit runs on a machine of the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> None:
        sys.exit(run_job(self.folder))

    def checkpoint(self) -> Any:
        """submitit calls this before the time limit, or when the job must make room, and queues the same job again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class SlurmPlace:
    """A Slurm cluster.

    Args:
        settings: what a job asks for.
        limit: number of jobs in the cluster's queue at the same time; None for no limit.

    Raises:
        InputError: without submitit, or where Slurm's commands are missing.
    """

    name = "slurm"
    pause = 2.0
    attempts = 3

    def __init__(self, settings: ClusterSettings, limit: int | None = None) -> None:
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise InputError("--on slurm needs submitit: pip install -r integrations/slurm/requirements.txt") from None
        if missing := [command for command in ("sbatch", "squeue", "scancel") if not shutil.which(command)]:
            raise InputError(
                f"--on slurm: there is no {missing[0]} here; start this command on a machine of the cluster"
            )
        self._settings = settings
        self._limit = limit
        self._held: list[tuple[Job, tuple[Job, ...]]] = []  # not in the cluster's queue yet
        self._missing_since: dict[Path, float] = {}

    def submit(self, jobs: Sequence[Job], after: Sequence[Job] = ()) -> None:
        for job in jobs:
            forget(job.folder)
            self._missing_since.pop(job.folder, None)
            self._held.append((job, tuple(after)))
        self._held.sort(key=lambda entry: -entry[0].seconds)

    def look(self, jobs: Sequence[Job]) -> list[Standing]:
        self._submit_held(jobs)
        held = {job.folder for job, _ in self._held}
        found = standings([job.folder for job in jobs])
        return [
            Standing(State.WAITING, self.name) if job.folder in held else self._settled(job.folder, one)
            for job, one in zip(jobs, found, strict=True)
        ]

    def cancel(self, jobs: Sequence[Job]) -> None:
        folders = [job.folder for job in jobs]
        self._held = [entry for entry in self._held if entry[0].folder not in folders]
        end = time.monotonic() + PATIENCE
        told: set[str] = set()  # a second signal would interrupt the step while it removes its temporary files
        while active := [one for one in standings(folders) if not one.state.has_ended]:
            if ids := {one.id for one in active if one.id} - told:
                subprocess.run(["scancel", *ids], capture_output=True)
                told |= ids
            if time.monotonic() > end:
                print(f"warning: {len(active)} jobs are still in the cluster's queue (squeue --me)", file=sys.stderr)
                return
            time.sleep(0.5)

    def _settled(self, folder: Path, found: Standing) -> Standing:
        """A job that has left the queue counts as running until its last files can have arrived."""
        if found.state != State.LOST or found.code is not None:
            self._missing_since.pop(folder, None)
            return found
        since = self._missing_since.setdefault(folder, time.monotonic())
        return found if time.monotonic() - since > SHARED_DISK else Standing(State.RUNNING, self.name, step=found.step)

    def _submit_held(self, jobs: Sequence[Job]) -> None:
        """Submit the held jobs, as many as the limit allows."""
        if not self._held:
            return
        folders = list({job.folder: job for job in (*jobs, *(job for job, _ in self._held))})
        found = standings(folders)
        if any(one.reason == NO_ANSWER for one in found):
            return
        active = {folder for folder, one in zip(folders, found, strict=True) if not one.state.has_ended}
        # An sbatch that got no answer may have submitted its jobs all the same.
        self._held = [entry for entry in self._held if entry[0].folder not in active]
        room = len(self._held) if self._limit is None else self._limit - len(active)
        while self._held and room > 0:
            first, after = self._held[0]
            alike = [job for job, former in self._held if (former, job.uses_gpu) == (after, first.uses_gpu)]
            array = alike[: min(room, ARRAY)]
            if {job.folder for job, _ in self._held} & {job.folder for job in after} or not self._sbatch(array, after):
                return
            self._held = [entry for entry in self._held if entry[0] not in array]
            room -= len(array)

    def _sbatch(self, jobs: Sequence[Job], after: Sequence[Job]) -> bool:
        """Submit jobs, several as one array. Return False if the cluster does not answer at the moment.

        The name of the submission is written down before. By this name, a program that was killed in between finds the
        jobs again.
        """
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError, environment_variables
        from submitit.helpers import clean_env

        former = standings([job.folder for job in after])
        if any(one.reason == NO_ANSWER for one in former):
            return False
        token = new_token()
        name = f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', jobs[0].name)}.{token}"
        for number, job in enumerate(jobs):
            index = number if len(jobs) > 1 else None
            record_submission(job, self.name, token, job_name=name, index=index)
        executor = SlurmExecutor(jobs[0].folder / "slurm", max_num_timeout=TIMEOUTS)
        executor.update_parameters(**self._parameters(name, jobs[0].uses_gpu, former))
        where = {key: os.environ[key] for key in ("SLURM_CONF",) if key in os.environ}
        try:
            # If this program itself runs in a job, its variables are not those of the new jobs.
            with clean_env(), environment_variables(**where):
                executor.submit_array([RunJob(job.folder) for job in jobs])
        except (FailedJobError, FailedSubmissionError) as error:
            _remove_unsubmitted(executor.folder)
            if any(words in str(error) for words in TRANSIENT):
                return False
            for job in jobs:
                forget(job.folder)
            told = [line for line in str(error).splitlines() if line.startswith("sbatch: error: ")]
            reason = told[-1].removeprefix("sbatch: error: ") if told else str(error).splitlines()[0]
            raise InputError(f"Slurm refuses {jobs[0].name}: {reason}", advice="see --cluster") from None
        return True

    def _parameters(self, name: str, uses_gpu: bool, former: Sequence[Standing]) -> dict[str, Any]:
        """The parameters of submitit's script."""
        asked = self._settings
        first = [one.id for one in former if one.id and not one.state.has_ended]
        wanted = {
            "job_name": name,
            "partition": asked.partition,
            "time": asked.time,
            "mem": asked.memory and f"{round(asked.memory * 1024)}M",
            "cpus_per_task": asked.cpus,
            "gpus_per_node": asked.gpus if uses_gpu and asked.gpus else None,
            "setup": list(asked.lines),
            "dependency": first and f"afterany:{':'.join(first)}",
            "stderr_to_stdout": True,
            "array_parallelism": ARRAY,
        }
        return {key: value for key, value in wanted.items() if value}


def _remove_unsubmitted(folder: Path) -> None:
    """Remove the files that submitit has written for a submission without an id."""
    for file in (*folder.glob("*.pkl"), *folder.glob("submission_file_*.sh")):
        if not file.name[0].isdigit() or "_" not in file.name:
            file.unlink()
