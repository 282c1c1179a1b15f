"""A model of a Triton model repository: ``<name>/config.pbtxt`` and ``<name>/1/model.{pt,onnx}``.

Triton's libtorch backend knows a tensor only by its position, so the position is part of the name: ``image__0``. ONNX
tensors have names of their own.
"""

import shutil
from pathlib import Path

from custom_components.foundation.files import write_text

MAX_BATCH_SIZE = 32
# suffix of the exported file -> platform, file in the repository, input, output
PLATFORMS = {
    ".ts": ("pytorch_libtorch", "model.pt", "image__0", "pred__0"),
    ".onnx": ("onnxruntime_onnx", "model.onnx", "image", "pred"),
}
CONFIG = """\
name: "{name}"
platform: "{platform}"
max_batch_size: {max_batch_size}
input [
  {{
    name: "{image}"
    data_type: TYPE_FP32
    dims: [ {channels}, -1, -1 ]
  }}
]
output [
  {{
    name: "{pred}"
    data_type: TYPE_FP32
    dims: [ {classes}, -1, -1 ]
  }}
]
dynamic_batching {{
  max_queue_delay_microseconds: 1000
}}
"""


def write_triton_model(repository: Path, name: str, exported: Path, channels: int, classes: int) -> None:
    """Add an exported network as version 1 of the model ``name``.

    Args:
        repository: folder of models; made if missing.
        name: name of the model; clients use this name.
        exported: ``.ts`` or ``.onnx`` with dynamic batch, height and width.
        channels: number of channels of the image (B, channels, H, W).
        classes: number of classes of the logits (B, classes, H, W).
    """
    platform, file, image, pred = PLATFORMS[exported.suffix]
    version = repository / name / "1"
    version.mkdir(parents=True)
    shutil.copyfile(exported, version / file)
    config = CONFIG.format(
        name=name,
        platform=platform,
        max_batch_size=MAX_BATCH_SIZE,
        image=image,
        pred=pred,
        channels=channels,
        classes=classes,
    )
    write_text(version.parent / "config.pbtxt", config)
