"""Split a dataset into training, validation and test cases.

Patients stay whole, every site is split alike, the seed decides. splits/all.json holds every site; a group of sites
(for a teacher that sees only these) gets its own file with the same test cases as all.json.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from custom_components.errors import InputError
from custom_components.files import read_json, sha256_of, write_json
from custom_components.tables import text_lines
from data_prep.dataset_file import read_dataset

LISTS = ("training", "validation", "test")
ITEM_KEYS = ("image", "label", "case", "site", "patient", "voxel_sha256")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``split``."""
    parser.add_argument("dataset", type=Path, help="dataset folder, made by import")
    percent = ("TRAINING", "VALIDATION", "TEST")
    parser.add_argument("--fractions", type=float, nargs=3, default=[80, 5, 15], metavar=percent, help="in percent")
    parser.add_argument("--groups", nargs="+", default=[], metavar="SITE[,SITE]", help="sites of one teacher each")
    parser.add_argument("--leave-out", metavar="SITE", help="test on all of this site's cases, and on no others")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    """Run ``split`` from the command line."""
    splits = split_dataset(options.dataset, options.fractions, options.groups, options.seed, options.leave_out)
    for split in splits:
        print(_table(split))
    return 0


def split_dataset(
    dataset: Path,
    fractions: Sequence[float] = (80, 5, 15),
    groups: Sequence[str] = (),
    seed: int = 0,
    leave_out: str | None = None,
    folder: Path | None = None,
) -> list[dict]:
    """Write ``all.json`` and one file for each group of sites, as MSD datalists.

    Args:
        dataset: canonical dataset folder.
        fractions: of training, validation and test patients; in percent, or adding up to 1.
        groups: sites of one file each, joined by commas ("UCL,HK").
        seed: decides which patients go where.
        leave_out: a site whose cases are the test cases; the patients of the others are trained on or validated with.
        folder: of the files; by default ``splits`` in the dataset.

    Returns:
        The splits as written, all.json first.

    Raises:
        InputError: on a bad ``dataset.json``, bad fractions, unknown or shared sites, a list that would be empty, or
            when the folder already has another split, on which models may have been trained.
    """
    shares = _shares(fractions)
    # A case without mask can be segmented, but neither learnt from nor scored.
    cases = [case for case in read_dataset(dataset)["cases"] if case["label"]]
    sites = sorted({case["site"] for case in cases})
    if leave_out not in (None, *sites):
        raise InputError(f"--leave-out {leave_out}: unknown site; the dataset has {', '.join(sites)}")
    site_groups = _site_groups(groups, sites)

    lists = _split_cases(cases, shares, seed, leave_out)
    splits = [_split("all", sites, lists, seed, shares)]
    for group in site_groups:
        own = {key: [item for item in lists[key] if item["site"] in group] for key in ("training", "validation")}
        splits.append(_split("+".join(group), group, {**own, "test": lists["test"]}, seed, shares))

    folder = folder or dataset / "splits"
    _refuse_another_split(folder / "all.json", splits[0])
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        write_json(folder / f"{split['name']}.json", split)
    return splits


def split_sha256(split: dict) -> str:
    """The hash that names a split: over its three lists only."""
    return sha256_of({key: split[key] for key in LISTS})


def _shares(fractions: Sequence[float]) -> list[float]:
    total = sum(fractions)
    if len(fractions) != 3 or min(fractions) <= 0 or min(abs(total - 1), abs(total - 100)) > 1e-6:
        shown = " ".join(f"{fraction:g}" for fraction in fractions)
        raise InputError(f"--fractions {shown}: give three positive numbers that add up to 100, such as 80 5 15")
    return [round(fraction / total, 6) for fraction in fractions]


def _site_groups(groups: Sequence[str], sites: Sequence[str]) -> list[list[str]]:
    owner: dict[str, str] = {}
    parsed = []
    for group in groups:
        names = group.split(",")
        for name in names:
            if name not in sites:
                raise InputError(f"--groups {group}: unknown site {name!r}; the dataset has {', '.join(sites)}")
            if name in owner:
                raise InputError(f"--groups {group}: {name} is already in {owner[name]}; a site may have one group")
            owner[name] = group
        parsed.append(names)
    return parsed


def _split_cases(
    cases: Sequence[dict], shares: Sequence[float], seed: int, leave_out: str | None
) -> dict[str, list[dict]]:
    patients: dict[str, set[str]] = {}
    for case in cases:
        patients.setdefault(case["site"], set()).add(case["patient"])
    place: dict[str, str] = {}
    # The site left out comes first: its patients are tested on, at whichever other site they were seen.
    for site in sorted(patients, key=lambda site: (site != leave_out, site)):
        # A patient seen at two sites is dealt out with the first, and goes the same way in the second.
        order = sorted(patients[site] - place.keys())
        # Seeded by name, so that a site's patients fall the same way whichever other sites there are.
        random.Random(f"{seed} {site}").shuffle(order)
        validation, test = _counts(len(order), shares) if leave_out is None else _left_in(len(order), shares)
        if site == leave_out:
            validation, test = 0, len(order)
        for position, patient in enumerate(order):
            place[patient] = "test" if position < test else "validation" if position < test + validation else "training"
    ordered = sorted(cases, key=lambda case: case["case"])
    return {
        key: [{name: case[name] for name in ITEM_KEYS} for case in ordered if place[case["patient"]] == key]
        for key in LISTS
    }


def _counts(patients: int, shares: Sequence[float]) -> tuple[int, int]:
    """Validation and test patients of one site; the rest are trained on."""
    if patients < 3:
        return 0, min(patients, 1)
    test = min(max(1, int(patients * shares[2] + 0.5)), patients - 2)
    validation = min(max(1, int(patients * shares[1] + 0.5)), patients - test - 1)
    return validation, test


def _left_in(patients: int, shares: Sequence[float]) -> tuple[int, int]:
    """As :func:`_counts`, where the test cases come from another site."""
    validation = int(patients * shares[1] / (shares[0] + shares[1]) + 0.5)
    return min(max(1, validation), patients - 1), 0


def _split(name: str, sites: Sequence[str], lists: dict, seed: int, shares: Sequence[float]) -> dict:
    for key in LISTS:
        if not lists[key]:
            raise InputError(
                f"split {name}: no {key} case; a site needs at least three patients to have all three lists"
            )
    split = {
        "name": name,
        "modality": {"0": "T2w"},
        "labels": {"0": "background", "1": "prostate"},
        "seed": seed,
        "fractions": list(shares),
        "sites": list(sites),
    }
    return {**split, "sha256": split_sha256(lists), **lists}


def _refuse_another_split(path: Path, split: dict) -> None:
    if path.exists() and read_json(path).get("sha256") != split["sha256"]:
        raise InputError(
            f"{path}: holds another split, and models may have been trained on it; remove {path.parent} first"
        )


def _table(split: dict) -> str:
    sites = sorted({item["site"] for key in LISTS for item in split[key]})
    rows = [("site", *LISTS)]
    for site in sites:
        rows.append((site, *(str(sum(item["site"] == site for item in split[key])) for key in LISTS)))
    rows.append(("all", *(str(len(split[key])) for key in LISTS)))
    lines = [f"  {line}" for line in text_lines(rows)]
    return "\n".join([f"{split['name']} (sha256 {split['sha256'][:12]})", *lines])
