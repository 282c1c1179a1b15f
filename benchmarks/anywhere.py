"""Measure the time, memory and disk space of each way to run a student, on one core, from the start to the results.

    python -m benchmarks.anywhere --out docs/results --study <folder of a DICOM study>
    python -m benchmarks.anywhere --quick

The runner is installed into an environment of its own, as a user would install it. Every run is a new process, bound to
one core. The ways take turns, so that other work on the machine slows all of them in the same way. The weights are
random, so the masks are noise; to find the largest component of a true mask takes less time and memory. MONAI Deploy is
measured only if .venv-deploy exists, the browser only if "make test-web" can run.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai
import nibabel
import numpy as np
import torch

from benchmarks import chromium
from custom_components.bundle import Bundle, copy_bundle, read_bundle, run_command
from custom_components.bundle.student_file import FORMAT
from custom_components.checkpoint import write_checkpoint
from custom_components.export import export_onnx, export_student
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json, write_text
from custom_components.foundation.tables import markdown_table
from experiments.complexity import describe_machine, render_machine

REPOSITORY = Path(__file__).parents[1]
COLUMNS = ("way", "seconds", "of it computing", "peak memory", "environment")
STUDENT, TEACHER = "enet", "pspnet"
# The peak memory of a process includes that of the process that starts it. So a small process starts the measured one.
LAUNCHER = """
import json, os, sys, time
core, log, *command = sys.argv[1:]
os.sched_setaffinity(0, {int(core)})
output = (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
start = time.perf_counter()
process = os.posix_spawn(command[0], command, os.environ, file_actions=[output, (os.POSIX_SPAWN_DUP2, 1, 2)])
_, status, used = os.wait4(process, 0)
seconds, computing = time.perf_counter() - start, used.ru_utime + used.ru_stime
print(json.dumps([status, {"seconds": seconds, "computing": computing, "peak_mb": used.ru_maxrss * 1024 / 1e6}]))
"""


@dataclass(frozen=True)
class Way:
    """One way to use a student.

    Attributes:
        name: the name in the table.
        command: the program of the process, with all its arguments.
        environment: variables of the process in addition to those of this process.
        packages: the folder with the installed packages.
        measures_itself: whether the process prints its own figures. A browser is many processes.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    packages: Path
    measures_itself: bool = False


def make_bundle(name: str, folder: Path, size: int) -> Bundle:
    """Make a copy of a shipped bundle with random weights."""
    copy_bundle(name, folder, size)
    bundle = read_bundle(str(folder))
    bundle.model_file.parent.mkdir()
    torch.manual_seed(0)
    write_checkpoint(bundle.model_file, bundle.build_network().state_dict())
    return bundle


def export_file(bundle: Bundle, size: int) -> Path:
    """Export a bundle and return its ``student.onnx``."""
    models = bundle.model_file.parent
    export_onnx(bundle, models / "model.onnx")
    notes = {"format": FORMAT, "name": bundle.name, "version": "0", "image_size": str(size), "field_of_view": "null"}
    export_student(models / "model.onnx", size, None, notes, models / "student.onnx")
    return models / "student.onnx"


def install_runner(folder: Path, extra: str = "") -> Path:
    """Install the runner into a new environment; returns the folder of its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet"]
    subprocess.run([*pip, f"{REPOSITORY / 'runner'}{extra}"], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


def write_page(student: Path, folder: Path) -> Path | None:
    """The page of ``make web``; None where Node, its packages or Chromium are missing."""
    web = REPOSITORY / "web"
    if not (shutil.which("node") and (web / "node_modules").is_dir() and chromium.PROGRAM):
        return None
    subprocess.run(["node", web / "build.js", student, folder], check=True, capture_output=True)
    return folder


def ways(scratch: Path, size: int, slices: int, study: Path | None, deploy: Path) -> Iterator[Way]:
    """All ways for a volume, and for a study if there is one."""
    volumes, out = scratch / "volumes", scratch / "out"
    volumes.mkdir()
    nibabel.save(nibabel.Nifti1Image(_ball(size, slices), np.diag([0.5, 0.5, 3, 1])), volumes / "case.nii.gz")
    bundles = {name: make_bundle(name, scratch / name, size) for name in (STUDENT, TEACHER)}
    student, teacher = (export_file(bundles[name], size) for name in (STUDENT, TEACHER))
    monai_packages = Path(monai.__file__).parents[1]
    options = {"dataset_dir": str(volumes), "output_dir": str(out)}
    here = {"PYTHONPATH": str(REPOSITORY)}

    packages = install_runner(scratch / "runner")
    segment = scratch / "runner" / "bin" / "segment"
    yield Way("volume: ENet, runner", [segment, student, volumes / "case.nii.gz", out], {}, packages)
    for name, label in ((STUDENT, "ENet"), (TEACHER, "PSPNet (a teacher)")):
        config = bundles[name].path / "configs" / "inference.json"
        command = run_command("inference", str(config), {**options, "bundle_root": str(bundles[name].path)})
        yield Way(f"volume: {label}, MONAI bundle", command, here, monai_packages)
    yield Way("volume: PSPNet (a teacher), runner", [segment, teacher, volumes / "case.nii.gz", out], {}, packages)
    if (page := write_page(student, scratch / "page")) is not None:
        command = [sys.executable, "-m", "benchmarks.browser", page, volumes / "case.nii.gz"]
        yield Way("volume: ENet, browser", command, here, page, measures_itself=True)
    if study is None:
        return
    packages = install_runner(scratch / "runner_dicom", "[dicom]")
    yield Way("study: ENet, runner", [scratch / "runner_dicom" / "bin" / "segment", student, study, out], {}, packages)
    if deploy.exists():
        (packages,) = deploy.parents[1].glob("lib/python*/site-packages")
        application = REPOSITORY / "integrations" / "monai_deploy"
        command = [deploy, application, "-i", study, "-o", out, "-m", student]
        both = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'runner'}"}
        yield Way("study: ENet, MONAI Deploy", command, both, packages)


def run(way: Way, scratch: Path) -> dict[str, float]:
    """Run a way once, on one core."""
    log = scratch / "log.txt"
    core = min(os.sched_getaffinity(0))
    launch = [sys.executable, "-S", "-c", LAUNCHER, core, log, *way.command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **way.environment}
    done = subprocess.run([str(one) for one in launch], cwd=scratch, env=environment, check=True, capture_output=True)
    status, taken = json.loads(done.stdout)
    if status:
        raise InputError(f"{way.name}: its process failed: {log.read_text().strip()[-500:]}")
    if way.measures_itself:
        taken = json.loads(log.read_text().splitlines()[-1])
    return taken


def measure(scratch: Path, size: int, slices: int, rounds: int, study: Path | None, deploy: Path) -> list[dict]:
    """The medians of each way; the first round, in which files are read from the disk, is not counted."""
    all_ways = list(ways(scratch, size, slices, study, deploy))
    taken = [[run(way, scratch) for way in all_ways] for _ in range(rounds + 1)][1:]
    medians = [
        {key: statistics.median(one[number][key] for one in taken) for key in taken[0][number]}
        for number in range(len(all_ways))
    ]
    return [
        {"way": way.name, **median, "installed_mb": installed_mb(way.packages)}
        for way, median in zip(all_ways, medians, strict=True)
    ]


def installed_mb(packages: Path) -> float:
    """The disk space of an environment's packages."""
    return sum(path.lstat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6


def render(rows: Sequence[Mapping[str, Any]], machine: Mapping[str, Any], size: int, slices: int, rounds: int) -> str:
    """The page in Markdown."""
    cells = [
        [
            row["way"],
            f"{row['seconds']:.1f} s",
            f"{row['computing']:.1f} s",
            f"{row['peak_mb']:.0f} MB",
            f"{row['installed_mb']:,.0f} MB",
        ]
        for row in rows
    ]
    return f"""# Where a student runs

Each row is one way to run a student, measured on one core from the start of its program to its results. A "volume" is
a NIfTI of {size}x{size}x{slices}, which becomes a mask. The "study" is a DICOM study of seven series in 164 files; its
T2w series of 19 slices of 384x384 becomes SEG, report and picture. "of it computing" is the time of the processor; in
the rest of the seconds the program waits for the disk or for other work on the machine. "environment" is the disk space
of the installed packages; that of the browser is the page's folder, without the browser itself. The browser is a new
headless Chromium without a GPU, and its memory is that of all its processes. The ways take turns. Each figure is the
median of {rounds} rounds.
`python -m benchmarks.anywhere --out docs/results --study <folder>` writes this page.

{markdown_table(COLUMNS, cells, aligned=True)}

{render_machine(machine)}
"""


def _ball(size: int, slices: int) -> np.ndarray:
    """A bright ball in noise."""
    rows, columns, depth = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j, -1 : 1 : slices * 1j]
    ball = rows**2 + columns**2 + depth**2 < 0.2
    return (800 * ball + np.random.default_rng(0).normal(300, 60, (size, size, slices))).astype(np.int16)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anywhere", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run with tiny sizes, only to test that it works")
    parser.add_argument("--out", type=Path, help="folder of anywhere.md and anywhere.json")
    parser.add_argument("--study", type=Path, help="folder of a DICOM study")
    default = REPOSITORY / ".venv-deploy" / "bin" / "python"
    parser.add_argument("--deploy", type=Path, default=default, help="python of the environment of MONAI Deploy")
    options = parser.parse_args(arguments)
    machine = describe_machine()
    size, slices, rounds = (32, 4, 1) if options.quick else (384, 24, 3)
    study = options.study and options.study.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(Path(scratch), size, slices, rounds, study, options.deploy.absolute())
    page = render(rows, machine, size, slices, rounds)
    print(page)
    if options.out:
        write_text(options.out / "anywhere.md", page)
        write_json(options.out / "anywhere.json", {"machine": machine, "shape": [size, size, slices], "rows": rows})


if __name__ == "__main__":
    main()
