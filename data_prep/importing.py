"""Bring the raw studies of several sites into one canonical dataset.

The folder must be in the released layout, <SITE>/CaseNN.nii.gz with CaseNN_segmentation.nii.gz. Every case is checked
before anything is written; the dataset appears whole or not at all.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from custom_components.errors import InputError
from custom_components.files import file_sha256, write_json
from data_prep.checks import CheckedCase, check_case, same_image_findings
from data_prep.files import new_folder, require_new_folder
from data_prep.sources import multi_site
from data_prep.sources.case import Listing, SourceCase
from data_prep.volumes import Volume, write_volume

# 1 and 2 are the zones that two of the released sites tell apart; the prostate is both.
SOURCE_LABELS = {0, 1, 2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``import``."""
    parser.add_argument("folder", type=Path, help="raw folder: <SITE>/CaseNN.nii.gz, CaseNN_segmentation.nii.gz")
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET", help="dataset folder to make")


def run(options: argparse.Namespace) -> int:
    """Run ``import`` from the command line."""
    import_dataset(options.folder, options.out)
    return 0


def import_dataset(folder: Path, dataset: Path) -> None:
    """Write the canonical dataset of a raw folder: ``images/``, ``labels/`` and ``dataset.json``.

    Images keep their voxels and type, masks become uint8 0/1, headers keep the affine and lose all text.

    Raises:
        InputError: with one line for each faulty file, when any case is faulty; nothing is written then.
    """
    require_new_folder(dataset)
    listing = multi_site.find_cases(folder)
    checked = _check(listing, folder)
    with new_folder(dataset) as partial:
        (partial / "images").mkdir()
        (partial / "labels").mkdir()
        progress = tqdm(
            zip(listing.cases, checked, strict=True), "writing", len(listing.cases), unit="case", disable=None
        )
        entries = [_write_case(case, check, partial) for case, check in progress]
        write_json(partial / "dataset.json", {"name": dataset.name, "cases": entries})
    _tell(listing, checked, folder)
    print(f"{dataset}: {len(entries)} cases of {len({case.site for case in listing.cases})} sites")


def _check(listing: Listing, folder: Path) -> list[CheckedCase]:
    checked = [check_case(case, SOURCE_LABELS) for case in tqdm(listing.cases, "checking", unit="case", disable=None)]
    findings = listing.findings + [finding for check in checked for finding in check.findings]
    hashes = {case.image: check.voxel_sha256 for case, check in zip(listing.cases, checked, strict=True)}
    findings += same_image_findings(hashes)
    if findings:
        lines = [str(finding) for finding in findings]
        raise InputError(
            "\n".join([*lines, f"{folder}: {len(lines)} findings in {len(checked)} cases; nothing was written"])
        )
    return checked


def _write_case(case: SourceCase, check: CheckedCase, dataset: Path) -> dict:
    image, label = case.read_image(), case.read_label()
    image_name, label_name = f"images/{case.case}.nii.gz", f"labels/{case.case}.nii.gz"
    write_volume(dataset / image_name, image)
    # The mask takes the image's affine: the two agree within a thousandth of a mm, from here on exactly.
    write_volume(dataset / label_name, Volume((label.voxels > 0).astype(np.uint8), image.affine))
    return {
        "case": case.case,
        "site": case.site,
        "patient": case.patient,
        "image": image_name,
        "label": label_name,
        "shape": list(image.voxels.shape),
        "spacing_mm": image.spacing_mm,
        "image_sha256": file_sha256(dataset / image_name),
        "label_sha256": file_sha256(dataset / label_name),
        "voxel_sha256": check.voxel_sha256,
        "source": case.source,
    }


def _tell(listing: Listing, checked: list[CheckedCase], folder: Path) -> None:
    merged: dict[str, list[bool]] = {}
    for case, check in zip(listing.cases, checked, strict=True):
        merged.setdefault(case.site, []).append(2 in check.labels)
    for site, cases in merged.items():
        if any(cases):
            print(f"{site}: labels 1 and 2 merged into one prostate label in {sum(cases)} of {len(cases)} cases")
    if listing.ignored:
        example = listing.ignored[0].relative_to(folder).as_posix()
        print(f"ignored as neither image nor mask: {len(listing.ignored)}, such as {example}")
