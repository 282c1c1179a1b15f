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
from custom_components.run_identity import flat, in_one_line, setting_differences
from data_prep.splitting import LISTS
from experiments.plan import Plan, Row


def keep_description(plan: Plan, dataset: Path, out: Path) -> None:
    """Write ``study.json``, or extend it: the plan's rows come first, then former rows that this plan lacks (other
    seeds).

    Args:
        plan: the plan of the study.
        dataset: canonical dataset folder.
        out: the study's folder, which holds the splits.

    Raises:
        InputError: if the folder holds another study; the message names the first difference.
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
            "cases_sha256": cases_sha256(split),
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


def former_rows(folder: Path) -> list[Row]:
    """The rows in a study's ``study.json``; none without the file."""
    file = folder / "study.json"
    rows = read_json(file)["rows"] if file.is_file() else []
    return [Row(**{field.name: row[field.name] for field in fields(Row)}) for row in rows]


def cases_sha256(split: Mapping[str, Any]) -> str:
    """A hash of the cases in each list of a split; it does not depend on images and masks."""
    return sha256_of(_without_hashes({part: split[part] for part in LISTS}))


def _without_hashes(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_hashes(value) for key, value in content.items() if not key.endswith("sha256")}
    return [_without_hashes(item) for item in content] if isinstance(content, list) else content


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
