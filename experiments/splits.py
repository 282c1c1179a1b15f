"""The split files of a study."""

import contextlib
import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, sha256_of, write_json
from custom_components.foundation.split_lists import LISTS
from data_prep.splitting import items_with_masks, split_dataset, split_sha256
from experiments.new_sites import new_site_splits, site_of
from experiments.plan import Plan, Row


@contextlib.contextmanager
def new_splits(plan: Plan, dataset: Path, out: Path) -> Iterator[Path]:
    """Split the dataset by the plan's settings; the split files replace those in ``<out>/splits`` at the block's end.

    In a cross-validation, and in a study of new sites, each fold has its own folder in ``<out>/splits``. If masks were
    corrected, the split has another hash and replaces the former split. Rows that used the former masks are trained
    again. After an error in the block, the former files stay as they are.

    Yields:
        The folder of the new files.

    Raises:
        InputError: as :func:`split_dataset`, or if the lists hold other cases than before.
    """
    with tempfile.TemporaryDirectory(prefix=".splits_", dir=out) as folder:
        fresh = Path(folder)
        _split_into(fresh, plan, dataset)
        files = sorted(file.relative_to(fresh) for file in fresh.rglob("*.json"))
        for file in files:
            former = out / "splits" / file
            if former.is_file() and cases_sha256(read_json(former)) != cases_sha256(read_json(fresh / file)):
                raise InputError(f"{out} holds a study with another split; choose another folder, or delete it")
        yield fresh
        for file in files:
            (out / "splits" / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / file, out / "splits" / file)


def _split_into(folder: Path, plan: Plan, dataset: Path) -> None:
    groups = [",".join(group) for group in plan.groups]
    if plan.parts:
        items = items_with_masks(dataset)
        new_sites = dict.fromkeys(site_of(fold) for fold in plan.folds)
        masks = sorted({row.masks for row in plan.rows if isinstance(row.masks, int)})
        splits = new_site_splits(items, [*new_sites], plan.parts, masks, plan.split_seed, plan.groups)
        for file, own in splits.items():
            (folder / file).parent.mkdir(exist_ok=True)
            write_json(folder / file, own)
        return
    for number, fold in enumerate(plan.folds or [""], start=1):
        part = (number, len(plan.folds)) if plan.folds else None
        whole, *_ = split_dataset(dataset, plan.fractions, groups, plan.split_seed, plan.leave_out, folder / fold, part)
        for left_out in {row.left_out for row in plan.rows if row.left_out}:
            write_json(folder / fold / without_part(left_out), _without(whole, left_out, plan.split_seed))


def without_part(left_out: tuple[int, int]) -> str:
    """The name of the split file that lacks one part of the training patients."""
    return "all_without_{}_of_{}.json".format(*left_out)


def _without(split: Mapping[str, Any], left_out: tuple[int, int], seed: int) -> dict[str, Any]:
    """The split without the k-th of n parts of its training patients; every site is spread over the parts."""
    part, parts = left_out
    patients = list(dict.fromkeys((case["site"], case["patient"]) for case in split["training"]))
    random.Random(seed).shuffle(patients)
    patients.sort(key=lambda one: one[0])  # by site, each in random order
    gone = {patient for _, patient in patients[part - 1 :: parts]}
    training = [case for case in split["training"] if case["patient"] not in gone]
    lists = {**{name: split[name] for name in LISTS}, "training": training}
    return {**split, **lists, "name": without_part(left_out).removesuffix(".json"), "sha256": split_sha256(lists)}


def read_splits(plan: Plan, splits: Path) -> dict[str, dict[str, Any]]:
    """The split of each fold, by fold; the key is "" without folds."""
    return {fold: read_json(splits / fold / "all.json") for fold in plan.folds or [""]}


def scored_split(splits: Path, fold: str, sites: Sequence[str]) -> Path:
    """The split file with the cases that a row of a fold, trained on some sites, is scored on.

    A teacher of one site in a study of new sites is scored on the cases of the other sites.
    """
    has_folds = not (splits / "all.json").is_file()
    return splits / f"{'+'.join(sites)}.json" if has_folds and not fold else splits / fold / "all.json"


def training_split(splits: Path, row: Row) -> Path:
    """The split file with the cases that a row is trained on."""
    if isinstance(row.masks, int):
        return splits / row.fold / f"masks{row.masks}.json"
    if row.left_out:
        return splits / row.fold / without_part(row.left_out)
    return splits / row.fold / f"{'+'.join(row.sites) or 'all'}.json"


def cases_sha256(split: Mapping[str, Any]) -> str:
    """A hash of the lists of cases with masks in a split. It does not depend on the contents of images and masks."""
    return sha256_of(_without_hashes({part: split[part] for part in LISTS}))


def _without_hashes(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _without_hashes(value) for key, value in content.items() if not key.endswith("sha256")}
    return [_without_hashes(item) for item in content] if isinstance(content, list) else content
