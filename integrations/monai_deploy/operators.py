"""The three operators of the application: select the series, segment it, write the results."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from monai.deploy.core import ConditionType, Fragment, Operator, OperatorSpec

from custom_components.foundation.nifti import Volume, read_volume
from data_prep.dicom import SeriesChoice, pick_series, read_series
from data_prep.dicom.result_files import write_results
from data_prep.dicom.results import Algorithm
from data_prep.volumes import write_volume


class SelectSeriesOperator(Operator):
    """Emits the axial T2w series of the only study below a folder, selected as in ``python -m data_prep import``."""

    def __init__(self, fragment: Fragment, *args, folder: Path, choice: SeriesChoice, **kwargs):
        self.folder = folder
        self.choice = choice
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.output("series")
        spec.output("image")

    def compute(self, op_input, op_output, context) -> None:
        series = pick_series(self.folder, self.choice, "look with 'python -m data_prep series', then ")
        print(f"series {series.name}")
        op_output.emit(series, "series")
        op_output.emit(read_series(series), "image")


class SegmentOperator(Operator):
    """Emits the mask of an image, by a ``student.onnx`` or a ``model.ts``."""

    def __init__(self, fragment: Fragment, *args, model_file: Path, **kwargs):
        self.model_file = model_file
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("image")
        spec.output("image")
        spec.output("mask")
        spec.output("student")

    def compute(self, op_input, op_output, context) -> None:
        image = op_input.receive("image")
        segment = _by_student if self.model_file.suffix == ".onnx" else _by_script
        mask, warning, student = segment(self.model_file, image)
        if warning:
            print(f"warning: {warning}")
        op_output.emit(image, "image")
        op_output.emit(mask, "mask")
        op_output.emit(student, "student")


def _by_student(model_file: Path, image: Volume) -> tuple[np.ndarray, str | None, Any]:
    """The mask by the code of the runner, without MONAI."""
    from student_runner.student import Student
    from student_runner.studies import segment_series

    student = Student(model_file)
    segmented = segment_series(student, image)
    return segmented.mask, segmented.warning, student


def _by_script(model_file: Path, image: Volume) -> tuple[np.ndarray, str | None, Any]:
    """The mask of a bundle that has no ``student.onnx``, because it has other steps than the shipped bundles."""
    from custom_components.bundle.segmenting import Segmenting, open_exported

    student = open_exported(model_file)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "image.nii.gz")
        write_volume(file, image)
        segmented = Segmenting(student, Path(folder))(file)
        return read_volume(segmented.mask).voxels, segmented.warning, student


class WriteResultsOperator(Operator):
    """Writes SEG, report and picture into a folder; if one cannot be written, none is written."""

    def __init__(self, fragment: Fragment, *args, folder: Path, psa_ng_per_ml: float | None, **kwargs):
        self.folder = folder
        self.psa_ng_per_ml = psa_ng_per_ml
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        for name in ("series", "image", "mask", "student"):
            spec.input(name).condition(ConditionType.MESSAGE_AVAILABLE, min_size=1)

    def compute(self, op_input, op_output, context) -> None:
        series, image, mask, student = (op_input.receive(name) for name in ("series", "image", "mask", "student"))
        algorithm = Algorithm(student.name, student.version)
        print(write_results(mask, series, image, algorithm, self.psa_ng_per_ml, self.folder))
