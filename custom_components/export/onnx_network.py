"""An ONNX file that is used like a network."""

from pathlib import Path

import onnxruntime
import torch
from torch import nn


class OnnxNetwork(nn.Module):
    """Runs an ONNX file with ONNX Runtime on the CPU, with the same number of threads as torch.

    Args:
        file: ONNX model with the input ``image`` (B, 1, H, W) and the output ``pred`` (B, C, H, W), both float32.
    """

    def __init__(self, file: str | Path) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        (logits,) = self.session.run(["pred"], {"image": image.numpy()})
        return torch.from_numpy(logits)
