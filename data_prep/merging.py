"""Join datasets that were imported in parts (``import --shard``) into one.

The parts must have the same settings, the same key, and no common case. Their files are linked, or copied if the file
system cannot link. The result equals the dataset of a single import of all parts.
"""

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json
from data_prep.checks import same_image_finding
from data_prep.dataset_file import read_dataset
from data_prep.dataset_writer import require_same
from data_prep.files import new_folder
from data_prep.quarantine import read_quarantine, write_quarantine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``merge``."""
    parser.add_argument("datasets", type=Path, nargs="+", metavar="DATASET", help="datasets to join")
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET", help="dataset folder to make")


def run(options: argparse.Namespace) -> int:
    """Run ``merge`` from the command line."""
    cases = merge_datasets(options.datasets, options.out)
    print(f"{options.out}: {len(cases)} cases of {len({case['site'] for case in cases})} sites")
    return 0


def merge_datasets(datasets: list[Path], out: Path) -> list[dict[str, Any]]:
    """Write a dataset with all cases of ``datasets``. If two cases have the same image, the later name is quarantined.

    Returns:
        The cases by name.

    Raises:
        InputError: if a dataset is missing, was made with other settings or another key, or shares a case with another,
            or if no dataset holds a case. Nothing is written then.
    """
    contents = [read_dataset(dataset) for dataset in datasets]
    headers = [{key: content.get(key) for key in ("ids", "n4")} for content in contents]
    home: dict[str, Path] = {}
    entries: dict[str, dict[str, Any]] = {}
    for dataset, header, content in zip(datasets, headers, contents, strict=True):
        require_same(dataset, header, headers[0])
        for entry in content["cases"]:
            name = entry["case"]
            if name in entries:
                raise InputError(f"{dataset}: has the case {name} like {home[name]}; merge each part once")
            entries[name], home[name] = entry, dataset
    if not entries:
        raise InputError(f"{out}: none of the datasets to merge holds a case; nothing was written")

    quarantined = [row for dataset in datasets for row in read_quarantine(dataset)]
    first: dict[str, str] = {}
    kept = []
    renamed = {}
    for name in sorted(entries):
        twin = first.setdefault(entries[name]["voxel_sha256"], name)
        if twin == name:
            kept.append(entries[name])
        else:
            finding = same_image_finding(Path(name), twin)
            row = {"case": name, "folder": entries[name].get("folder")}
            quarantined.append({**row, "problem": finding.problem, "advice": finding.advice})
            renamed[same_image_finding(Path(name), name).problem] = finding.problem
    # A part may hold a third case with this image, which names the case that is quarantined here.
    quarantined = [{**row, "problem": renamed.get(row["problem"], row["problem"])} for row in quarantined]

    with new_folder(out) as partial:
        for kind in ("images", "labels"):
            (partial / kind).mkdir()
        for entry in tqdm(kept, "merging", unit="case", disable=None):
            for file in filter(None, (entry["image"], entry["label"])):
                _link(home[entry["case"]] / file, partial / file)
        write_quarantine(partial, quarantined)
        write_json(partial / "dataset.json", {"name": out.name, **headers[0], "cases": kept})
    return kept


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
