"""What the bundles' configs name by ``_target_``: networks, losses, data, engines, teachers, metrics, handlers."""

import warnings

from custom_components.errors import report_input_errors_in_one_line
from custom_components.flags import flag
from custom_components.terminal import show_any_text

__all__ = ["flag"]

report_input_errors_in_one_line()
show_any_text()
# MONAI warns of an optional decoder, for DICOM on a GPU, whenever a reader of images is made.
warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
