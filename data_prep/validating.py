"""List every fault of a dataset, or of a raw folder before import.

The exit code is 3 if there are findings. A folder with a dataset.json of this project is checked as a dataset with its
splits, any other folder as raw studies.
"""

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json
from custom_components.foundation.nifti import read_volume
from custom_components.foundation.split_lists import LISTS, UNLABELED
from data_prep import parallel, sources
from data_prep.checks import check_case, same_image_finding
from data_prep.dataset_file import read_dataset
from data_prep.files import voxel_sha256
from data_prep.findings import SOME_FINDINGS, Finding, findings_of
from data_prep.import_summary import print_notes
from data_prep.parallel import in_processes, lost_finding
from data_prep.sources.case import Listing, SourceCase
from data_prep.splitting import MASK_KEY, split_sha256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``validate``."""
    parser.add_argument("folder", type=Path, help="dataset, or raw folder")
    parser.add_argument("--json", action="store_true", help='print a list of {"file", "problem", "advice"}')
    parallel.add_arguments(parser)
    sources.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``validate`` from the command line."""
    jobs, limit_s = options.jobs, options.time_limit
    if is_dataset(options.folder):
        listing, findings = Listing(), validate_dataset(options.folder, jobs, limit_s)
    else:
        listing = sources.find_cases(options.folder, options.site, options.source, sources.options_of(options), jobs)
        findings = validate_raw(listing, jobs, limit_s)
    if options.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=1))
    else:
        print_notes(listing)
        for finding in findings:
            print(finding)
        print(f"{options.folder}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return SOME_FINDINGS if findings else 0


def is_dataset(folder: Path) -> bool:
    """Whether a folder has a ``dataset.json`` of this project.

    The Decathlon's file of this name has lists instead of cases.
    """
    path = folder / "dataset.json"
    return os.path.isfile(path) and "cases" in read_json(path)


def validate_raw(listing: Listing, jobs: int = 0, limit_s: float | None = None) -> list[Finding]:
    """The findings of raw studies: faults of files that make no case, faults of cases, and doubled images."""
    return listing.findings + _case_findings(listing.cases, jobs, limit_s)


def validate_dataset(dataset: Path, jobs: int = 0, limit_s: float | None = None) -> list[Finding]:
    """The findings of a canonical dataset: files that differ from ``dataset.json``, and faults of cases and splits.

    Raises:
        InputError: if ``dataset.json`` does not list the cases.
    """
    content = read_dataset(dataset)["cases"]
    entries = [_entry_case(dataset, entry) for entry in content]
    findings, readable = [], []
    for case, hashes in entries:
        findings += [fault for path, sha256 in hashes.items() if (fault := _file_finding(path, sha256))]
        if all(path.is_file() for path in hashes):
            readable.append(case)
    findings += _case_findings(readable, jobs, limit_s)
    known = {entry["case"]: entry for entry in content}
    for path in sorted((dataset / "splits").glob("*.json")):
        findings += _split_findings(path, known)
    return findings


def _entry_case(dataset: Path, entry: dict) -> tuple[SourceCase, dict[Path, str | None]]:
    hashes = {dataset / entry[kind]: entry.get(f"{kind}_sha256") for kind in ("image", "label") if entry[kind]}
    image, label = dataset / entry["image"], dataset / entry["label"] if entry["label"] else None
    case = SourceCase(
        site=entry["site"],
        name=entry["case"],
        patient=entry["patient"],
        source=entry["image"],
        image=image,
        label=label,
        files=tuple(hashes),
        read_image=partial(read_volume, image),
        read_label=partial(read_volume, label) if label else None,
    )
    return case, hashes


def _file_finding(path: Path, sha256: str | None) -> Finding | None:
    if not path.is_file():
        return Finding(str(path), "is named in dataset.json but missing", "restore it or import the dataset again")
    if file_sha256(path) != sha256:
        return Finding(str(path), "changed since dataset.json was written (sha256)", "restore it or import again")
    return None


def _case_findings(cases: Sequence[SourceCase], jobs: int, limit_s: float | None) -> list[Finding]:
    findings: list[Finding] = []
    same: list[Finding] = []
    first: dict[str, SourceCase] = {}
    results = in_processes(_check, cases, jobs, limit_s)
    for case, checked in tqdm(results, "checking", len(cases), unit="case", disable=None):
        own, digest = checked if isinstance(checked, tuple) else ([lost_finding(case.image, checked)], None)
        findings += own
        if digest and (twin := first.setdefault(digest, case)) is not case:
            same.append(same_image_finding(case.image, f"{twin.site}_{twin.name}"))
    return findings + same


def _check(case: SourceCase) -> tuple[list[Finding], str | None]:
    checked = check_case(case)
    return checked.findings, None if checked.image is None else voxel_sha256(checked.image.voxels)


def _split_findings(path: Path, known: dict[str, dict]) -> list[Finding]:
    try:
        split = read_json(path)
        findings = []
        if split_sha256(split) != split["sha256"]:
            findings.append(Finding(str(path), "no longer matches its sha256", "restore it or split again"))
        for what, key in (("patient", "patient"), ("image", "voxel_sha256")):
            findings += _shared_findings(path, split, what, key)
        items = {item["case"]: item for key in LISTS for item in split[key]}
        items |= {item["case"]: item for item in split.get(UNLABELED, [])}
        unknown = sorted(items.keys() - known)
        findings += [Finding(str(path), f"names {case}, unknown to dataset.json", "split again") for case in unknown]
        # A split of an earlier version has no hashes of masks.
        hashes = {case: known[case].get(MASK_KEY) for case in sorted(items.keys() & known) if MASK_KEY in items[case]}
        others = [case for case, sha256 in hashes.items() if items[case][MASK_KEY] != sha256]
        findings += [Finding(str(path), f"was made with another mask of {case}", "split again") for case in others]
        findings += _held_out_findings(path, split)
        return findings
    except InputError as error:
        return findings_of(error, path)
    except (KeyError, TypeError) as error:
        return [Finding(str(path), f"is not a split file (lacks {error})", "split again")]


def _shared_findings(path: Path, split: dict, what: str, key: str) -> list[Finding]:
    """The findings for a patient, or an image with two names, in two lists of one split."""
    findings = []
    seen: dict[str, tuple[str, str]] = {}
    for name in (*LISTS, UNLABELED):
        for item in split.get(name, []) if name == UNLABELED else split[name]:
            first_list, first_case = seen.setdefault(item[key], (name, item["case"]))
            # A patient may have images with and without a mask, and a training may use both.
            both_trained_on = {first_list, name} == {"training", UNLABELED} and key == "patient"
            if first_list != name and not both_trained_on:
                problem = f"has {item['case']} in {name}, of the same {what} as {first_case} in {first_list}"
                findings.append(Finding(str(path), problem, "keep a patient in one list: split again"))
    return findings


def _held_out_findings(path: Path, split: dict) -> list[Finding]:
    """The findings for training and validation cases of a group of sites that are test cases in all.json."""
    everything = path.with_name("all.json")
    if path == everything or not everything.is_file():
        return []
    tested = {item["voxel_sha256"] for item in read_json(everything)["test"]}
    learnt = [item for key in ("training", "validation", UNLABELED) for item in split.get(key, [])]
    return [
        Finding(str(path), f"learns from {item['case']}, which all.json tests on", "split again")
        for item in learnt
        if item["voxel_sha256"] in tested
    ]
