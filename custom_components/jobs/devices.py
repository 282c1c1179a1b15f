"""The GPUs of this machine, and which one the next job gets."""

import os
import subprocess
from collections.abc import Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY = ("nvidia-smi", "--query-gpu=uuid,index,memory.used", "--format=csv,noheader,nounits")


def usable_devices(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs for this process, as words for ``CUDA_VISIBLE_DEVICES``; empty without a GPU.

    If the user has set ``CUDA_VISIBLE_DEVICES``, these are its words:

    >>> usable_devices({"CUDA_VISIBLE_DEVICES": "2, 3"})
    ['2', '3']
    >>> usable_devices({"CUDA_VISIBLE_DEVICES": "0,-1,1"})  # CUDA, too, ignores all after an invalid one
    ['0']
    """
    if VISIBLE not in environment:
        return [uuid for uuid, _, _ in _query()]
    words = [word.strip() for word in environment[VISIBLE].split(",")]
    valid = next((at for at, word in enumerate(words) if not word or word.startswith("-")), len(words))
    return list(dict.fromkeys(words[:valid]))


def memory_in_use() -> dict[str, int]:
    """The memory in use on every GPU in MiB, by its UUID and by its number."""
    return {word: int(used) for uuid, index, used in _query() if used.isdecimal() for word in (uuid, index)}


def least_loaded(devices: Sequence[str], taken: Sequence[str], memory: Mapping[str, int]) -> str:
    """The device with the fewest of our jobs; among equals the one with the least memory in use, then the first.

    >>> least_loaded(["0", "1", "2"], ["0"], {"0": 10, "1": 9000, "2": 10})
    '2'

    Args:
        devices: words of :func:`usable_devices`.
        taken: the device of every running job.
        memory: memory in use, by device.
    """
    return min(devices, key=lambda device: (taken.count(device), memory.get(device, 0)))


def _query() -> list[list[str]]:
    """UUID, number and used memory of every GPU that the driver lists."""
    try:
        told = subprocess.run(QUERY, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = told.stdout.splitlines() if told.returncode == 0 else []
    return [[word.strip() for word in line.split(",")] for line in lines if line.count(",") == 2]
