"""The split files of a study."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, sha256_of
from data_prep.splitting import LISTS, split_dataset
from experiments.plan import Plan


def write_splits(plan: Plan, dataset: Path, out: Path) -> None:
    """Split the dataset by the plan's settings and write the split files into ``<out>/splits``.

    In a cross-validation each fold has its own folder in ``<out>/splits``. If masks were corrected, the split has
    another hash and replaces the former split. Rows that used the former masks are trained again.

    Raises:
        InputError: as :func:`split_dataset`, or if the lists hold other cases than before.
    """
    groups = [",".join(group) for group in plan.groups]
    for number, fold in enumerate(plan.folds or [""], start=1):
        folder = out / "splits" / fold
        former = folder / "all.json"
        part = (number, len(plan.folds)) if plan.folds else None
        with tempfile.TemporaryDirectory(prefix=".splits_", dir=out) as fresh:
            split, *_ = split_dataset(
                dataset, plan.fractions, groups, plan.split_seed, plan.leave_out, Path(fresh), part
            )
            if former.is_file() and cases_sha256(read_json(former)) != cases_sha256(split):
                raise InputError(f"{out} holds a study with another split; choose another folder, or delete it")
            folder.mkdir(parents=True, exist_ok=True)
            for file in Path(fresh).iterdir():
                os.replace(file, folder / file.name)


def read_splits(plan: Plan, out: Path) -> dict[str, dict[str, Any]]:
    """The split of all sites of each fold, by fold; the key is "" without folds."""
    return {fold: read_json(out / "splits" / fold / "all.json") for fold in plan.folds or [""]}


def cases_sha256(split: Mapping[str, Any]) -> str:
    """A hash of the lists of cases with masks in a split. It does not depend on the contents of images and masks."""
    return sha256_of(_without_hashes({part: split[part] for part in LISTS}))


def _without_hashes(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_hashes(value) for key, value in content.items() if not key.endswith("sha256")}
    return [_without_hashes(item) for item in content] if isinstance(content, list) else content
