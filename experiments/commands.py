"""The commands of a row, as a MONAI user would type them."""

import sys
from pathlib import Path

from custom_components.bundle import run_command
from experiments.plan import DISTILLATION, Row


def training(row: Row, bundles: Path, dataset: Path, datalist: Path) -> list[str]:
    """``monai.bundle run training`` for the row's bundle, or for the distillation bundle that writes into it."""
    bundle = bundles / (DISTILLATION if row.is_distilled else row.name)
    options = {"dataset_dir": dataset, "datalist": datalist, "seed": row.seed, "resume": True, **row.settings}
    if row.is_distilled:
        teachers = [*(bundles / teacher for teacher in row.teachers), *map(dict, row.predictions)]
        options |= {"student": bundles / row.name, "teachers": teachers}
    return run_command("training", bundle / "configs" / "train.json", options)


def evaluating(row: Row, bundles: Path, dataset: Path, datalist: Path, part: str) -> list[str]:
    """``monai.bundle run evaluating`` for the row's bundle, on a part of the split."""
    options = {"dataset_dir": dataset, "datalist": datalist, "part": part}
    return run_command("evaluating", bundles / row.name / "configs" / "evaluate.json", options)


def joining(row: Row, bundles: Path) -> list[str]:
    """``custom_components.bundle ensemble``: write the mean of the row's teachers into the row's bundle."""
    members = [str(bundles / teacher) for teacher in row.teachers]
    flips = ["--flips"] if row.settings.get("flips") else []
    ensemble = [sys.executable, "-m", "custom_components.bundle", "ensemble"]
    return [*ensemble, *members, "--out", str(bundles / row.name), *flips]
