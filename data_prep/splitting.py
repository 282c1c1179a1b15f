"""Split a dataset into training, validation and test cases.

All cases of a patient go into one list, every site is split with the same fractions, and the seed decides the order.
splits/all.json holds all sites. A group of sites (for a teacher that is trained on these only) gets a file of its own,
with the same test cases as all.json. Cases without a mask are listed as unlabeled; a distillation can use them. If a
patient has a case in the validation or test list, the patient's cases without a mask are left out.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, sha256_of, write_json
from custom_components.foundation.split_lists import HELD_OUT, LISTS, UNLABELED
from custom_components.foundation.tables import text_lines
from data_prep.dataset_file import read_dataset

# Items hold the mask's hash, so that a corrected mask gives another split. Whether two cases are the same case depends
# on the image alone.
MASK_KEY = "label_sha256"
ITEM_KEYS = ("image", "label", "case", "site", "patient", "voxel_sha256", MASK_KEY)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``split``."""
    parser.add_argument("dataset", type=Path, help="dataset folder, made by import")
    percent = ("TRAINING", "VALIDATION", "TEST")
    parser.add_argument(
        "--fractions", type=float, nargs=3, default=[80, 5, 15], metavar=percent, help="patients in percent (80 5 15)"
    )
    parser.add_argument(
        "--groups",
        nargs="+",
        default=[],
        metavar="SITE[,SITE]",
        help="groups of sites; each group gets a split file, for one teacher",
    )
    parser.add_argument("--leave-out", metavar="SITE", help="test on all cases of this site that have a mask")
    parser.add_argument("--seed", type=int, default=0, help="decides the list of each patient (0)")


def run(options: argparse.Namespace) -> int:
    """Run ``split`` from the command line."""
    splits = split_dataset(options.dataset, options.fractions, options.groups, options.seed, options.leave_out)
    for split in splits:
        print(_table(split))
    listed = sum(len(splits[0].get(key, [])) for key in (*LISTS, UNLABELED))
    if left_out := len(read_dataset(options.dataset)["cases"]) - listed:
        print(f"cases without a mask that are left out: {left_out} (their patients have validation or test cases)")
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
        leave_out: the site whose cases with masks are the test cases; the patients of all other sites are for training
            and validation.
        folder: folder of the split files; by default ``splits`` in the dataset.
        fold: the number k and the count K of a cross-validation, 1 <= k <= K: the test patients are those of the k-th
            of K parts. Each patient is in one part, and each site is spread evenly over the parts.

    Returns:
        The written splits, all.json first.

    Raises:
        InputError: if ``dataset.json`` or the fractions are wrong, if a site is unknown or in two groups, if a list
            would be empty and there are no cases without a mask, or if the folder already holds another split, on
            which models may have been trained.
    """
    shares = _shares(fractions)
    entries = read_dataset(dataset)["cases"]
    cases = [_with_mask_hash(dataset, case) for case in entries if case["label"]]
    sites = sorted({case["site"] for case in entries})
    if leave_out not in (None, *sites):
        raise InputError(f"--leave-out {leave_out}: unknown site; the dataset has {', '.join(sites)}")
    if leave_out and leave_out not in {case["site"] for case in cases}:
        raise InputError(f"--leave-out {leave_out}: none of its cases has a mask to test with; name another site")
    site_groups = _site_groups(groups, sites)

    if fold and leave_out:
        raise InputError("--folds and --leave-out: both decide the test cases; give one of them")
    lists = _split_cases(cases, shares, seed, leave_out, fold)
    lists[UNLABELED] = _unlabeled(entries, lists)
    splits = [_split("all", sites, lists, seed, shares)]
    for group in site_groups:
        own = {key: [item for item in items if item["site"] in group] for key, items in lists.items()}
        splits.append(_split("+".join(group), group, {**own, "test": lists["test"]}, seed, shares))

    folder = folder or dataset / "splits"
    _refuse_another_split(folder / "all.json", splits[0])
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        write_json(folder / f"{split['name']}.json", split)
    return splits


def items_with_masks(dataset: Path) -> list[dict]:
    """All cases with masks as items of a split, sorted by name.

    Raises:
        InputError: if ``dataset.json`` is missing or wrong.
    """
    cases = [_with_mask_hash(dataset, case) for case in read_dataset(dataset)["cases"] if case["label"]]
    return [_item(case) for case in sorted(cases, key=lambda case: case["case"])]


def _with_mask_hash(dataset: Path, case: dict) -> dict:
    """The case with the present hash of its mask, so that a mask corrected in the dataset gives another split."""
    mask = dataset / case["label"]
    return {**case, MASK_KEY: file_sha256(mask)} if mask.is_file() else case


def split_sha256(split: dict) -> str:
    """The hash that identifies a split, computed from its lists only."""
    unlabeled = {UNLABELED: split[UNLABELED]} if split.get(UNLABELED) else {}
    return sha256_of({**{key: split[key] for key in LISTS}, **unlabeled})


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
            # The patients go to the parts in turn, and each site goes on where the last one stopped. So the sizes of
            # the parts differ by one patient at most.
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
        lists[place[case["patient"]]].append(_item(case))
    return lists


def _unlabeled(entries: Sequence[dict], lists: dict[str, list[dict]]) -> list[dict]:
    """The cases without a mask, except those of patients who have validation or test cases."""
    held_out = {item["patient"] for key in HELD_OUT for item in lists[key]}
    free = [case for case in entries if not case["label"] and case["patient"] not in held_out]
    return [_item(case) for case in sorted(free, key=lambda case: case["case"])]


def _item(case: dict) -> dict:
    return {name: case[name] for name in ITEM_KEYS if case.get(name) is not None}


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
    unlabeled = {UNLABELED: lists[UNLABELED]} if lists[UNLABELED] else {}
    for key in LISTS:
        # A site with images and few or no masks may lack cases for some lists. It trains on the images that it has.
        if not lists[key] and not unlabeled:
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
    return {**split, "sha256": split_sha256(lists), **{key: lists[key] for key in LISTS}, **unlabeled}


def _refuse_another_split(path: Path, split: dict) -> None:
    former = read_json(path) if path.exists() else split
    # Images without masks may be added: no training case becomes a test case.
    if [former.get(key) for key in LISTS] == [split[key] for key in LISTS]:
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
    keys = [key for key in (*LISTS, UNLABELED) if key in split]
    sites = sorted({item["site"] for key in keys for item in split[key]})
    rows = [("site", *keys)]
    for site in sites:
        rows.append((site, *(str(sum(item["site"] == site for item in split[key])) for key in keys)))
    rows.append(("all", *(str(len(split[key])) for key in keys)))
    lines = [f"  {line}" for line in text_lines(rows)]
    return "\n".join([f"{split['name']} (sha256 {split['sha256'][:12]})", *lines])
