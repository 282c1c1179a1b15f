"""What the bundles' configs name by ``_target_``: networks, losses, data, engines, teachers, metrics, handlers."""

import warnings

from custom_components.errors import report_input_errors_in_one_line
from custom_components.flags import flag
from custom_components.threads import be_a_good_neighbour

__all__ = ["flag"]

report_input_errors_in_one_line()
be_a_good_neighbour()
# MONAI warns of an optional decoder, for DICOM on a GPU, whenever a reader of images is made.
warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
