"""Measure on the CPU how long a teacher and each export of ENet need from a volume's file to its mask.

    python -m benchmarks.inference --out docs/results    # 384x384x24, three rounds
    python -m benchmarks.inference --quick

Every variant runs the bundle's ``inference.json`` with another network. Each variant has a process of its own, so that
the peak memory is the variant's alone. The processes take turns, so that other work on the machine slows all of
them in the same way. The weights are random: time and memory do not depend on them.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch

from custom_components.bundle import copy_bundle, read_bundle
from custom_components.checkpoint import write_checkpoint
from custom_components.export import export_onnx, export_torchscript, quantise
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json, write_text
from custom_components.foundation.tables import markdown_table
from experiments.complexity import describe_machine, render_machine

STUDENT, TEACHER = "enet", "pspnet"
COLUMNS = ("variant", "file to mask", "ratio", "network", "ratio", "peak memory", "ratio")
# The label of each variant, its bundle, and the file in the bundle's models.
VARIANTS = {
    "ENet, MONAI bundle": (STUDENT, "model.pt"),
    "ENet, TorchScript": (STUDENT, "model.ts"),
    "ENet, ONNX Runtime": (STUDENT, "model.onnx"),
    "ENet, ONNX Runtime INT8": (STUDENT, "model.int8.onnx"),
    "PSPNet, MONAI bundle": (TEACHER, "model.pt"),
}


def make_bundles(folder: Path, size: int) -> None:
    """Make the two bundles with random weights, and export the student."""
    for name in (STUDENT, TEACHER):
        copy_bundle(name, folder / name, size)
        bundle = read_bundle(str(folder / name))
        bundle.model_file.parent.mkdir()
        torch.manual_seed(0)
        write_checkpoint(bundle.model_file, bundle.build_network().state_dict())
    student = read_bundle(str(folder / STUDENT))
    models = student.model_file.parent
    export_torchscript(student, models / "model.ts")
    export_onnx(student, models / "model.onnx")
    quantise(models / "model.onnx", torch.randn(2, 1, size, size), models / "model.int8.onnx")


def measure(scratch: Path, size: int, slices: int, rounds: int) -> list[dict[str, Any]]:
    """Measure the median seconds and the peak memory of each variant; the first round is not counted."""
    make_bundles(scratch / "bundles", size)
    (scratch / "volumes").mkdir()
    voxels = np.random.default_rng(0).integers(0, 1000, (size, size, slices)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([0.5, 0.5, 3, 1])), scratch / "volumes" / "case.nii.gz")
    with contextlib.ExitStack() as stack:
        workers = {}
        for label, (bundle, file) in VARIANTS.items():
            arguments = [str(scratch / "bundles" / bundle), file, str(scratch / "volumes")]
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.inference_process", *arguments]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
            workers[label] = stack.enter_context(subprocess.Popen(command, **pipes))
        taken = [{label: _ask(label, worker) for label, worker in workers.items()} for _ in range(rounds + 1)]
    return [
        {
            "variant": label,
            "seconds": statistics.median(one[label]["seconds"] for one in taken[1:]),
            "network_seconds": statistics.median(one[label]["network_seconds"] for one in taken[1:]),
            "peak_mb": taken[-1][label]["peak_mb"],
        }
        for label in VARIANTS
    ]


def _ask(label: str, worker: subprocess.Popen) -> dict[str, float]:
    worker.stdin.write("\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise InputError(f"{label}: its process ended with exit code {worker.wait()}")
    return json.loads(answer)


def render(rows: Sequence[Mapping[str, Any]], machine: Mapping[str, Any], size: int, slices: int, rounds: int) -> str:
    """Write the page in Markdown. Each ratio compares a row with the first row."""
    first = rows[0]
    cells = [
        [
            row["variant"],
            f"{row['seconds']:.2f} s",
            f"{row['seconds'] / first['seconds']:.2f}",
            f"{row['network_seconds']:.2f} s",
            f"{row['network_seconds'] / first['network_seconds']:.2f}",
            f"{row['peak_mb']:.0f} MB",
            f"{row['peak_mb'] / first['peak_mb']:.2f}",
        ]
        for row in rows
    ]
    return f"""# Inference on the CPU

Each variant segments one volume of {size}x{size}x{slices} as the bundle's `inference.json` says.
"file to mask" is the time from the NIfTI file to the mask, without the start of the program; "network" is the time of
the forward passes. Each
variant runs in a process of its own, and the variants take turns. Each time is the median of {rounds} rounds. Each
ratio compares a row with the first row. `python -m benchmarks.inference --out docs/results` writes this page.

{markdown_table(COLUMNS, cells, aligned=True)}

{render_machine(machine)}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="run with tiny sizes, only to test that it works")
    parser.add_argument("--out", type=Path, help="folder of inference.md and inference.json")
    options = parser.parse_args(arguments)
    machine = describe_machine()
    size, slices, rounds = (64, 4, 1) if options.quick else (384, 24, 3)
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(Path(scratch), size, slices, rounds)
    page = render(rows, machine, size, slices, rounds)
    print(page)
    if options.out:
        write_text(options.out / "inference.md", page)
        write_json(options.out / "inference.json", {"machine": machine, "shape": [size, size, slices], "rows": rows})


if __name__ == "__main__":
    main()
