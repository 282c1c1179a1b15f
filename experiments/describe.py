"""``study.json``: the description of a study, for its report and for the next call."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import psutil
import torch

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, sha256_of, write_json
from custom_components.foundation.split_lists import LISTS
from custom_components.run_identity import flat, in_one_line, setting_differences
from experiments.plan import Plan, Row
from experiments.splits import cases_sha256, read_splits, scored_split


def keep_description(plan: Plan, dataset: Path, out: Path, splits: Path) -> None:
    """Write ``study.json``, or extend it: the plan's rows come first, then former rows that this plan lacks (other
    seeds).

    Args:
        plan: the plan of the study.
        dataset: canonical dataset folder.
        out: the study's folder.
        splits: the folder of the split files.

    Raises:
        InputError: if the folder holds another study; the message names the first difference.
    """
    file = out / "study.json"
    study = json.loads(json.dumps(_describe(plan, dataset, splits)))
    if file.is_file():
        former = read_json(file)
        _require_same(former, study, out)
        names = {row["name"] for row in study["rows"]}
        study["rows"] += [row for row in former["rows"] if row["name"] not in names]
        study["machine"] = _on_both(former["machine"], study["machine"])
    write_json(file, study)


def _describe(plan: Plan, dataset: Path, folder: Path) -> dict[str, Any]:
    splits = read_splits(plan, folder)
    split = _one_split(splits[""]) if "" in splits else _cross_validation(splits)
    if plan.parts:
        files = {row.name: scored_split(folder, row.fold, row.sites) for row in plan.rows if not row.fold}
        split["teachers"] = {name: read_json(file)["sha256"] for name, file in files.items()}
        split["name"] = f"new sites in {plan.parts} parts each"
    return {
        "title": plan.title,
        "dataset": str(dataset),
        "split": split,
        "settings": {
            **plan.image,
            "scored_on": plan.scored_on,
            "site groups": [" + ".join(group) for group in plan.groups],
        },
        "rows": [asdict(row) | {"network": row.bundle} for row in plan.rows],
        "machine": machine(),
    }


def _one_split(split: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": split["name"],
        "sha256": split["sha256"],
        "cases_sha256": cases_sha256(split),
        "counts": {part: len(split[part]) for part in LISTS},
    }


def _cross_validation(splits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The splits of all folds as one record; every case is a test case once."""
    folds = {fold: split["sha256"] for fold, split in splits.items()}
    return {
        "name": f"{len(splits)} folds",
        "sha256": sha256_of(folds),
        "cases_sha256": sha256_of([cases_sha256(split) for split in splits.values()]),
        "counts": {"test": sum(len(split["test"]) for split in splits.values())},
        "folds": folds,
    }


def former_rows(folder: Path) -> list[Row]:
    """The rows in a study's ``study.json``; none without the file."""
    file = folder / "study.json"
    rows = read_json(file)["rows"] if file.is_file() else []
    known = [field.name for field in fields(Row)]
    return [Row(**{name: row[name] for name in known if name in row}) for row in rows]


def machine() -> dict[str, Any]:
    """The properties of this machine that times depend on."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        **gpu,
        "torch": torch.__version__,
    }


def processor() -> str:
    """The name of the processor's model; on Linux ``platform.processor()`` is empty or only names the architecture."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _on_both(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Combine the machines of a study that was continued on another machine: a value that differs is added."""
    both = {**before, **now}
    for key in before.keys() & now.keys():
        former = str(before[key]).split(" / ")
        both[key] = before[key] if str(now[key]) in former else " / ".join([*former, str(now[key])])
    return both


def _require_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    """Refuse to continue a study with other cases in its lists, other settings, or other rows of the same name."""
    told = [f"{key} {words}" for key in ("split", "settings") for words in _differing(before[key], now[key])]
    rows = {row["name"]: row for row in now["rows"]}
    for row in before["rows"]:
        told += [f"row {row['name']}: {words}" for words in _differing(row, rows.get(row["name"], row))]
    if told:
        raise InputError(f"{out} holds a study with other {in_one_line(told)}; choose another folder, or delete it")


def _differing(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    # Corrected masks give another split of the same cases. The study stays, and its rows are trained again.
    ignored = "sha256" if "cases_sha256" in before else "cases_sha256"
    both = [{key: value for key, value in flat(content).items() if key != ignored} for content in (before, now)]
    return list(setting_differences(*both).values())
