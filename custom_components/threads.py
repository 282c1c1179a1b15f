"""The cores that this process may use, and threads that leave them to other work while they wait."""

import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# Names a file that says how many threads a training may have; who runs several side by side changes it.
THREADS_FILE = "PROSTATE_THREADS_FILE"

GRAIN = 32768  # of this many values, torch gives a thread of its own its share


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that this process may use: those it is bound to, or as many as its control groups grant in time.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, *(int(quota) for quota in _quotas(root) if quota < bound), bound))


def _quotas(root: Path) -> Iterator[float]:
    """The cores' worth of time that each control group around this process grants, in version 1 and 2."""
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
        # A container may see its own group as the top one, under another path than this file says.
        for folder in {top, group, *(parent for parent in group.parents if parent.is_relative_to(top))}:
            yield _quota(folder)


def _quota(folder: Path) -> float:
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            granted, period = " ".join((folder / name).read_text(encoding="utf-8") for name in names).split()
        except (OSError, ValueError):
            continue
        if granted.isdecimal():  # neither "max" nor -1
            return int(granted) / int(period)
    return math.inf


def take_own_share() -> None:
    """Use as many threads as the file of :data:`THREADS_FILE` says, where there is one."""
    file = os.environ.get(THREADS_FILE)
    if file and os.path.isfile(file):
        import torch

        torch.set_num_threads(int(Path(file).read_text(encoding="utf-8")))


def be_a_good_neighbour() -> None:
    """Let torch's waiting threads sleep rather than spin, and use no more of them than there are cores for it.

    OpenMP's threads spin for some milliseconds at the end of each operation. Beside another busy process that keeps the
    core from the thread that all wait for: a training takes ten times as long and more. What OMP_WAIT_POLICY,
    GOMP_SPINCOUNT or OMP_NUM_THREADS say already, holds.
    """
    chosen = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    # For a torch that is imported later, and for processes that this one starts.
    if not chosen:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if (torch := sys.modules.get("torch")) is None:
        return
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    if not chosen and torch.get_num_threads() > 1:
        _outnumber_the_cores()


def _outnumber_the_cores() -> None:
    """Make libgomp, which has read the variables, stop spinning.

    It does so while it has more threads than there are cores. The threads too many are started here and sleep for good.
    """
    import torch

    own = torch.get_num_threads()
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    started = threading.Event()

    def sleep() -> None:
        # It counts the threads of a second team, all but one.
        team = bound - own + 2
        torch.set_num_threads(team)
        torch.zeros(team * GRAIN).add_(1)
        started.set()
        threading.Event().wait()

    threading.Thread(target=sleep, name="more threads than cores", daemon=True).start()
    started.wait()
    torch.set_num_threads(own)
