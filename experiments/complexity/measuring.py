"""Counts the parameters and operations of a network, and times the network on the CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from monai.inferers import SliceInferer
from ptflops import get_model_complexity_info
from torch import nn

from custom_components.bundle import SHIPPED_BUNDLES, Bundle, read_bundle
from custom_components.export import OnnxNetwork, read_notes
from custom_components.foundation.errors import InputError

SIZE = 384
SLICES = 24
SLICE_REPEATS, VOLUME_REPEATS = 7, 1

NETWORKS = {
    "deeplabv3plus": "DeepLabV3+",
    "deeplabv3plus_resnet50": "DeepLabV3+ (ResNet-50)",
    "fcn_resnet101": "FCN-ResNet101",
    "pspnet": "PSPNet",
    "resnext101": "ResNeXt101",
    "enet": "ENet",
    "espnet": "ESPNet",
    "mobilenetv2": "MobileNetV2",
}
VARIANTS = {"deeplabv3plus_resnet50": ("deeplabv3plus", {"backbone": "resnet50"})}


@dataclass(frozen=True)
class Complexity:
    """The cost of one network.

    Attributes:
        network: a key of ``NETWORKS``, or ``<bundle>_onnx`` or ``<bundle>_int8`` for an exported network.
        label: name of the network in the table.
        params: number of parameters.
        macs: multiply-accumulate operations for one slice, as ptflops counts them.
        slice_ms: median CPU time of one slice in ms.
        volume_ms: median CPU time of a volume of 24 slices in ms; the slices are run one by one, as in inference.
        note: text of a footnote on this row; empty without one.
    """

    network: str
    label: str
    params: int
    macs: int
    slice_ms: float
    volume_ms: float
    note: str = ""

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-accumulate."""
        return 2 * self.macs


def build_network(name: str) -> nn.Module:
    """Builds the untrained network of a key of ``NETWORKS``, in eval mode."""
    bundle_name, options = VARIANTS.get(name, (name, {}))
    bundle = read_bundle(str(SHIPPED_BUNDLES / bundle_name))
    return replace(bundle, network_def={**bundle.network_def, **options}).build_network().eval()


def count_macs(network: nn.Module) -> int:
    """Multiply-accumulate operations for one slice (1, 1, 384, 384), calls of torch.nn.functional included."""
    with torch.inference_mode():
        macs, _ = get_model_complexity_info(network, (1, SIZE, SIZE), print_per_layer_stat=False, as_strings=False)
    return macs


def measure(name: str) -> Complexity:
    """Counts and times a key of ``NETWORKS`` on the CPU, with the number of threads that torch is set to."""
    network = build_network(name)
    return Complexity(name, NETWORKS[name], *_counts(network), *_times_ms(network))


def measure_exported(bundle: Bundle) -> list[Complexity]:
    """Times the float and the INT8 ONNX file that ``make export`` wrote for a bundle.

    The numbers of parameters and operations are those of the bundle's PyTorch network.

    Raises:
        InputError: when one of the two files does not exist, or ``make export`` did not write it.
    """
    exported, int8 = (bundle.model_file.with_name(name) for name in ("model.onnx", "model.int8.onnx"))
    for file in (exported, int8):
        if not file.is_file():
            raise InputError(f"{file}: no such file; make export BUNDLE={bundle.path} CALIBRATE=<dataset> writes it")
    scores = read_notes(int8)
    if not {"dice", "dice_in_float", "test_cases"} <= scores.keys():
        raise InputError(f"{int8}: not an INT8 network that make export wrote")
    change = float(scores["dice"]) - float(scores["dice_in_float"])
    note = (
        f"Weights and activations in 8 bits. Mean volume Dice of {scores['test_cases']} test cases: {scores['dice']}, "
        f"in float {scores['dice_in_float']} ({change:+.4f})."
    )
    network = bundle.build_network().eval()
    counts, label = _counts(network), f"{type(network).__name__}, ONNX Runtime"
    return [
        Complexity(f"{bundle.name}_onnx", label, *counts, *_times_ms(OnnxNetwork(exported))),
        Complexity(f"{bundle.name}_int8", f"{label} INT8", *counts, *_times_ms(OnnxNetwork(int8)), note),
    ]


def _counts(network: nn.Module) -> tuple[int, int]:
    return sum(parameter.numel() for parameter in network.parameters()), count_macs(network)


def _times_ms(network: nn.Module) -> tuple[float, float]:
    volume = torch.randn(1, 1, SIZE, SIZE, SLICES)
    inferer = SliceInferer(roi_size=(SIZE, SIZE), spatial_dim=2, sw_batch_size=1)
    with torch.inference_mode():
        slice_ms = _median_ms(lambda: network(volume[..., 0]), SLICE_REPEATS)
        return slice_ms, _median_ms(lambda: inferer(volume, network), VOLUME_REPEATS)


def _median_ms(run: Callable[[], object], repeats: int) -> float:
    """The median time of a call in ms; the median ignores a slow first call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times), 1)
