"""List every fault of a dataset, or of a raw folder before import.

Exit code 3 when there are findings. A folder with a dataset.json of this project is checked as a dataset with its
splits, any other as raw studies.
"""

import argparse
import json
from functools import partial
from pathlib import Path

from tqdm import tqdm

from custom_components.errors import InputError
from custom_components.files import file_sha256, read_json
from data_prep import sources
from data_prep.checks import check_case, crash_finding, same_image_finding
from data_prep.files import voxel_sha256
from data_prep.findings import SOME_FINDINGS, Finding, findings_of
from data_prep.import_summary import print_notes
from data_prep.parallel import available_cores, in_processes
from data_prep.sources.case import Listing, SourceCase
from data_prep.splitting import LISTS, split_sha256
from data_prep.volumes import read_volume


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``validate``."""
    parser.add_argument("folder", type=Path, help="dataset, or raw folder")
    parser.add_argument("--json", action="store_true", help='print a list of {"file", "problem", "advice"}')
    parser.add_argument("--jobs", type=int, default=available_cores(), metavar="N", help="worker processes")
    sources.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``validate`` from the command line."""
    jobs = max(1, options.jobs)
    if is_dataset(options.folder):
        findings, notes = validate_dataset(options.folder, jobs), []
    else:
        listing = sources.find_cases(options.folder, options.site, options.source, sources.options_of(options))
        findings, notes = validate_raw(listing, jobs), listing.notes
    if options.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=1, ensure_ascii=False))
    else:
        print_notes(notes)
        for finding in findings:
            print(finding)
        print(f"{options.folder}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return SOME_FINDINGS if findings else 0


def is_dataset(folder: Path) -> bool:
    """Whether a folder's ``dataset.json`` is this project's; Decathlon's has lists instead of cases."""
    path = folder / "dataset.json"
    return path.is_file() and "cases" in read_json(path)


def validate_raw(listing: Listing, jobs: int = 1) -> list[Finding]:
    """Findings of raw studies: files that make no case, cases, and images that are there twice."""
    return listing.findings + _case_findings(listing.cases, jobs)


def validate_dataset(dataset: Path, jobs: int = 1) -> list[Finding]:
    """Findings of a canonical dataset: files against ``dataset.json``, cases, and splits.

    Raises:
        InputError: when ``dataset.json`` does not tell the cases.
    """
    try:
        entries = [_entry_case(dataset, entry) for entry in read_json(dataset / "dataset.json")["cases"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{dataset / 'dataset.json'}: lacks {error}; import the dataset again") from error
    findings, readable = [], []
    for case, hashes in entries:
        findings += [fault for path, sha256 in hashes.items() if (fault := _file_finding(path, sha256))]
        if all(path.is_file() for path in hashes):
            readable.append(case)
    findings += _case_findings(readable, jobs)
    known = {case.name for case, _ in entries}
    for path in sorted((dataset / "splits").glob("*.json")):
        findings += _split_findings(path, known)
    return findings


def _entry_case(dataset: Path, entry: dict) -> tuple[SourceCase, dict[Path, str]]:
    hashes = {dataset / entry[kind]: entry[f"{kind}_sha256"] for kind in ("image", "label") if entry[kind]}
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


def _file_finding(path: Path, sha256: str) -> Finding | None:
    if not path.is_file():
        return Finding(str(path), "is named in dataset.json but missing", "restore it or import the dataset again")
    if file_sha256(path) != sha256:
        return Finding(str(path), "changed since dataset.json was written (sha256)", "restore it or import again")
    return None


def _case_findings(cases: list[SourceCase], jobs: int) -> list[Finding]:
    findings: list[Finding] = []
    same: list[Finding] = []
    first: dict[str, SourceCase] = {}
    results = in_processes(_check, cases, jobs)
    for case, checked in tqdm(results, "checking", len(cases), unit="case", disable=None):
        own, digest = checked or ([crash_finding(case.image)], None)
        findings += own
        if digest and (twin := first.setdefault(digest, case)) is not case:
            same.append(same_image_finding(case.image, f"{twin.site}_{twin.name}"))
    return findings + same


def _check(case: SourceCase) -> tuple[list[Finding], str | None]:
    checked = check_case(case)
    return checked.findings, None if checked.image is None else voxel_sha256(checked.image.voxels)


def _split_findings(path: Path, known: set[str]) -> list[Finding]:
    try:
        split = read_json(path)
        findings = []
        if split_sha256(split) != split["sha256"]:
            findings.append(Finding(str(path), "no longer matches its sha256", "restore it or split again"))
        for what, key in (("patient", "patient"), ("image", "voxel_sha256")):
            findings += _shared_findings(path, split, what, key)
        unknown = sorted({item["case"] for key in LISTS for item in split[key]} - known)
        findings += [Finding(str(path), f"names {case}, unknown to dataset.json", "split again") for case in unknown]
        findings += _held_out_findings(path, split)
        return findings
    except InputError as error:
        return findings_of(error, [path])
    except (KeyError, TypeError) as error:
        return [Finding(str(path), f"is not a split file (lacks {error})", "split again")]


def _shared_findings(path: Path, split: dict, what: str, key: str) -> list[Finding]:
    """A patient, or the same image under two names, in two lists of one split."""
    findings = []
    seen: dict[str, tuple[str, str]] = {}
    for name in LISTS:
        for item in split[name]:
            first_list, first_case = seen.setdefault(item[key], (name, item["case"]))
            if first_list != name:
                problem = f"has {item['case']} in {name}, of the same {what} as {first_case} in {first_list}"
                findings.append(Finding(str(path), problem, "keep a patient in one list: split again"))
    return findings


def _held_out_findings(path: Path, split: dict) -> list[Finding]:
    """Cases that a group of sites learns from although all.json tests on them."""
    everything = path.with_name("all.json")
    if path == everything or not everything.is_file():
        return []
    tested = {item["voxel_sha256"] for item in read_json(everything)["test"]}
    learnt = [item for key in ("training", "validation") for item in split[key]]
    return [
        Finding(str(path), f"learns from {item['case']}, which all.json tests on", "split again")
        for item in learnt
        if item["voxel_sha256"] in tested
    ]
