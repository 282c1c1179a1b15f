"""List every fault of a dataset, or of a raw folder before import.

Exit code 1 when there are findings. A folder with dataset.json is checked as a dataset with its splits, any other as
the released layout.
"""

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from custom_components.errors import InputError
from custom_components.files import file_sha256, read_json
from data_prep.checks import check_case, same_image_findings
from data_prep.findings import Finding
from data_prep.importing import SOURCE_LABELS
from data_prep.sources import multi_site
from data_prep.sources.case import SourceCase
from data_prep.splitting import LISTS, split_sha256

DATASET_LABELS = {0, 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``validate``."""
    parser.add_argument("folder", type=Path, help="dataset, or raw folder in the released layout")
    parser.add_argument("--json", action="store_true", help='print a list of {"file", "problem", "advice"}')


def run(options: argparse.Namespace) -> int:
    """Run ``validate`` from the command line."""
    findings = validate(options.folder)
    if options.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            print(finding)
        print(f"{options.folder}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return 1 if findings else 0


def validate(folder: Path) -> list[Finding]:
    """Check a dataset or a raw folder.

    Raises:
        InputError: when there is no case to check at all.
    """
    return validate_dataset(folder) if (folder / "dataset.json").is_file() else validate_raw(folder)


def validate_raw(folder: Path) -> list[Finding]:
    """Findings of a folder in the released layout: files, cases, and images that are there twice."""
    listing = multi_site.find_cases(folder)
    return listing.findings + _case_findings(listing.cases, SOURCE_LABELS)


def validate_dataset(dataset: Path) -> list[Finding]:
    """Findings of a canonical dataset: files against ``dataset.json``, cases, and splits."""
    try:
        entries = [_entry_case(dataset, entry) for entry in read_json(dataset / "dataset.json")["cases"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{dataset / 'dataset.json'}: lacks {error}; import the dataset again") from error
    findings, readable = [], []
    for case, hashes in entries:
        faults = [fault for path, sha256 in hashes.items() if (fault := _file_finding(path, sha256))]
        findings += faults
        if all(path.is_file() for path in hashes):
            readable.append(case)
    findings += _case_findings(readable, DATASET_LABELS)
    known = {case.case for case, _ in entries}
    for path in sorted((dataset / "splits").glob("*.json")):
        findings += _split_findings(path, known)
    return findings


def _entry_case(dataset: Path, entry: dict) -> tuple[SourceCase, dict[Path, str]]:
    image, label = dataset / entry["image"], dataset / entry["label"]
    name = entry["case"].removeprefix(entry["site"] + "_")
    case = SourceCase(entry["site"], name, entry["patient"], entry["source"], image, label)
    return case, {image: entry["image_sha256"], label: entry["label_sha256"]}


def _file_finding(path: Path, sha256: str) -> Finding | None:
    if not path.is_file():
        return Finding(str(path), "is named in dataset.json but missing", "restore it or import the dataset again")
    if file_sha256(path) != sha256:
        return Finding(str(path), "changed since dataset.json was written (sha256)", "restore it or import again")
    return None


def _case_findings(cases: list[SourceCase], labels: set[int]) -> list[Finding]:
    checked = {case.image: check_case(case, labels) for case in tqdm(cases, "checking", unit="case", disable=None)}
    findings = [finding for check in checked.values() for finding in check.findings]
    return findings + same_image_findings({image: check.voxel_sha256 for image, check in checked.items()})


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
        return [Finding.from_error(error)]
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
