"""Split a dataset into training, validation and test cases.

All cases of a patient go into one list, every site is split with the same fractions, and the seed decides the order.
splits/all.json holds all sites. A group of sites (for a teacher that is trained on these only) gets a file of its own,
with the same test cases as all.json.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, sha256_of, write_json
from custom_components.foundation.tables import text_lines
from data_prep.dataset_file import read_dataset

LISTS = ("training", "validation", "test")
# With the mask's hash a corrected mask gives another split. The image alone decides whether two cases are the same.
MASK_KEY = "label_sha256"
ITEM_KEYS = ("image", "label", "case", "site", "patient", "voxel_sha256", MASK_KEY)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``split``."""
    parser.add_argument("dataset", type=Path, help="dataset folder, made by import")
    percent = ("TRAINING", "VALIDATION", "TEST")
    parser.add_argument(
        "--fractions", type=float, nargs=3, default=[80, 5, 15], metavar=percent, help="patients in percent"
    )
    parser.add_argument("--groups", nargs="+", default=[], metavar="SITE[,SITE]", help="sites of one teacher each")
    parser.add_argument("--leave-out", metavar="SITE", help="test only on the cases of this site, on all of them")
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
    fold: tuple[int, int] | None = None,
) -> list[dict]:
    """Write ``all.json`` and one file for each group of sites, as MSD datalists.

    Args:
        dataset: canonical dataset folder.
        fractions: fractions of training, validation and test patients, in percent or with the sum 1.
        groups: groups of sites with a file each; a group is a text such as "UCL,HK".
        seed: decides the list of each patient.
        leave_out: a site whose cases are the test cases; the other sites' patients are for training and validation.
        folder: folder of the split files; by default ``splits`` in the dataset.
        fold: the number k and the count K of a cross-validation, 1 <= k <= K: the test patients are those of the k-th
            of K parts. Each patient is in one part, and each site is spread evenly over the parts.

    Returns:
        The written splits, all.json first.

    Raises:
        InputError: if ``dataset.json`` or the fractions are wrong, if a site is unknown or in two groups, if a list
            would be empty, or if the folder already holds another split, which models may have been trained on.
    """
    shares = _shares(fractions)
    # A case without a mask cannot be used for training or scoring.
    cases = [_with_mask_hash(dataset, case) for case in read_dataset(dataset)["cases"] if case["label"]]
    sites = sorted({case["site"] for case in cases})
    if leave_out not in (None, *sites):
        raise InputError(f"--leave-out {leave_out}: unknown site; the dataset has {', '.join(sites)}")
    site_groups = _site_groups(groups, sites)

    if fold and leave_out:
        raise InputError("--folds and --leave-out: both decide the test cases; give one of them")
    lists = _split_cases(cases, shares, seed, leave_out, fold)
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


def _with_mask_hash(dataset: Path, case: dict) -> dict:
    """The case with the present hash of its mask, so that a mask corrected in the dataset gives another split."""
    mask = dataset / case["label"]
    return {**case, MASK_KEY: file_sha256(mask)} if mask.is_file() else case


def split_sha256(split: dict) -> str:
    """The hash that identifies a split, computed from its three lists only."""
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
    cases: Sequence[dict],
    shares: Sequence[float],
    seed: int,
    leave_out: str | None,
    fold: tuple[int, int] | None,
) -> dict[str, list[dict]]:
    patients: dict[str, set[str]] = {}
    for case in cases:
        patients.setdefault(case["site"], set()).add(case["patient"])
    place: dict[str, str] = {}
    # The left-out site comes first: its patients are test patients, also if another site has cases of them.
    for site in sorted(patients, key=lambda site: (site != leave_out, site)):
        # A patient with cases at two sites is assigned with the first site, and gets the same list at the second.
        order = sorted(patients[site] - place.keys())
        # The seed contains the site's name, so that the other sites do not change the assignment of a site's patients.
        random.Random(f"{seed} {site}").shuffle(order)
        if fold:
            # The parts go round over all sites, so that they differ by one patient at most.
            number, count = fold
            tested = [patient for turn, patient in enumerate(order, len(place)) if turn % count == number - 1]
            order = tested + [patient for patient in order if patient not in tested]
            validation, test = _left_in(len(order) - len(tested), shares)[0], len(tested)
        elif site == leave_out:
            validation, test = 0, len(order)
        else:
            validation, test = _counts(len(order), shares) if leave_out is None else _left_in(len(order), shares)
        for position, patient in enumerate(order):
            place[patient] = "test" if position < test else "validation" if position < test + validation else "training"
    lists: dict[str, list[dict]] = {key: [] for key in LISTS}
    for case in sorted(cases, key=lambda case: case["case"]):
        lists[place[case["patient"]]].append({name: case[name] for name in ITEM_KEYS if name in case})
    return lists


def _counts(patients: int, shares: Sequence[float]) -> tuple[int, int]:
    """The numbers of validation and test patients of one site; the remaining patients are for training."""
    if patients < 3:
        return 0, min(patients, 1)
    test = min(max(1, int(patients * shares[2] + 0.5)), patients - 2)
    validation = min(max(1, int(patients * shares[1] + 0.5)), patients - test - 1)
    return validation, test


def _left_in(patients: int, shares: Sequence[float]) -> tuple[int, int]:
    """As :func:`_counts`, if the test cases come from another site."""
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
    former = read_json(path) if path.exists() else split
    if former.get("sha256") == split["sha256"]:
        return
    same_cases = _without_masks(former) == _without_masks(split)
    problem = "was made with other masks, or before masks were hashed" if same_cases else "holds another split"
    raise InputError(f"{path}: {problem}, and models may have been trained on it; remove {path.parent} first")


def _without_masks(split: dict) -> dict[str, list[dict]]:
    return {
        key: [{name: value for name, value in item.items() if name != MASK_KEY} for item in split.get(key, [])]
        for key in LISTS
    }


def _table(split: dict) -> str:
    sites = sorted({item["site"] for key in LISTS for item in split[key]})
    rows = [("site", *LISTS)]
    for site in sites:
        rows.append((site, *(str(sum(item["site"] == site for item in split[key])) for key in LISTS)))
    rows.append(("all", *(str(len(split[key])) for key in LISTS)))
    lines = [f"  {line}" for line in text_lines(rows)]
    return "\n".join([f"{split['name']} (sha256 {split['sha256'][:12]})", *lines])
