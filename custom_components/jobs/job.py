"""A job: commands that run one after the other, and the two files in which its folder keeps its state.

``job.json`` belongs to the program that submits: the place, the name under which the place knows the job, and the
steps. ``attempts.json`` belongs to the job's own process (:mod:`custom_components.jobs.process`): every start, with its
machine, its time and its exit code. Each file has one writer, so that no lock is needed, also on a shared disk.
"""

import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from custom_components.foundation.files import read_json, write_json

JOB_FILE = "job.json"
ATTEMPTS_FILE = "attempts.json"


@dataclass(frozen=True)
class Step:
    """One command of a job.

    Args:
        name: a word for the user, such as ``training``.
        command: the interpreter, ``-m``, a module and its arguments.
        log: the file that the command's output is added to.
    """

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class Job:
    """Commands that run one after the other until one fails; submitting it again goes on from where each stopped.

    Args:
        name: name for the user and in the cluster's queue, such as that of a study's row.
        folder: folder of the job's own files. On a cluster all machines must see it under the same path.
        steps: the commands.
        environment: environment variables of the commands, beside those of the program that submits.
        uses_gpu: whether the commands use a GPU, if there is one.
        seconds: expected time. Long jobs start first.
        good_codes: exit codes of a step after which the next step runs.
    """

    name: str
    folder: Path
    steps: Sequence[Step]
    environment: Mapping[str, str] = field(default_factory=dict)
    uses_gpu: bool = False
    seconds: float = 0
    good_codes: Sequence[int] = (0,)


class State(StrEnum):
    """The state of a job.

    A job is ``lost`` if its process has ended without an exit code: it was killed, or its machine has failed.
    """

    UNKNOWN = "not submitted"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"

    @property
    def has_ended(self) -> bool:
        """Whether the job will not go on by itself."""
        return self not in (State.WAITING, State.RUNNING)


@dataclass(frozen=True)
class Standing:
    """The state of a job at a moment, with details for the user.

    Args:
        state: the state.
        place: ``local`` or ``slurm``; empty if the job was not submitted.
        id: the cluster's id of the job; empty on this machine and before the submission.
        step: name of the present step, or of the last one.
        code: exit code of the last step; None until it has ended.
        reason: for a waiting job, the cluster's word for the reason.
    """

    state: State
    place: str = ""
    id: str = ""
    step: str = ""
    code: int | None = None
    reason: str = ""


def new_token() -> str:
    """A word that tells a submission, and its attempts, from all others."""
    return uuid.uuid4().hex[:8]


def record_submission(job: Job, place: str, token: str, **details: Any) -> None:
    """Write ``job.json`` for a new submission.

    Args:
        job: the job.
        place: name of the place.
        token: the word of the submission.
        details: what the place needs to find the job again.
    """
    record = {
        "place": place,
        "token": token,
        "name": job.name,
        "submitted": time.time(),
        "steps": [{"name": step.name, "command": list(step.command), "log": str(step.log)} for step in job.steps],
        "environment": dict(job.environment),
        "good_codes": list(job.good_codes),
        **details,
    }
    write_json(job.folder / JOB_FILE, record)


def read_submission(folder: Path) -> dict[str, Any] | None:
    """The content of ``job.json``; None if the job was not submitted."""
    file = folder / JOB_FILE
    return read_json(file) if file.is_file() else None


def forget(folder: Path) -> None:
    """Remove the record of a job that has ended. Its attempts stay: a report reads the times from them."""
    (folder / JOB_FILE).unlink(missing_ok=True)


def read_attempts(folder: Path) -> list[dict[str, Any]]:
    """Every start of the folder's jobs: ``token``, ``place``, ``host``, ``id``, ``gpu``, ``started`` and ``ended`` in
    seconds since 1970, ``step`` and ``code``. An attempt that runs or was killed lacks ``ended`` and ``code``."""
    file = folder / ATTEMPTS_FILE
    return read_json(file)["attempts"] if file.is_file() else []


def own_attempt(folder: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last attempt of a submission; None if it has not started."""
    return next((one for one in read_attempts(folder)[::-1] if one["token"] == record["token"]), None)


def last_words(folder: Path, standing: Standing) -> str:
    """Why a job has failed, in one line with its log: the log's last ``error:`` line, or the exit code."""
    log = present_log(folder, standing)
    told = next((line.removeprefix("error: ") for line in lines_of(log)[::-1] if line.startswith("error: ")), None)
    if told is None:
        told = "it was killed" if standing.code is None else f"exit code {standing.code}"
    return f"{standing.step or 'its start'} failed: {told} (log: {log})"


def present_log(folder: Path, standing: Standing) -> Path:
    """The log of a job's last step; before the first step, that of the job's own process."""
    steps = (read_submission(folder) or {"steps": []})["steps"]
    logs = [Path(step["log"]) for step in steps if step["name"] == standing.step]
    if logs:
        return logs[0]
    of_cluster = sorted((folder / "slurm").glob("*_log.out"), key=lambda log: log.stat().st_mtime)
    return of_cluster[-1] if of_cluster else folder / "job.log"


def lines_of(log: Path) -> list[str]:
    """The lines of a log that are not empty; none without the file."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return [line for line in text.splitlines() if line.strip()]


def typed(command: Sequence[str]) -> str:
    """A command as a user would type it."""
    return shlex.join(command)
