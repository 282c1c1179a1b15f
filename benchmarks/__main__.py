"""``python -m benchmarks [--quick] [--out docs/results] [name ...]``: measure, print, write benchmarks.md and .json."""

import argparse
import warnings
from pathlib import Path

import torch

from benchmarks import distillation_step, loss_memory, lovasz, slices
from benchmarks.page import render, to_json
from custom_components.files import write_json, write_text
from experiments.complexity import describe_machine

BENCHMARKS = {"distillation_step": distillation_step, "lovasz": lovasz, "loss_memory": loss_memory, "slices": slices}


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what is claimed to be fast.")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--out", type=Path, help="folder of benchmarks.md and benchmarks.json")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=FutureWarning)

    machine = describe_machine()
    machine["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    results = {name: BENCHMARKS[name].measure(options.quick) for name in options.names or BENCHMARKS}
    page = render(results, machine)
    print(page)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "benchmarks.md", page)
        write_json(options.out / "benchmarks.json", to_json(results, machine))


if __name__ == "__main__":
    main()
