"""The number of cores for this process, and torch threads that sleep while they wait."""

import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# This environment variable names a file with the number of threads of a training. A program that runs several trainings
# at the same time changes the file.
THREADS_FILE = "PROSTATE_THREADS_FILE"

GRAIN = 32768  # torch uses one more thread for each such number of values


def usable_cores(root: Path = Path("/")) -> int:
    """The number of cores for this process: the cores that it is bound to, or fewer if its control groups limit the
    time.

    Args:
        root: folder that holds ``proc`` and ``sys``.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, *(int(quota) for quota in _quotas(root) if quota < bound), bound))


def _quotas(root: Path) -> Iterator[float]:
    """The time limits of this process' control groups (version 1 and 2), each as a number of cores."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = top / path.strip("/")
        # A container may see its own group as the top group, under another path than this file names.
        for folder in {top, group, *(parent for parent in group.parents if parent.is_relative_to(top))}:
            yield _quota(folder)


def _quota(folder: Path) -> float:
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            granted, period = " ".join((folder / name).read_text(encoding="utf-8") for name in names).split()
        except (OSError, ValueError):
            continue
        if granted.isdecimal():  # "max" and -1 mean that there is no limit
            return int(granted) / int(period)
    return math.inf


def take_own_share() -> None:
    """Use the number of threads in the file that :data:`THREADS_FILE` names, if there is one."""
    file = os.environ.get(THREADS_FILE)
    if file and os.path.isfile(file):
        import torch

        torch.set_num_threads(int(Path(file).read_text(encoding="utf-8")))


def be_a_good_neighbour() -> None:
    """Let torch's waiting threads sleep instead of spin, and limit their number to the number of cores.

    OpenMP's threads spin for some milliseconds at the end of each operation. If another process is busy, the spinning
    threads take the core of the thread that they wait for, and a training takes ten times as long or longer. Values of
    OMP_WAIT_POLICY, GOMP_SPINCOUNT or OMP_NUM_THREADS that the user has set do not change.
    """
    chosen = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    # The variables work if torch is imported later, and for processes that this process starts.
    if not chosen:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if (torch := sys.modules.get("torch")) is None:
        return
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    if not chosen and torch.get_num_threads() > 1:
        _outnumber_the_cores()


def _outnumber_the_cores() -> None:
    """Make libgomp stop spinning if it has already read the variables.

    libgomp does not spin while it has more threads than there are cores. This function starts the additional threads,
    which sleep until the process ends.
    """
    import torch

    own = torch.get_num_threads()
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    started = threading.Event()

    def sleep() -> None:
        # libgomp counts all but one of the threads of a second team.
        team = bound - own + 2
        torch.set_num_threads(team)
        torch.zeros(team * GRAIN).add_(1)
        started.set()
        threading.Event().wait()

    threading.Thread(target=sleep, name="more threads than cores", daemon=True).start()
    started.wait()
    torch.set_num_threads(own)
