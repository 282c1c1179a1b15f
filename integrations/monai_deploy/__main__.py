"""``python integrations/monai_deploy -i <DICOM folder> -o <folder> -m <student.onnx or model.ts>``.

A study in a PACS is named by HOLOSCAN_INPUT_PATH=<DICOMweb root>/studies/<StudyInstanceUID> instead of ``-i``.

Exit codes: 0 done; 1 not done, the line on stderr says why.
"""

import os
import warnings

# Holoscan's scheduler logs each of its steps, and warns about a stack size that this chain of three operators does not
# need.
os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "OFF")
warnings.filterwarnings("ignore", message="Current stack size")
warnings.filterwarnings("ignore", message=".*torch.jit.* is deprecated")

from application import segment_study  # noqa: E402 - its import reads the settings above

if __name__ == "__main__":
    segment_study()
