"""The number of cores that a process may use, and threads that leave the cores to other processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from custom_components.foundation.threads import THREADS_FILE, take_own_share, usable_cores

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(folder: Path, group: str, **limits: str) -> Path:
    """Write the folders ``proc`` and ``sys`` of a machine. In the names of ``limits``, ``__`` stands for a slash."""
    for name, content in {"proc/self/cgroup": group, **limits}.items():
        file = folder / name.replace("__", "/").replace("cpu_", "cpu.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    return folder


@pytest.mark.parametrize(
    ("group", "limits", "expected"),
    [
        ("0::/", {}, 8),
        ("0::/", {"sys__fs__cgroup__cpu_max": "max 100000"}, 8),
        ("0::/", {"sys__fs__cgroup__cpu_max": "300000 100000"}, 3),
        ("0::/", {"sys__fs__cgroup__cpu_max": "350000 100000"}, 3),
        ("0::/", {"sys__fs__cgroup__cpu_max": "50000 100000"}, 1),
        ("0::/", {"sys__fs__cgroup__cpu_max": "9900000 100000"}, 8),
        # A group cannot grant more cores than the groups that contain it.
        (
            "0::/a/b",
            {"sys__fs__cgroup__a__cpu_max": "200000 100000", "sys__fs__cgroup__a__b__cpu_max": "max 100000"},
            2,
        ),
        # Within a container, the container's own group is the top group.
        ("0::/docker/123", {"sys__fs__cgroup__cpu_max": "400000 100000"}, 4),
        (
            "3:cpuset:/\n2:cpu,cpuacct:/job",
            {
                "sys__fs__cgroup__cpu__job__cpu_cfs_quota_us": "500000",
                "sys__fs__cgroup__cpu__job__cpu_cfs_period_us": "100000",
            },
            5,
        ),
        (
            "2:cpu,cpuacct:/",
            {"sys__fs__cgroup__cpu__cpu_cfs_quota_us": "-1", "sys__fs__cgroup__cpu__cpu_cfs_period_us": "100000"},
            8,
        ),
    ],
)
def test_cores_that_are_granted(tmp_path, group, limits, expected):
    assert usable_cores(machine(tmp_path, group, **limits)) == expected


def test_cores_where_no_group_is_known(tmp_path):
    assert usable_cores(tmp_path) == 8


def test_a_training_takes_the_share_that_is_granted_now(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    try:
        for threads in ("3", "2"):
            (tmp_path / "threads.txt").write_text(threads)
            monkeypatch.setenv(THREADS_FILE, str(tmp_path / "threads.txt"))
            take_own_share()
            assert torch.get_num_threads() == int(threads)
        monkeypatch.setenv(THREADS_FILE, str(tmp_path / "none.txt"))
        take_own_share()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


SPINNING = """
import os, threading, time
import torch
import custom_components
with_two = torch.get_num_threads()
values = torch.ones(1 << 18)
values.add_(1)
before = time.process_time()
for _ in range(20):
    values.add_(1)
    time.sleep(0.01)  # in which a waiting thread of libgomp spins for some milliseconds
print(with_two, threading.active_count(), time.process_time() - before)
"""


@pytest.mark.parametrize(
    ("chosen", "threads"), [({}, 2), ({"OMP_WAIT_POLICY": "PASSIVE"}, 1), ({"OMP_NUM_THREADS": "1"}, 1)]
)
def test_waiting_threads_sleep_unless_told_otherwise(chosen, threads):
    """During 20 pauses of 10 ms, spinning threads take 60 ms of CPU or more, and sleeping threads a tenth of that."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    environment |= {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "2", **chosen}
    done = subprocess.run([sys.executable, "-c", SPINNING], env=environment, capture_output=True, text=True, check=True)
    torch_threads, python_threads, seconds = done.stdout.split()
    assert int(torch_threads) == int(environment["OMP_NUM_THREADS"])
    assert int(python_threads) == threads
    assert float(seconds) < 0.03
