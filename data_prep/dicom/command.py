"""Show the series of DICOM studies: which series is the axial T2w one, and why the others are not.

An arrow marks the picked series. The exit code is 3 if a study has no axial T2w series or several, or if a file is
damaged.
"""

import argparse
import sys
from pathlib import Path

from custom_components.foundation.errors import InputError
from data_prep.dicom.selection import TIES, SeriesChoice, select_series
from data_prep.dicom.series import scan_folder
from data_prep.findings import SOME_FINDINGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``series``."""
    parser.add_argument("folder", type=Path, help="folder tree of DICOM studies")
    parser.add_argument("--series", metavar="REGEX", help="only series of this description or UID")
    parser.add_argument("--tie", choices=TIES, help="choice between several series that fit")


def run(options: argparse.Namespace) -> int:
    """Run ``series`` from the command line."""
    choice = SeriesChoice(options.series, options.tie)
    scan = scan_folder(options.folder)
    if not scan.studies and not scan.findings:
        raise InputError(f"{options.folder}: holds no DICOM image; check the path")
    problems = [str(finding) for finding in scan.findings]
    for study in scan.studies:
        selection = select_series(study.series, choice)
        print(study.patient_id or "no patient id", study.uid)
        width = max(len(series.name) for series in study.series)
        for series, reason in selection.reasons:
            # Series with the same description differ only in their UID.
            uid = f"  {series.first.series_uid}" if selection.problem else ""
            print(f"{'->' if series is selection.picked else '  '} {series.name:{width}}  {reason}{uid}")
        if selection.problem:
            problems.append(f"{study.patient_id}: {selection.problem}; {choice.advice}")
    studies = "1 study" if len(scan.studies) == 1 else f"{len(scan.studies)} studies"
    found = "1 problem" if len(problems) == 1 else f"{len(problems) or 'no'} problems"
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{options.folder}: {studies}, {found}")
    return SOME_FINDINGS if problems else 0
