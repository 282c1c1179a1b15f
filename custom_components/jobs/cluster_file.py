"""The YAML file with what a job of a Slurm cluster asks for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError

MINUTES = {"m": 1, "h": 60, "d": 24 * 60}


@dataclass(frozen=True)
class ClusterSettings:
    """The resources that a job asks its cluster for.

    Args:
        partition: the partition; None takes the cluster's default.
        time: time limit in minutes. A training that reaches it is queued again and goes on from its last epoch.
        memory: main memory in GB; None takes the cluster's default.
        cpus: processor cores.
        gpus: GPUs of a job that uses one; other jobs ask for none.
        lines: further lines of the job's script: ``#SBATCH --account=x``, or commands that run before the job.
    """

    partition: str | None = None
    time: int = 24 * 60
    memory: float | None = None
    cpus: int = 4
    gpus: int = 1
    lines: tuple[str, ...] = ()


def read_cluster_file(path: Path | None) -> ClusterSettings:
    """The settings of a file such as::

        partition: gpu
        time: 12h             # 90m, 12h or 2d
        memory: 32GB
        cpus: 8
        gpus: 1
        lines:
          - "#SBATCH --account=prostate"
          - module load cuda

    Args:
        path: the file; None gives the defaults.

    Raises:
        InputError: if the file is missing, has an unknown key, or a value of another kind.
    """
    if path is None:
        return ClusterSettings()
    import yaml  # a host's environment may lack it, and never reads this file

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", path, advice="give the settings of the cluster, or leave it out") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("not a YAML file", path, detail=str(error).splitlines()[0]) from None
    if content is None:
        return ClusterSettings()
    known = ", ".join(_READERS)
    if not isinstance(content, dict):
        raise InputError(f"no list of keys and values; it may have {known}", path)
    for key in content:
        if key not in _READERS:
            raise InputError(f"{key} is no setting of a cluster; there are {known}", path)
    return ClusterSettings(**{key: _read(key, value, path) for key, value in content.items() if value is not None})


def _read(key: str, value: Any, path: Path) -> Any:
    read, example = _READERS[key]
    try:
        return read(value)
    except (ValueError, AttributeError):  # no match has no groups
        raise InputError(f"{key}: {value!r} is none; write for example {example}", path) from None


def _minutes(value: Any) -> int:
    number, unit = re.fullmatch(r"(\d+) ?([mhd])", str(value)).groups()
    return _positive(int(number) * MINUTES[unit])


def _gigabytes(value: Any) -> float:
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MG])B?", str(value)).groups()
    return _positive(float(number) / (1024 if unit == "M" else 1))


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError
    return str(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _positive(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError
    return value


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(line, str) and "\n" not in line for line in value):
        raise ValueError
    # sbatch reads its own lines only above the first command.
    return tuple(sorted(value, key=lambda line: not line.startswith("#SBATCH")))


_READERS = {
    "partition": (_word, "partition: gpu"),
    "time": (_minutes, "time: 12h"),
    "memory": (_gigabytes, "memory: 32GB"),
    "cpus": (lambda value: _positive(_count(value)), "cpus: 8"),
    "gpus": (_count, "gpus: 1"),
    "lines": (_lines, 'lines: ["#SBATCH --account=prostate", "module load cuda"]'),
}
