"""``python -m experiments run | status | report | complexity``.

Exit codes: 0 done, or the time budget is over; 1 not done, the line on stderr says why; 2 wrong usage; 130 interrupted.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.foundation.errors import InputError, OneLineError
from custom_components.foundation.signals import interrupt_on_signals
from custom_components.jobs import add_place_options, place_of
from data_prep.dataset_file import read_dataset
from experiments import complexity
from experiments.describe import keep_description
from experiments.disk import say_disk_use
from experiments.lock import lock_study
from experiments.plan import Plan
from experiments.plan_file import PLANS, load_plan
from experiments.report import load_study, render_table, write_report
from experiments.report.comparison import smallest_difference
from experiments.report.new_sites import new_site_differences
from experiments.runner import StudyRunner
from experiments.splits import new_splits, read_splits
from experiments.status import render_status

SECONDS = {"s": 1, "m": 60, "h": 3600}


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except OneLineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'experiments'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Split the dataset, run the plan until the time budget is over, and write the report."""
    _check_numbers(options)
    place = place_of(options)
    dataset, out = options.dataset.resolve(), options.out.resolve()
    cases = read_dataset(dataset)["cases"]
    # A site without masks is a site too.
    sites = {case["site"]: 0 for case in cases} | Counter(case["site"] for case in cases if case["label"])
    plan = load_plan(
        options.plan,
        sites,
        groups=[group.split(",") for group in options.groups],
        seeds=options.seeds,
        image_size=options.size,
        epochs=options.epochs,
        leave_out=options.leave_out,
        folds=options.folds,
    )
    rows = plan.with_teachers(options.only) if options.only else plan.rows
    interrupt_on_signals()
    with lock_study(out):
        with new_splits(plan, dataset, out) as splits:
            keep_description(plan, dataset, out, splits)
        if line := _power(plan, out):
            print(line)
        study = StudyRunner(plan, dataset, out)
        if line := say_disk_use(rows, study.inputs):
            print(line)
        complete = study.run(rows, place, options.time_budget)
        report(options)
    if not complete:
        print("the time is over; the same command goes on from here")


def status(options: argparse.Namespace) -> None:
    """Show the progress of each row."""
    print(render_status(options.out))


def report(options: argparse.Namespace) -> None:
    """Print the table and, of a study of new sites, its differences; write the report."""
    study = load_study(options.out)
    print(render_table(study.rows))
    print("".join(f"{difference}\n" for difference in new_site_differences(study)), end="")
    print(f"report: {write_report(options.out)}")


def measure_complexity(options: argparse.Namespace) -> None:
    """Print the cost of each network, and write the page and the data file that reports read."""
    machine = complexity.describe_machine()
    exported = complexity.measure_exported(read_bundle(options.exported, SHIPPED_BUNDLES)) if options.exported else []
    rows = [complexity.measure(name) for name in tqdm(complexity.NETWORKS, desc="complexity", unit="network")]
    page, data = Path("docs/reference/complexity.md"), complexity.MEASURED
    if options.out:
        page, data = options.out / page.name, options.out / data.name
    complexity.write_page(rows + exported, machine, page, data)
    print(complexity.render_page(rows + exported, machine))
    print("written:", page, data)


def _power(plan: Plan, out: Path) -> str | None:
    """The smallest difference that the study can tell; None if the plan states no spread."""
    if plan.expected_spread is None:
        return None
    cases = sum(len(split[plan.scored_on]) for split in read_splits(plan, out / "splits").values())
    least = smallest_difference(plan.expected_spread, cases)
    return (
        f"{cases} {plan.scored_on} cases: with differences that spread by {plan.expected_spread:g} Dice points, the "
        f"study can tell a difference of {least:.1f} points"
    )


def _check_numbers(options: argparse.Namespace) -> None:
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"--epochs {options.epochs}: give at least 1")
    if options.folds is not None and options.folds < 2:
        raise InputError(f"--folds {options.folds}: give at least 2")
    if options.size is not None and (options.size < 8 or options.size % 8):
        raise InputError(f"--size {options.size}: give a multiple of 8, such as 96")


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 9m or 2.5h")
    return float(match[1]) * SECONDS[match[2]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run_ = commands.add_parser("run", help="run a plan, or go on with it, and write its report")
    plans = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
    run_.add_argument("--plan", default="demo", help=f"a shipped plan's name ({plans}) or a YAML file")
    run_.add_argument("--dataset", type=Path, required=True, help="folder of a canonical dataset (dataset.json)")
    run_.add_argument("--groups", nargs="*", default=[], metavar="A,B", help="site groups of the limited teachers")
    run_.add_argument("--seeds", nargs="*", type=int, default=[], help="seeds of the students")
    run_.add_argument("--size", type=int, help="image size in pixels")
    run_.add_argument("--epochs", type=int, help="epochs of every training; rows of new sites keep their proportion")
    run_.add_argument("--leave-out", metavar="SITE", help="train on the other sites, test on this one")
    run_.add_argument("--folds", type=int, metavar="K", help="cross-validation: every case is a test case once")
    run_.add_argument("--only", nargs="*", default=[], metavar="ROW", help="these rows (enet_*) and their teachers")
    add_place_options(run_, work="trainings")
    run_.add_argument("--time-budget", type=_duration, default=float("inf"), metavar="9m", help="stop after this time")
    run_.set_defaults(command=run)
    status_ = commands.add_parser("status", help="show the progress of each row")
    status_.set_defaults(command=status)
    report_ = commands.add_parser("report", help="write the report of a study again")
    report_.set_defaults(command=report)
    for subparser in (run_, status_, report_):
        subparser.add_argument("--out", type=Path, required=True, help="folder of the study")
    costs = commands.add_parser("complexity", help="count and time the networks, beside the paper's Table 1")
    costs.add_argument("--out", type=Path, help="folder of page and data (the checked-in ones are replaced)")
    costs.add_argument("--exported", metavar="BUNDLE", help="also the ONNX files of this exported bundle")
    costs.set_defaults(command=measure_complexity)
    return parser


if __name__ == "__main__":
    sys.exit(main())
