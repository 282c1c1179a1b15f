"""DICOM study -> DICOM SEG of the prostate, report of its volume, picture: the chain of operators."""

import os
import tempfile
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application
from operators import REPORT_FILE, SEG_FILE, SegmentOperator, SelectSeriesOperator, WriteResultsOperator

from custom_components.errors import InputError
from data_prep.dicom import SeriesChoice


def segment_study() -> None:
    """Segment the study that HOLOSCAN_INPUT_PATH names: a folder, or a study in a PACS, which then gets the results.

    Raises:
        InputError: when there is nothing to segment, or the PACS cannot be reached.
    """
    source = os.environ.get("HOLOSCAN_INPUT_PATH", "")
    if "://" not in source:
        ProstateSegmentation().run()
        return
    from pacs import PacsStudy  # half a second that a folder does not need

    study = PacsStudy(source)
    with tempfile.TemporaryDirectory() as folder:
        study.pull(Path(folder))
        application = ProstateSegmentation(Path(folder))
        try:
            application.run()
        except InputError as error:
            raise InputError(str(error).replace(folder, f"{study.url}/instances")) from error
    # First what the other refers to.
    study.store([application.results / name for name in (SEG_FILE, REPORT_FILE)])
    print(f"SEG and report stored in {study.url}")


class ProstateSegmentation(Application):
    """Reads its folders from ``-i -o -m`` or HOLOSCAN_INPUT_PATH, _OUTPUT_PATH, _MODEL_PATH; PSA in ng/ml from PSA.

    SERIES and TIE say which of several axial T2w series is taken, as ``--series`` and ``--tie`` of the import do.

    Args:
        study: folder that takes the place of the input.
    """

    def __init__(self, study: Path | None = None):
        self.study = study
        super().__init__()

    def compose(self) -> None:
        program, *arguments = self.argv
        # The SDK's own level tells each step; a level that the user gives comes later and wins.
        context = Application.init_app_context([program, "--log-level", "ERROR", *arguments])
        study, self.results = self.study or Path(context.input_path), Path(context.output_path)
        if not context.models or not Path(context.models.get().path).is_file():
            raise InputError(f"{context.model_path}: no model.ts; give the file, or a folder with <name>/model.ts")
        if not study.is_dir():
            raise InputError(f"{study}: no such folder")
        # Without a count an operator that has no input runs for ever.
        once = CountCondition(self, 1)
        select = SelectSeriesOperator(self, once, name="select", folder=study, choice=SeriesChoice.from_environment())
        segment = SegmentOperator(self, name="segment", model_file=Path(context.models.get().path))
        write = WriteResultsOperator(self, name="write", folder=self.results, psa_ng_per_ml=_psa_ng_per_ml())
        self.add_flow(select, segment, {("image", "image")})
        self.add_flow(select, write, {("series", "series")})
        self.add_flow(segment, write, {("image", "image"), ("mask", "mask"), ("student", "student")})


def _psa_ng_per_ml() -> float | None:
    text = os.environ.get("PSA")
    if not text:
        return None
    try:
        psa = float(text)
    except ValueError:
        psa = -1.0
    if not 0 < psa < float("inf"):
        raise InputError(f"PSA={text}: not a positive number; give the serum PSA in ng/ml, such as PSA=6.5")
    return psa
