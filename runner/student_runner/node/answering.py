"""Makes the answer to one study, in a process of its own: ``python -m student_runner.node.answering``.

The process reads one job (JSON) from stdin. It writes the results and ``outcome.json`` into a new folder. It prints
nothing of a study: after an unexpected error it prints the class of the error and the lines of the program only.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError, line_for
from custom_components.foundation.files import read_json, write_json
from data_prep.dicom import Series, SeriesChoice, read_series, scan_folder, select_series
from data_prep.dicom.answers import prostate_picture, refusal_report
from data_prep.dicom.derived import deriving_from
from data_prep.dicom.headers import quietly, read_dataset
from data_prep.dicom.result_files import PICTURE_FILE, REPORT_FILE, SEG_FILE, write_results
from data_prep.dicom.results import Algorithm
from student_runner.node.job import NO_ROOM_CODE, OUTCOME, REFUSED, SEGMENTED, UNCHANGED, AnsweringJob
from student_runner.node.names import Names
from student_runner.student import Student
from student_runner.studies import segment_series

PICTURE_FOR_PACS = "prostate_picture.dcm"
# The reasons of refusals: the word of the log and the metrics, and the sentence of the report.
REASONS = {
    "no-axial-t2w": "the study has no axial T2w series",
    "several-axial-t2w": "the study has several axial T2w series",
    "no-prostate": "no prostate was found",
    "window-edge": "the prostate reaches the edge of the window that the network sees",
    "damaged": "an image of the study is damaged or missing",
    "incomplete": "a part of the study was answered before and is removed here, send the whole study again",
    "failed": "the segmentation failed",
}
PR_SET_PDEATHSIG = 1
KILLED_FIRST = "1000"


class RefusedStudyError(Exception):
    """A study that cannot be segmented, for one of ``REASONS``."""


class Unchanged(Exception):  # noqa: N818 - no error: the former answer stays right
    """The new images do not change the former answer."""


@dataclass
class Found:
    """The series of a study, those that fit, and the one to segment."""

    names: Names
    all_series: Sequence[Series]
    fitting: Sequence[Series]
    picked: Series | None

    def series_names(self, series: Sequence[Series]) -> list[str]:
        """The keyed hashes of series."""
        return sorted({self.names.series(one.first.series_uid) for one in series})


def main() -> int:
    """Do one job; the exit code is 0 if there is an outcome."""
    job = AnsweringJob(**json.load(sys.stdin))
    # If the node is killed, this process must end too: it would write into the folder that the next node works on.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != job.node:
        return 1
    # If memory runs out, the system kills this process and not the node.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)
    try:
        student = Student(Path(job.student))
        SeriesChoice(job.series, job.tie, ("study.series", "study.tie"))
        if job.images:
            _answer(job, student)
    except Exception as error:
        if _is_no_room(error):
            return NO_ROOM_CODE
        line = line_for(error)
        if line is not None and not job.images:
            print(line, file=sys.stderr)
        else:
            frames = traceback.extract_tb(error.__traceback__)
            places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
            print(f"{type(error).__name__} at {places}", file=sys.stderr)
        return 1
    return 0


def _is_no_room(error: BaseException | None) -> bool:
    while error is not None and not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        error = error.__cause__ or error.__context__
    return error is not None


def _answer(job: AnsweringJob, student: Student) -> None:
    out = Path(job.out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(mode=0o700)
    images = Path(job.images)
    record = read_json(job.record) if job.record else None
    algorithm = Algorithm(student.name, student.version)
    found = None
    outcome = {"answer": SEGMENTED, "reason": ""}
    try:
        found = _find(job, images)
        if job.refuse:
            raise RefusedStudyError(job.refuse)
        series = _pick(found, record, {path.name for path in images.iterdir()})
        _segment(job, student, algorithm, series, out)
    except Unchanged as error:
        outcome = {"answer": UNCHANGED, "reason": str(error)}
    except RefusedStudyError as error:
        outcome = {"answer": REFUSED, "reason": str(error)}
        if job.report_refusals:
            _refuse(str(error), images, algorithm, out)
    outcome["images"] = sorted(path.name for path in images.iterdir())
    outcome["series"] = found.series_names(found.all_series) if found else []
    outcome["fitting"] = found.series_names(found.fitting) if found else []
    documents = {path.name: _uids(path) for path in sorted(out.glob("*.dcm"))}
    if REPORT_FILE in documents:
        documents[REPORT_FILE]["replaced"] = _refer_to_former(out / REPORT_FILE, record)
    outcome["documents"] = documents
    write_json(out / OUTCOME, outcome)
    for path in (*out.iterdir(), out):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _find(job: AnsweringJob, images: Path) -> Found:
    scan = scan_folder(images)
    if scan.findings or scan.others:
        raise RefusedStudyError("damaged")
    series = [one for study in scan.studies for one in study.series]
    selection = select_series(series, SeriesChoice(job.series, job.tie))
    return Found(Names(Path(job.key)), series, selection.fitting, selection.picked)


def _pick(found: Found, record: dict | None, here: set[str]) -> Series:
    """The series to segment.

    The images of a former answer are removed. So the new images alone are enough only if the former ones could not
    change the choice.
    """
    known = set(record["images"]) if record else set()
    if known - here:
        if not here - known:
            raise Unchanged("sent-again")
        if not found.fitting:
            raise Unchanged("no-new-axial-t2w")
        if record["fitting"] or set(found.series_names(found.fitting)) & set(record["series"]):
            raise RefusedStudyError("incomplete")
    if found.picked is None:
        raise RefusedStudyError("several-axial-t2w" if found.fitting else "no-axial-t2w")
    return found.picked


def _segment(job: AnsweringJob, student: Student, algorithm: Algorithm, series: Series, out: Path) -> None:
    try:
        image = read_series(series)
        segmented = segment_series(student, image)
        if not segmented.mask.any():
            raise RefusedStudyError("no-prostate")
        if segmented.warning:
            raise RefusedStudyError("window-edge")
        write_results(segmented.mask, series, image, algorithm, None, out)
    except InputError as error:
        raise RefusedStudyError("damaged") from error
    if job.picture:
        seg, source = pydicom.dcmread(out / SEG_FILE), read_dataset(series.files[0])
        with deriving_from(series):
            picture = prostate_picture(np.asarray(Image.open(out / PICTURE_FILE)), seg, source)
        picture.save_as(out / PICTURE_FOR_PACS)
    (out / PICTURE_FILE).unlink()


def _refuse(reason: str, images: Path, algorithm: Algorithm, out: Path) -> None:
    with quietly():
        headers = [read_dataset(path) for path in sorted(images.iterdir())]
        if headers:
            refusal_report(REASONS[reason], headers, algorithm).save_as(out / REPORT_FILE)


def _refer_to_former(report: Path, record: dict | None) -> dict[str, str] | None:
    """Write into a report which former report of the study it replaces, and return the UIDs of that one."""
    former = record["documents"].get(REPORT_FILE) if record else None
    document = pydicom.dcmread(report)
    if former and former["SOPInstanceUID"] == document.SOPInstanceUID:  # the same study was sent again
        former = former["replaced"]
    if former:
        instance, series, study = Dataset(), Dataset(), Dataset()
        instance.ReferencedSOPClassUID = former["SOPClassUID"]
        instance.ReferencedSOPInstanceUID = former["SOPInstanceUID"]
        series.SeriesInstanceUID, series.ReferencedSOPSequence = former["SeriesInstanceUID"], [instance]
        study.StudyInstanceUID, study.ReferencedSeriesSequence = document.StudyInstanceUID, [series]
        document.PredecessorDocumentsSequence = [study]
        document.save_as(report)
    return former


def _uids(path: Path) -> dict[str, str]:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return {keyword: str(header[keyword].value) for keyword in ("SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")}


if __name__ == "__main__":
    sys.exit(main())
