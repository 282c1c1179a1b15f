"""The states of jobs, read from their folders, the processes of this machine and the cluster's queue."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from custom_components.jobs import squeue
from custom_components.jobs.job import Standing, State, own_attempt, read_submission

NO_ANSWER = "Slurm does not answer"


def standings(folders: Sequence[Path]) -> list[Standing]:
    """The states of the jobs of these folders. The cluster is asked once, and only for jobs that may be there."""
    records = [read_submission(folder) for folder in folders]
    former = _attempts(folders, records)
    both = list(zip(records, former, strict=True))
    asks = any(record and record["place"] == "slurm" and (last or {}).get("code") is None for record, last in both)
    queue = squeue.read_queue() if asks else {}
    alive = [_lives_here(record, last) for record, last in both]
    # A job writes its end before its process ends. So a job that has just ended is not taken for a killed one.
    present = _attempts(folders, records)
    return [_standing(*one, queue) for one in zip(records, present, alive, strict=True)]


def identity(process: psutil.Process | None = None) -> dict[str, Any]:
    """A process of this machine, told from a later one with the same number."""
    process = process or psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "born": process.create_time()}


def is_alive(process: Mapping[str, Any]) -> bool:
    """Whether a process, as :func:`identity` gives it, runs on this machine."""
    try:
        found = psutil.Process(process["pid"])
        same = identity(found) == {key: process[key] for key in ("host", "pid", "born")}
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _attempts(folders: Sequence[Path], records: Sequence[Mapping[str, Any] | None]) -> list[Mapping[str, Any] | None]:
    return [record and own_attempt(folder, record) for folder, record in zip(folders, records, strict=True)]


def _lives_here(record: Mapping[str, Any] | None, attempt: Mapping[str, Any] | None) -> bool:
    """Whether a job has a process on this machine, before its start that of the program that has submitted it."""
    if record is None or record["place"] == "slurm" or "ended" in (attempt or {}):
        return False
    return is_alive(attempt or record["owner"])


def _standing(
    record: Mapping[str, Any] | None, attempt: Mapping[str, Any] | None, alive: bool, queue: squeue.Queue | None
) -> Standing:
    if record is None:
        return Standing(State.UNKNOWN)
    place, step, code = record["place"], (attempt or {}).get("step", ""), (attempt or {}).get("code")
    if code in record["good_codes"]:
        return Standing(State.DONE, place, (attempt or {})["id"], step, code)
    # A cluster puts an interrupted job back into its queue if the job had to make room.
    may_go_on = place == "slurm" and code is None
    if attempt and "ended" in attempt and not may_go_on:
        # Nobody but a signal ends a step without a code of its own.
        state = State.LOST if code is None or code < 0 else State.FAILED
        return Standing(state, place, attempt["id"], step, code)
    if place == "slurm":
        return _in_queue(record, step, queue)
    if attempt:
        return Standing(State.RUNNING if alive else State.LOST, place, step=step)
    return Standing(State.WAITING if alive else State.LOST, place)


def _in_queue(record: Mapping[str, Any], step: str, queue: squeue.Queue | None) -> Standing:
    if queue is None:
        return Standing(State.WAITING, "slurm", step=step, reason=NO_ANSWER)
    entry = queue.get((record["job_name"], record["index"]))
    if entry is None:
        return Standing(State.LOST, "slurm", step=step)
    state = State.WAITING if entry.waits else State.RUNNING
    return Standing(state, "slurm", entry.id, step, reason=entry.reason if entry.waits else "")
