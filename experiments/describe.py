"""``study.json``: what a study is, for its report and for the next call."""

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch

from custom_components.errors import InputError
from custom_components.files import read_json, write_json
from experiments.plan import Plan

# Two calls with the same of these go on with one study.
SAME_STUDY = ("dataset", "split", "settings")


def keep_description(plan: Plan, dataset: Path, out: Path) -> None:
    """Write ``study.json``, or add to it: the plan's rows, then former ones that this plan lacks, such as other seeds.

    Args:
        plan: of the study.
        dataset: canonical dataset folder.
        out: the study's folder, which holds its splits.

    Raises:
        InputError: if the folder holds another study; names the first difference.
    """
    file = out / "study.json"
    study = json.loads(json.dumps(_describe(plan, dataset, read_json(out / "splits" / "all.json"))))
    if file.is_file():
        former = read_json(file)
        _require_same(former, study, out)
        names = {row["name"] for row in study["rows"]}
        study["rows"] += [row for row in former["rows"] if row["name"] not in names]
        study["machine"] = _on_both(former["machine"], study["machine"])
    write_json(file, study)


def _describe(plan: Plan, dataset: Path, split: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": plan.title,
        "dataset": str(dataset),
        "split": {
            "name": split["name"],
            "sha256": split["sha256"],
            "counts": {part: len(split[part]) for part in ("training", "validation", "test")},
        },
        "settings": {
            **plan.image,
            "scored_on": plan.scored_on,
            "site groups": [" + ".join(group) for group in plan.groups],
        },
        "rows": [asdict(row) | {"network": row.bundle} for row in plan.rows],
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """What figures of time depend on."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        **gpu,
        "torch": torch.__version__,
    }


def processor() -> str:
    """The model's name; ``platform.processor()`` is empty or a mere architecture on Linux."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _on_both(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The machines of a study that went on elsewhere: each value that differs is set beside the former ones."""
    both = {**before, **now}
    for key in before.keys() & now.keys():
        former = str(before[key]).split(" / ")
        both[key] = before[key] if str(now[key]) in former else " / ".join([*former, str(now[key])])
    return both


def _require_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    differing = [key for key in SAME_STUDY if before.get(key) != now[key]]
    rows = {row["name"]: row for row in now["rows"]}
    differing += [f"row {row['name']}" for row in before["rows"] if rows.get(row["name"], row) != row]
    if differing:
        raise InputError(f"{out} holds a study with other {differing[0]}; choose another folder, or delete it")
