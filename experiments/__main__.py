"""``python -m experiments run | report | complexity``."""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from custom_components.errors import InputError
from custom_components.files import read_json, write_json
from data_prep.splitting import split_dataset
from experiments import complexity
from experiments.bundle_copy import BUNDLES
from experiments.plan import Plan, load_plan
from experiments.report import load_study, render_table, write_report
from experiments.runner import Study


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "complexity":
            measure_complexity(options.out)
            return 0
        if options.command == "run":
            run(options)
        print(render_table(load_study(options.out).rows))
        print(f"report: {write_report(options.out)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Split the dataset, run the plan and leave ``study.json`` for the report."""
    _check_numbers(options)
    dataset = options.dataset.resolve()
    sites = sorted({case["site"] for case in read_json(dataset / "dataset.json")["cases"]})
    groups = [group.split(",") for group in options.groups]
    plan = load_plan(options.plan, sites, groups, options.seeds, options.size, options.epochs)
    split_dataset(dataset, plan.fractions, [",".join(group) for group in plan.groups], plan.split_seed)
    study = _describe(plan, dataset)
    _require_same_study(options.out / "study.json", study)
    write_json(options.out / "study.json", study)
    Study(plan, dataset, options.out.resolve()).run(options.jobs)


def measure_complexity(folder: Path) -> None:
    """Print what each network costs, and write it to ``complexity.md`` and ``complexity.json``."""
    machine = complexity.describe_machine()
    rows = [complexity.measure(name) for name in tqdm(complexity.NETWORKS, desc="complexity", unit="network")]
    written = complexity.write_page(rows, machine, folder)
    print(complexity.render_page(rows, machine))
    print("written:", *written)


def _check_numbers(options: argparse.Namespace) -> None:
    if options.jobs < 1 or (options.epochs is not None and options.epochs < 1):
        raise InputError("--jobs and --epochs must be at least 1")
    if options.size is not None and (options.size < 8 or options.size % 8):
        raise InputError(f"--size {options.size}: give a multiple of 8, such as 96")


def _describe(plan: Plan, dataset: Path) -> dict[str, Any]:
    split = read_json(dataset / "splits" / "all.json")
    return {
        "title": plan.title,
        "dataset": str(dataset),
        "split": {
            "name": split["name"],
            "sha256": split["sha256"],
            "counts": {part: len(split[part]) for part in ("training", "validation", "test")},
        },
        "settings": {"image_size": plan.image_size, "site groups": [" + ".join(group) for group in plan.groups]},
        "rows": [asdict(row) | {"network": row.bundle} for row in plan.rows],
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
    }


def _require_same_study(file: Path, study: dict[str, Any]) -> None:
    """A folder holds one study, which may grow by rows: nothing trained is thrown away because a setting changed.

    Raises:
        InputError: if ``file`` describes another study; names the first difference.
    """
    if not file.is_file():
        return
    before, now = read_json(file), json.loads(json.dumps(study))  # tuples as the lists they become
    differing = [key for key in ("dataset", "split", "settings") if before.get(key) != now[key]]
    rows = {row["name"]: row for row in now["rows"]}
    differing += [f"row {row['name']}" for row in before["rows"] if rows.get(row["name"], row) != row]
    if differing:
        raise InputError(f"{file.parent} holds a study with other {differing[0]}; choose another folder, or delete it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_ = commands.add_parser("run", help="run a plan, or go on with it, and write its report")
    run_.add_argument("--plan", default="demo", help="a shipped plan's name or a YAML file")
    run_.add_argument("--dataset", type=Path, required=True, help="folder of a canonical dataset (dataset.json)")
    run_.add_argument("--out", type=Path, required=True, help="folder of the study")
    run_.add_argument("--groups", nargs="*", default=[], metavar="A,B", help="site groups of the limited teachers")
    run_.add_argument("--seeds", nargs="*", type=int, default=[], help="seeds of the students")
    run_.add_argument("--size", type=int, help="image size in pixels")
    run_.add_argument("--epochs", type=int, help="epochs of every training")
    run_.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    report = commands.add_parser("report", help="write the report of a study again")
    report.add_argument("--out", type=Path, required=True, help="folder of the study")
    costs = commands.add_parser("complexity", help="count and time the networks, beside the paper's Table 1")
    costs.add_argument("--out", type=Path, default=BUNDLES.parent / "docs" / "reference", help="folder of the table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
