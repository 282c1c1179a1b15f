"""Segment a DICOM study and write SEG, report and picture."""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume, is_nifti_name
from student_runner.student import Student, StudentMask

try:
    from data_prep.dicom import SeriesChoice, pick_series, read_series
except ModuleNotFoundError as error:
    package = (error.name or "").partition(".")[0]
    raise InputError(
        f"a DICOM study needs the package {package}; install it with the runner: pip install './runner[dicom]'"
    ) from error


def segment_study(
    student: Student, folder: Path, out: Path, series: str | None, tie: str | None, psa: str | None
) -> None:
    """Segment the axial T2w series of the only study below a folder.

    Args:
        student: the opened student.
        folder: tree of DICOM files.
        out: folder of the results.
        series: regular expression for description or UID, or None.
        tie: the choice between several series, or None.
        psa: serum PSA in ng/ml, or None.

    Raises:
        InputError: if there is not exactly one such series, if the student finds no prostate, or if an option is wrong.
    """
    if is_nifti_name(out):
        raise InputError("is the name of a NIfTI", out, "a study becomes DICOM files; give a folder")
    choice = SeriesChoice(series, tie)
    psa_ng_per_ml = None
    if psa is not None:
        # This module imports highdicom, which takes long. Without a PSA it is imported later, so that an error in the
        # study is shown sooner.
        from data_prep.dicom.result_files import read_psa

        psa_ng_per_ml = read_psa(psa, "--psa ")
    picked = pick_series(folder, choice)
    print(f"series {picked.name}")
    image = read_series(picked)
    segmented = segment_series(student, image)
    if segmented.warning:
        print(f"warning: {segmented.warning}", file=sys.stderr)
    from data_prep.dicom.result_files import write_results
    from data_prep.dicom.results import Algorithm

    algorithm = Algorithm(student.name, student.version)
    print(write_results(segmented.mask, picked, image, algorithm, psa_ng_per_ml, out))


def segment_series(student: Student, image: Volume) -> StudentMask:
    """Segment the volume of a DICOM series.

    Other programs segment the series from a NIfTI, whose header has single precision. So this function rounds alike.

    Args:
        student: the opened student.
        image: from ``read_series``.
    """
    affine = image.affine.astype(np.float32).astype(np.float64)
    return student.segment(dataclasses.replace(image, affine=affine))
