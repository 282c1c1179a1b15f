"""How ``data_prep import`` grows with the number of cases: time, memory, workers, and a rerun with nothing to do.

    python benchmarks/importing.py            # 250, 500 and 1,000 generated cases
    python benchmarks/importing.py --quick

Every import is a process of its own, as its user runs it; memory is that of the process and all its workers together.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import psutil

from custom_components.files import read_json, write_json

SIZES = (250, 500, 1000)
QUICK_SIZES = (4,)
SHAPE = (128, 128, 16)
SAMPLE_S = 0.05


def make_cases(folder: Path, count: int) -> None:
    """Write smooth noise with a box for a gland, each case different, in the released layout."""
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


def measure(raw: Path, dataset: Path, jobs: int) -> tuple[float, float]:
    """Run one import to its end; seconds and the most MiB that it and its workers held at once."""
    command = [sys.executable, "-m", "data_prep", "import", str(raw), "--site", "S", "--keep-ids"]
    started = time.perf_counter()
    process = psutil.Popen([*command, "--jobs", str(jobs), "--out", str(dataset)], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _held_bytes(process))
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise SystemExit(f"error: the import of {raw} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 2**20


def _held_bytes(process: psutil.Process) -> int:
    held = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            held += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return held


def benchmark(sizes: tuple[int, ...], scratch: Path) -> list[dict[str, float]]:
    """Import each number of cases with one and two workers, and again when all is done."""
    rows = []
    for size in sizes:
        raw = scratch / f"raw{size}"
        make_cases(raw, size)
        for jobs in (1, 2):
            dataset = scratch / f"set{size}_{jobs}"
            seconds, peak_mib = measure(raw, dataset, jobs)
            again, _ = measure(raw, dataset, jobs)
            if len(read_json(dataset / "dataset.json")["cases"]) != size:
                raise SystemExit(f"error: {dataset} has not all of {size} cases")
            rows.append({"cases": size, "jobs": jobs, "seconds": seconds, "rerun_seconds": again, "peak_mib": peak_mib})
            print(
                f"{size:6d} cases, {jobs} workers: {seconds:6.1f} s, {size / seconds:5.1f} cases/s, "
                f"{peak_mib:5.0f} MiB at most; rerun {again:4.1f} s",
                flush=True,
            )
    return rows


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZES} cases, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = benchmark(QUICK_SIZES if options.quick else SIZES, Path(scratch))
    if options.json:
        write_json(options.json, {"rows": rows})


if __name__ == "__main__":
    main()
