"""The three operators of the application: select the series, segment it, write the results."""

import os
import tempfile
from pathlib import Path

from monai.deploy.core import ConditionType, Fragment, Operator, OperatorSpec
from overlay import overlay
from PIL import Image

from custom_components.bundle.segmenting import Segmenting, open_exported
from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import read_volume, voxel_mm3
from data_prep.dicom import SeriesChoice, Study, read_series, scan_folder, select_series
from data_prep.dicom.derived import deriving_from, read_source_images
from data_prep.dicom.results import Algorithm, prostate_seg, volume_report
from data_prep.volumes import write_volume

MM3_PER_ML = 1000
SEG_FILE, REPORT_FILE, PICTURE_FILE = "prostate_seg.dcm", "prostate_report.dcm", "prostate.png"


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
        study = self._only_study()
        selection = select_series(study.series, self.choice)
        if selection.problem:
            advice = f"look with 'python -m data_prep series', then {self.choice.advice}"
            raise InputError(f"{self.folder}: its study {selection.problem}; {advice}")
        print(f"series {selection.picked.name}")
        op_output.emit(selection.picked, "series")
        op_output.emit(read_series(selection.picked), "image")

    def _only_study(self) -> Study:
        scan = scan_folder(self.folder)
        if scan.findings:
            raise InputError(str(scan.findings[0]))
        if not scan.studies:
            raise InputError(f"{self.folder}: holds no DICOM image; check the path")
        if len(scan.studies) > 1:
            raise InputError(f"{self.folder}: holds {len(scan.studies)} studies; give the folder of one")
        return scan.studies[0]


class SegmentOperator(Operator):
    """Emits the mask of an image."""

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
        student = open_exported(self.model_file)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "image.nii.gz")
            write_volume(file, image)
            segmented = Segmenting(student, Path(folder))(file)
            mask = read_volume(segmented.mask).voxels
        if segmented.warning:
            print(f"warning: {segmented.warning}")
        op_output.emit(image, "image")
        op_output.emit(mask, "mask")
        op_output.emit(student, "student")


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
        if not mask.any():
            raise InputError(f"{series.files[0]}: {student.name} found no prostate in its series; nothing was written")
        volume_ml = float(mask.sum()) * voxel_mm3(image.affine) / MM3_PER_ML
        algorithm = Algorithm(student.name, student.version)
        with deriving_from(series):
            sources = read_source_images(series)
            seg = prostate_seg(mask, series, sources, algorithm)
            report = volume_report(volume_ml, self.psa_ng_per_ml, seg, sources, algorithm)

        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial_", dir=self.folder) as partial:
            seg.save_as(Path(partial, SEG_FILE))
            report.save_as(Path(partial, REPORT_FILE))
            Image.fromarray(overlay(image.voxels, mask)).save(Path(partial, PICTURE_FILE))
            for path in sorted(Path(partial).iterdir()):
                os.replace(path, self.folder / path.name)
        density = "" if self.psa_ng_per_ml is None else f", PSA density {self.psa_ng_per_ml / volume_ml:.3f} ng/ml/cm3"
        print(f"prostate {volume_ml:.1f} ml{density}; SEG, report and picture in {self.folder}")
