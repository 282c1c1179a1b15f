"""The split files of a study."""

import os
import tempfile
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from data_prep.splitting import split_dataset
from experiments.describe import cases_sha256
from experiments.plan import Plan


def write_splits(plan: Plan, dataset: Path, out: Path) -> None:
    """Split the dataset by the plan's settings and write the split files into ``<out>/splits``.

    If masks were corrected, the split has another hash and replaces the former split. Rows that used the former masks
    are trained again.

    Raises:
        InputError: as :func:`split_dataset`, or if the lists hold other cases than before.
    """
    folder = out / "splits"
    former = folder / "all.json"
    with tempfile.TemporaryDirectory(prefix=".splits_", dir=out) as fresh:
        groups = [",".join(group) for group in plan.groups]
        split, *_ = split_dataset(dataset, plan.fractions, groups, plan.split_seed, plan.leave_out, Path(fresh))
        if former.is_file() and cases_sha256(read_json(former)) != cases_sha256(split):
            raise InputError(f"{out} holds a study with another split; choose another folder, or delete it")
        folder.mkdir(exist_ok=True)
        for file in Path(fresh).iterdir():
            os.replace(file, folder / file.name)
