"""DICOM study -> DICOM SEG of the prostate, report of its volume, picture: the chain of operators."""

import os
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application
from operators import SegmentOperator, SelectSeriesOperator, WriteResultsOperator

from custom_components.errors import InputError


class ProstateSegmentation(Application):
    """Reads its folders from ``-i -o -m`` or HOLOSCAN_INPUT_PATH, _OUTPUT_PATH, _MODEL_PATH; PSA in ng/ml from PSA."""

    def compose(self) -> None:
        context = Application.init_app_context(self.argv)
        if not context.models or not Path(context.models.get().path).is_file():
            raise InputError(f"{context.model_path}: no model.ts; give the file, or a folder with <name>/model.ts")
        if not Path(context.input_path).is_dir():
            raise InputError(f"{context.input_path}: no such folder")
        # Without a count an operator that has no input runs for ever.
        once = CountCondition(self, 1)
        select = SelectSeriesOperator(self, once, name="select", folder=Path(context.input_path))
        segment = SegmentOperator(self, name="segment", model_file=Path(context.models.get().path))
        write = WriteResultsOperator(
            self, name="write", folder=Path(context.output_path), psa_ng_per_ml=_psa_ng_per_ml()
        )
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
