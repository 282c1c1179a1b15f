"""The time and memory of ``data_prep import`` by number of cases and workers, and of a rerun that has nothing to do.

Every import runs in a process of its own, as for a user. The memory is the sum over this process and its workers.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import psutil

from benchmarks.measure import Figure
from custom_components.foundation.files import read_json

SIZES = (250, 1000)
QUICK_SIZES = (2, 4)
SHAPE = (128, 128, 16)
SAMPLE_S = 0.05


@dataclass(frozen=True)
class Run:
    """The measurements of one import.

    Args:
        cases: number of cases.
        seconds: wall-clock time.
        peak_mib: the largest memory that the process and its workers held at one time, in MiB.
    """

    cases: int
    seconds: float
    peak_mib: float


def measure(quick: bool = False) -> list[Figure]:
    """Measure imports of two numbers of cases, each with one worker, with two workers, and as a rerun."""
    with tempfile.TemporaryDirectory() as folder:
        runs = list(_import_all(QUICK_SIZES if quick else SIZES, Path(folder)))
    few, many = (dict(zip(("one", "two", "again"), group, strict=True)) for group in (runs[:3], runs[3:]))
    size, fewer = many["one"].cases, few["one"].cases
    return [
        Figure(
            f"import, time a case: of {size} / of {fewer}, one worker",
            [(many["one"].seconds / size) / (few["one"].seconds / fewer)],
            1.2,
            parts=_cases_a_second(fewer, few) | _cases_a_second(size, many),
            note=f"cases of {'x'.join(map(str, SHAPE))} voxels",
        ),
        Figure(
            f"import, peak memory: of {size} / of {fewer}, two workers",
            [many["two"].peak_mib / few["two"].peak_mib],
            1.2,
            parts={
                f"{run.cases} cases, {kind}, MiB": run.peak_mib
                for runs in (few, many)
                for kind, run in (("one worker", runs["one"]), ("two workers", runs["two"]))
            },
        ),
        Figure(
            f"import of {size} cases, time: two workers / one",
            [many["two"].seconds / many["one"].seconds],
            0.65,
            parts={"one worker, s": many["one"].seconds, "two workers, s": many["two"].seconds},
        ),
        Figure(f"import of {size} cases again, with nothing to do", [many["again"].seconds], 10.0, unit="s"),
    ]


def _cases_a_second(size: int, runs: dict[str, Run]) -> dict[str, float]:
    return {
        f"{size} cases, {kind} worker{'s' * (kind == 'two')}, cases/s": size / runs[kind].seconds
        for kind in ("one", "two")
    }


def _import_all(sizes: tuple[int, ...], folder: Path) -> Iterator[Run]:
    """For each number of cases: an import with one worker, an import with two, and a rerun with one."""
    for size in sizes:
        raw = folder / f"raw{size}"
        make_cases(raw, size)
        for dataset, jobs in (("one", 1), ("two", 2), ("one", 1)):
            yield _import(raw, folder / f"{dataset}{size}", size, jobs)


def make_cases(folder: Path, count: int) -> None:
    """Write cases in the released layout. Each case is different smooth noise, and a box stands for the prostate."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[40:80, 40:80, 4:12] = 1
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 800, (16, 16, SHAPE[2]))
        voxels = coarse.repeat(8, 0).repeat(8, 1) + rng.integers(0, 60, SHAPE)
        for name, content in ((f"Case{number:05d}", voxels.astype(np.int16)), (f"Case{number:05d}_segmentation", mask)):
            nibabel.save(nibabel.Nifti1Image(content, affine), folder / f"{name}.nii.gz")


def _import(raw: Path, dataset: Path, cases: int, jobs: int) -> Run:
    command = [sys.executable, "-m", "data_prep", "import", str(raw), "--site", "S", "--keep-ids"]
    started = time.perf_counter()
    process = psutil.Popen(
        [*command, "--jobs", str(jobs), "--out", str(dataset)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _held_bytes(process))
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise RuntimeError(f"the import of {raw} ended with {process.returncode}")
    elapsed = time.perf_counter() - started
    if len(read_json(dataset / "dataset.json")["cases"]) != cases:
        raise RuntimeError(f"{dataset} has not all of {cases} cases")
    return Run(cases, elapsed, peak / 2**20)


def _held_bytes(process: psutil.Process) -> int:
    held = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            held += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return held
