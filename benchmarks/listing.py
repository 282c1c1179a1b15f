"""The time and memory of listing a DICOM archive, against the former way: one process that keeps every header.

``python -m benchmarks.listing FOLDER`` measures the present way alone on an archive of :mod:`benchmarks.archive`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.archive import make_archive
from benchmarks.measure import Figure, ratios
from data_prep.listing import read_listing

STUDIES = (1000, 4000)
QUICK_STUDIES = (4, 8)
ROUNDS = 3
SAMPLE_S = 0.2
FORMER = """
import sys
from pathlib import Path
from data_prep.dicom import scan_folder, select_series
studies = scan_folder(Path(sys.argv[1])).studies
print(sum(select_series(study.series).picked is not None for study in studies))
"""


@dataclass(frozen=True)
class ListingRun:
    """The measurements of one listing.

    Args:
        seconds: wall-clock time.
        own_mib: peak memory of the command's own process, in MiB.
        all_mib: peak memory of this process and its workers together.
        cpu_s: processor time of all of them, as far as it was seen.
    """

    seconds: float
    own_mib: float
    all_mib: float
    cpu_s: float


def measure(quick: bool = False) -> list[Figure]:
    """Measure both ways, in turn, on archives of two sizes."""
    few, many = QUICK_STUDIES if quick else STUDIES
    with tempfile.TemporaryDirectory() as folder:
        archives = [Path(folder, str(studies)) for studies in (few, many)]
        images = [make_archive(archive, studies) for archive, studies in zip(archives, (few, many), strict=True)]
        rounds = 1 if quick else ROUNDS
        former, now = [], []
        for _ in range(rounds):
            former.append(run_former(archives[1], many))
            now.append(run_now(archives[1], many, jobs=2))
        small_former, small_now = run_former(archives[0], few), run_now(archives[0], few, jobs=2)
    thousands = (images[1] - images[0]) / 1000
    return [
        Figure(
            f"listing of {many} studies, time: former way / two workers",
            ratios([run.seconds for run in former], [run.seconds for run in now]),
            1.2,
            at_least=True,
            parts={
                "former way, images/s": images[1] / former[-1].seconds,
                "two workers, images/s": images[1] / now[-1].seconds,
            },
            note="the start of the processes included",
        ),
        Figure(
            "listing, memory of the command for 1000 more images: present way / former",
            [max(now[-1].own_mib - small_now.own_mib, 0.001) / max(former[-1].own_mib - small_former.own_mib, 0.001)],
            0.3,
            parts={
                "former way, MiB per 1000 images": (former[-1].own_mib - small_former.own_mib) / thousands,
                "present way, MiB per 1000 images": (now[-1].own_mib - small_now.own_mib) / thousands,
            },
        ),
    ]


def run_former(archive: Path, studies: int) -> ListingRun:
    """List in one process that keeps every header."""
    with tempfile.TemporaryFile("w+") as output:
        run = _watch([sys.executable, "-c", FORMER, str(archive)], output)
        output.seek(0)
        _require(archive, int(output.read()), studies)
    return run


def run_now(archive: Path, studies: int, jobs: int) -> ListingRun:
    """List with ``data_prep list``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "listing")
        command = ["-m", "data_prep", "list", str(archive), "--site", "S", "--jobs", str(jobs), "--out", str(file)]
        run = _watch([sys.executable, *command], subprocess.DEVNULL)
        _require(archive, len(read_listing(file)[1].cases), studies)
    return run


def _require(archive: Path, found: int, studies: int) -> None:
    if found != studies:
        raise RuntimeError(f"{archive}: {found} of {studies} studies were listed")


def _watch(command: Sequence[str], output: object) -> ListingRun:
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
    own = together = 0
    cpu: dict[int, float] = {}
    while process.poll() is None:
        held = 0
        try:
            for one in [process, *process.children(recursive=True)]:
                memory, times = one.memory_info().rss, one.cpu_times()
                held += memory
                cpu[one.pid] = times.user + times.system
                own = max(own, memory) if one.pid == process.pid else own
        except psutil.NoSuchProcess:
            pass
        together = max(together, held)
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return ListingRun(time.perf_counter() - started, own / 2**20, together / 2**20, sum(cpu.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listing", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(run_now(options.folder, sum(1 for _ in options.folder.iterdir()), options.jobs))
