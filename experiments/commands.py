"""The commands of a row, as a MONAI user would type them."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from experiments.plan import DISTILLATION, Row


def training(row: Row, bundles: Path, dataset: Path, datalist: Path) -> list[str]:
    """``monai.bundle run training`` for the row's bundle, or for the distillation bundle that writes into it."""
    bundle = bundles / (DISTILLATION if row.teachers else row.name)
    options = {"dataset_dir": dataset, "datalist": datalist, "seed": row.seed, "resume": True, **row.settings}
    if row.teachers:
        options |= {"student": bundles / row.name, "teachers": _listed(bundles / teacher for teacher in row.teachers)}
    return _run("training", bundle / "configs" / "train.json", options)


def evaluating(row: Row, bundles: Path, dataset: Path, datalist: Path, part: str) -> list[str]:
    """``monai.bundle run evaluating`` for the row's bundle, on a part of the split."""
    options = {"dataset_dir": dataset, "datalist": datalist, "part": part}
    return _run("evaluating", bundles / row.name / "configs" / "evaluate.json", options)


def _listed(folders: Iterable[Path]) -> str:
    return json.dumps([str(folder) for folder in folders], ensure_ascii=False)


def _run(run_id: str, config: Path, options: dict[str, object]) -> list[str]:
    command = [sys.executable, "-m", "monai.bundle", "run", run_id, "--config_file", str(config)]
    for key, value in options.items():
        command += [f"--{key}", str(value)]
    return command
