"""Run benchmarks and write their figures: ``python -m benchmarks [--quick] [--out docs/results] [--only NAME ...]``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.figure_table import render, to_json
from benchmarks.measure import Figure
from custom_components.foundation.files import write_json, write_text
from experiments.complexity import describe_machine

BENCHMARKS = (
    "distillation_step",
    "augmentation",
    "neighbour",
    "lovasz",
    "loss_memory",
    "slices",
    "importing",
    "listing",
    "preparing",
)


def main(arguments: list[str] | None = None) -> None:
    """Run all benchmarks, or the benchmarks that ``--only`` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition(":")[0])
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--quick", action="store_true", help="run with tiny sizes, only to test that it works")
    parser.add_argument("--out", type=Path, help="folder of benchmarks.md and benchmarks.json")
    options = parser.parse_args(arguments)

    machine = describe_machine()
    machine["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results = {name: _measure(name, options.quick) for name in options.only}
    page = render(results, machine)
    print(page)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "benchmarks.md", page)
        write_json(options.out / "benchmarks.json", to_json(results, machine))


def _measure(name: str, quick: bool) -> Sequence[Figure]:
    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    return import_module(f"benchmarks.{name}").measure(quick)


if __name__ == "__main__":
    main()
