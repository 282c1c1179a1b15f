"""The process of one variant of ``benchmarks.inference``. It loads only the libraries that a user of the variant loads.

python -m benchmarks.inference_process <bundle> <file> <volumes>
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from custom_components.bundle import read_bundle
from custom_components.bundle.segmenting import Segmenting, TrainedBundle
from custom_components.bundle.weights import load_weights
from custom_components.data import list_volumes
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json


class TimedNetwork(nn.Module):
    """Wraps a network and adds up the seconds of its forward passes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        logits = self.network(image)
        self.seconds += time.perf_counter() - start
        return logits


def load(bundle_dir: Path, file: str) -> nn.Module:
    """Load a network of the bundle: ``model.pt``, ``model.ts`` or an ONNX file."""
    model = bundle_dir / "models" / file
    if model.suffix == ".pt":
        return load_weights(read_bundle(str(bundle_dir)).build_network(), model)
    if model.suffix == ".ts":
        return torch.jit.load(model)
    # Imported here, so that the other variants do not hold ONNX Runtime in memory.
    from custom_components.export import OnnxNetwork

    return OnnxNetwork(model)


def serve(bundle_dir: Path, file: str, volumes: Path) -> None:
    """For each line of stdin, segment the volume and print one line of JSON with the time and the memory.

    Args:
        bundle_dir: folder of the bundle whose ``inference.json`` is run.
        file: name of the network's file in its ``models``.
        volumes: folder of the volume.
    """
    timed = TimedNetwork(load(bundle_dir, file)).eval()
    configs = [read_json(bundle_dir / "configs" / f"{name}.json") for name in ("inference", "metadata")]
    (volume,) = list_volumes(volumes)
    with tempfile.TemporaryDirectory() as masks:
        segment = Segmenting(TrainedBundle(timed, *configs), Path(masks), "cpu")
        for _ in sys.stdin:
            timed.seconds = 0.0
            start = time.perf_counter()
            with contextlib.redirect_stdout(sys.stderr):
                segment(volume)
            took = {"seconds": time.perf_counter() - start, "network_seconds": timed.seconds, "peak_mb": peak_mb()}
            print(json.dumps(took), flush=True)


def peak_mb() -> float:
    """The peak memory of this process since its start, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    raise InputError("/proc/self/status: no VmHWM; peak memory is measured on Linux only")


if __name__ == "__main__":
    folder, name, volumes = sys.argv[1:]
    serve(Path(folder), name, Path(volumes))
