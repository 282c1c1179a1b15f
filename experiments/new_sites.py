"""The splits of a study in which each site in turn is a new site: teachers of the other sites, few masks of its own."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.split_lists import LISTS, UNLABELED
from data_prep.splitting import MASK_KEY, split_sha256

ALL = "all"  # the value of ``masks`` of a student that has the masks of all its cases
ALL_OTHERS = "all_others"  # the value of a plan's ``taught_by``: one teacher of all sites but the new one


def fold_names(sites: Sequence[str], parts: int) -> tuple[str, ...]:
    """The folds: every new site with every part of its cases as the test cases, such as ``UCL-1``."""
    return tuple(f"{site}-{part}" for site in sites for part in range(1, parts + 1))


def site_of(fold: str) -> str:
    """The new site of a fold."""
    return fold.rpartition("-")[0]


def training_cases(cases: int, part: int, parts: int) -> int:
    """The number of a site's cases that are not in the given test part, if every patient has one case."""
    return cases - len(range(part - 1, cases, parts))


def new_site_splits(
    items: Sequence[Mapping[str, Any]],
    new_sites: Sequence[str],
    parts: int,
    masks: Sequence[int],
    seed: int,
    groups: Sequence[Sequence[str]] = (),
) -> dict[Path, dict[str, Any]]:
    """All split files of the study, by their path below the folder of splits.

    ``<site>.json`` is for the teacher of a site, ``<site>+<site>.json`` for the teacher of a group: all its cases are
    for training, and the cases of the new sites other than its own are test cases. ``<site>-<part>/all.json`` is for
    the students at a new site: one part of its patients has the test cases, the others are for training.
    ``masks<m>.json`` in the same folder keeps the masks of the first m training cases and lists the other training
    cases as unlabeled. There are no validation cases: a site with one mask has none to spare, so every training keeps
    its last epoch.

    Args:
        items: the cases with masks, as items of a split.
        new_sites: the sites that are new in turn.
        parts: the number of parts of each site's patients.
        masks: the numbers m.
        seed: decides the order of the patients.
        groups: the sites of each teacher; by default each site has one.

    Raises:
        InputError: if a new site has too few patients, or fewer training cases than a number of masks.
    """
    by_site: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        by_site.setdefault(item["site"], []).append(item)
    splits = {}
    for group in groups or [[site] for site in by_site]:
        others = [item for new in new_sites if new not in group for item in by_site[new]]
        known = {item["patient"] for item in others}
        training = [item for site in group for item in by_site[site] if item["patient"] not in known]
        name = "+".join(group)
        splits[Path(f"{name}.json")] = _split(name, seed, training, others)
    for site in new_sites:
        patients = sorted({item["patient"] for item in by_site[site]})
        if len(patients) < 2 * parts:
            raise InputError(f"{site} has {len(patients)} patients with masks; a new site in {parts} parts needs more")
        random.Random(f"{seed} {site}").shuffle(patients)
        for part in range(1, parts + 1):
            tested = patients[part - 1 :: parts]
            training = [item for one in patients if one not in tested for item in _of(one, by_site[site])]
            test = [item for one in sorted(tested) for item in _of(one, by_site[site])]
            fold = Path(f"{site}-{part}")
            splits[fold / "all.json"] = _split(ALL, seed, training, test)
            for count in (count for count in masks if count < len(training)):
                own = _split(f"masks{count}", seed, training[:count], test, training[count:])
                splits[fold / f"masks{count}.json"] = own
    return splits


def _of(patient: str, items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [item for item in items if item["patient"] == patient]


def _split(
    name: str,
    seed: int,
    training: Sequence[Mapping[str, Any]],
    test: Sequence[Mapping[str, Any]],
    unlabeled: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    without = [{key: value for key, value in item.items() if key not in ("label", MASK_KEY)} for item in unlabeled]
    lists = {**dict(zip(LISTS, ([*training], [], [*test]), strict=True)), **({UNLABELED: without} if without else {})}
    return {
        "name": name,
        "modality": {"0": "T2w"},
        "labels": {"0": "background", "1": "prostate"},
        "seed": seed,
        "sites": sorted({item["site"] for item in (*training, *unlabeled)}),
        "sha256": split_sha256(lists),
        **lists,
    }
