"""The chain of operators from a DICOM study to a DICOM SEG of the prostate, a report of its volume, and a picture."""

import os
import tempfile
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application
from operators import SegmentOperator, SelectSeriesOperator, WriteResultsOperator

from custom_components.foundation.errors import InputError
from data_prep.dicom import SeriesChoice
from data_prep.dicom.result_files import REPORT_FILE, SEG_FILE, read_psa

MODEL_FILES = ("student.onnx", "model.ts")


def segment_study() -> None:
    """Segment the study that HOLOSCAN_INPUT_PATH names: a folder, or a study in a PACS. The PACS then gets the results.

    Raises:
        InputError: if there is nothing to segment, or the PACS cannot be reached.
    """
    source = os.environ.get("HOLOSCAN_INPUT_PATH", "")
    if "://" not in source:
        ProstateSegmentation().run()
        return
    from pacs import PacsStudy  # imported here because it takes half a second, and a study in a folder does not need it

    study = PacsStudy(source)
    with tempfile.TemporaryDirectory() as folder:
        study.pull(Path(folder))
        application = ProstateSegmentation(Path(folder))
        try:
            application.run()
        except InputError as error:
            raise InputError(str(error).replace(folder, f"{study.url}/instances")) from error
    # The SEG comes first, because the report refers to it.
    study.store([application.results / name for name in (SEG_FILE, REPORT_FILE)])
    print(f"SEG and report stored in {study.url}")


class ProstateSegmentation(Application):
    """The application.

    Its folders come from ``-i -o -m`` or from HOLOSCAN_INPUT_PATH, HOLOSCAN_OUTPUT_PATH and HOLOSCAN_MODEL_PATH. The
    serum PSA in ng/ml comes from the variable PSA. The variables SERIES and TIE choose between several axial T2w
    series, as ``--series`` and ``--tie`` do in the import.

    Args:
        study: folder that replaces the input folder.
    """

    def __init__(self, study: Path | None = None):
        self.study = study
        super().__init__()

    def compose(self) -> None:
        program, *arguments = self.argv
        # The SDK's default level logs each step. A level that the user gives is set later and replaces this one.
        context = Application.init_app_context([program, "--log-level", "ERROR", *arguments])
        study, self.results = self.study or Path(context.input_path), Path(context.output_path)
        model_file = _model_file(Path(context.model_path))
        if not study.is_dir():
            raise InputError(f"{study}: no such folder")
        psa = os.environ.get("PSA")
        psa_ng_per_ml = read_psa(psa, "PSA=") if psa else None
        # Without a count, an operator without input runs forever.
        once = CountCondition(self, 1)
        select = SelectSeriesOperator(self, once, name="select", folder=study, choice=SeriesChoice.from_environment())
        segment = SegmentOperator(self, name="segment", model_file=model_file)
        write = WriteResultsOperator(self, name="write", folder=self.results, psa_ng_per_ml=psa_ng_per_ml)
        self.add_flow(select, segment, {("image", "image")})
        self.add_flow(select, write, {("series", "series")})
        self.add_flow(segment, write, {("image", "image"), ("mask", "mask"), ("student", "student")})


def _model_file(path: Path) -> Path:
    """The file of the student: the path itself or, in a container, the only one in a sub-folder of the path."""
    if path.is_file():
        return path
    for name in MODEL_FILES:
        found = list(path.glob(f"*/{name}"))
        if len(found) == 1:
            return found[0]
    names = " or ".join(MODEL_FILES)
    raise InputError(f"{path}: no {names}; give the file, or a folder with one <name>/{MODEL_FILES[0]}")
