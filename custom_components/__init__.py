"""The components that the bundles' configs name: networks, losses, data, engines, teachers, metrics, handlers."""

import sys
import warnings

from custom_components.foundation.errors import report_input_errors_in_one_line
from custom_components.foundation.terminal import show_any_text
from custom_components.foundation.threads import be_a_good_neighbour

report_input_errors_in_one_line()
show_any_text()
be_a_good_neighbour()
# MONAI warns that an optional decoder (DICOM on a GPU) is missing, each time it makes an image reader.
warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")

# A bundle's config imports this package before it resolves anything else. MONAI takes seconds to load, and modules that
# do not need MONAI, such as data_prep, must not wait for it.
if "monai.bundle" in sys.modules:
    from custom_components.options import read_options_as_meant

    read_options_as_meant()
