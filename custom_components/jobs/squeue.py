"""The queue of a Slurm cluster, as ``squeue`` tells it.

``sacct`` would also tell the jobs that have ended, but it needs a database that small clusters lack. A job's own files
tell how it ended.
"""

import getpass
import os
import subprocess
from dataclasses import dataclass

FORMAT = "%i|%j|%T|%r"
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


@dataclass(frozen=True)
class Entry:
    """A job in the queue: its id, whether it waits, and Slurm's word for the reason."""

    id: str
    waits: bool
    reason: str


# The name of a submission and its index in an array; None for a single job.
Queue = dict[tuple[str, int | None], Entry]


def read_queue() -> Queue | None:
    """This user's jobs that have not ended; None if Slurm does not answer."""
    command = ["squeue", "--noheader", "--array", "--user", _user(), "--format", FORMAT]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_queue(told.stdout) if told.returncode == 0 else None


def parse_queue(text: str) -> Queue:
    """The jobs in the output of ``squeue``, by name and number in their array.

    >>> parse_queue("12|enet.3fa9c1d2|RUNNING|None")[("enet.3fa9c1d2", None)]
    Entry(id='12', waits=False, reason='')
    >>> parse_queue("13_4|cases.77aa01bc|PENDING|Resources")
    {('cases.77aa01bc', 4): Entry(id='13_4', waits=True, reason='Resources')}
    """
    queue = {}
    for line in text.splitlines():
        id_, name, state, reason = line.strip().split("|", 3)
        _, in_array, index = id_.partition("_")
        reason = "" if reason == "None" else reason
        queue[name, int(index) if in_array else None] = Entry(id_, state in WAITING, reason)
    return queue


def _user() -> str:
    return os.environ.get("SLURM_JOB_USER") or getpass.getuser()
