"""The order of a study's rows: rows start first that are long, or that long rows wait for."""

import heapq
from collections.abc import Mapping, Sequence


def path_lengths(seconds: Mapping[str, float], teachers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """For each row, the time from its start to the end of the longest chain of students after it.

    >>> path_lengths({"teacher": 2, "student": 3, "alone": 4}, {"student": ["teacher"]})
    {'teacher': 5, 'student': 3, 'alone': 4}

    Args:
        seconds: the time of each row.
        teachers: for each row that has teachers among the rows, their names.
    """
    students: dict[str, list[str]] = {}
    for row, names in teachers.items():
        for name in names:
            students.setdefault(name, []).append(row)
    found: dict[str, float] = {}

    def length(row: str) -> float:
        if row not in found:
            found[row] = seconds[row] + max((length(student) for student in students.get(row, ())), default=0)
        return found[row]

    return {row: length(row) for row in seconds}


def time_of_all(seconds: Mapping[str, float], teachers: Mapping[str, Sequence[str]], side_by_side: int) -> float:
    """The time from the first start to the last end, if so many rows run side by side and none slows another.

    >>> time_of_all({"teacher": 2, "student": 3, "alone": 4}, {"student": ["teacher"]}, side_by_side=1)
    9
    >>> time_of_all({"teacher": 2, "student": 3, "alone": 4}, {"student": ["teacher"]}, side_by_side=2)
    5

    Args:
        seconds: the time of each row.
        teachers: for each row that has teachers among the rows, their names; they end before it starts.
        side_by_side: number of rows that run at the same time.
    """
    first = path_lengths(seconds, teachers)
    waiting = sorted(seconds, key=lambda row: -first[row])
    running: list[tuple[float, str]] = []
    done: set[str] = set()
    now: float = 0
    while waiting or running:
        for row in [row for row in waiting if set(teachers.get(row, ())) <= done][: side_by_side - len(running)]:
            waiting.remove(row)
            heapq.heappush(running, (now + seconds[row], row))
        now, ended = heapq.heappop(running)
        done.add(ended)
    return now
