"""The times of the runs of a study, their machines, and the time of the whole study on more devices."""

from collections.abc import Mapping
from typing import Any

from custom_components.jobs.job import read_attempts
from experiments.report.run_record import RunRecord
from experiments.report.study import StudyRecord
from experiments.schedule import path_lengths, time_of_all
from reporting.blocks import Block, Note, Section
from reporting.table import Line, Table

SIDE_BY_SIDE = (1, 4, 16)


def times_section(study: StudyRecord) -> Section:
    """The section of the times; without blocks if no run has kept its times."""
    return Section("Time", _blocks(study))


def seconds_of(run: RunRecord) -> float:
    """The time of a run's training and scoring, summed over its attempts; 0 if it has kept none."""
    return sum(one["ended"] - one["started"] for one in _ended(run))


def in_words(seconds: float) -> str:
    """A time in its two largest units.

    >>> in_words(75), in_words(3725), in_words(9.6)
    ('1 min 15 s', '1 h 2 min', '10 s')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _blocks(study: StudyRecord) -> list[Block]:
    timed = [run for run in study.runs if run.evaluation and seconds_of(run)]
    if not timed:
        return []
    seconds = {run.name: seconds_of(run) for run in timed}
    cells = [(run.name, _places(run), in_words(seconds[run.name]), str(len(_ended(run)))) for run in timed]
    teachers = {run.name: [name for name in run.teachers if name in seconds] for run in timed}
    devices = "GPUs" if any(one["gpu"] for run in timed for one in _ended(run)) else "rows at the same time"
    whole = [Line((str(number), in_words(time_of_all(seconds, teachers, number)))) for number in SIDE_BY_SIDE]
    longest = max(path_lengths(seconds, teachers).values())
    note = (
        f"These {len(timed)} runs would take this long on more {devices}, one run on each, if a run took as long as it "
        f"did here. Teachers come before their students: the longest chain of them takes {in_words(longest)}, and no "
        "number of machines makes the study shorter. A run that was stopped has several starts; the time is their sum."
    )
    runs = Table(("run", "where", "time", "starts"), [*map(Line, cells)], texts=2)
    return [runs, Table((devices, "time"), whole), Note(note)]


def _ended(run: RunRecord) -> list[dict[str, Any]]:
    return [one for one in read_attempts(run.folder / "output") if "ended" in one]


def _places(run: RunRecord) -> str:
    """The machines of a run, with its GPUs and the cluster's ids of its jobs."""
    return "; ".join(dict.fromkeys(_place(one) for one in _ended(run)))


def _place(attempt: Mapping[str, Any]) -> str:
    gpu = attempt["gpu"] and f"GPU {attempt['gpu'].removeprefix('GPU-')}"  # nvidia-smi names it GPU-<UUID>
    named = (attempt["host"], gpu, attempt["id"] and f"job {attempt['id']}")
    return ", ".join(filter(None, named))
