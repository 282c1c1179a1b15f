"""The precision of a training's forward pass."""

import functools
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from custom_components.errors import InputError

PRECISIONS = ("float32", "bfloat16", "auto")


class PrecisionInferer(SimpleInferer):
    """A ``SimpleInferer`` that runs the network under autocast, on a CPU or a GPU.

    Weights, losses and the optimizer stay in float32. bfloat16 has the range of float32, so it needs no gradient
    scaler, unlike the float16 of MONAI's ``amp``.

    Args:
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"``, which is bfloat16 if the device has instructions for
            it.

    Raises:
        InputError: if the precision is unknown.
    """

    def __init__(self, precision: str = "float32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise InputError(f"precision: {precision!r} is none of {', '.join(PRECISIONS)}")
        self.precision = precision

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        device = inputs.device.type
        wanted = self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device))
        if not wanted:
            return super().__call__(inputs, network, *args, **kwargs)
        with torch.autocast(device, torch.bfloat16):
            return super().__call__(inputs, network, *args, **kwargs)


@functools.cache
def multiplies_bfloat16(device: str) -> bool:
    """Whether a ``"cpu"`` or ``"cuda"`` device has instructions for bfloat16; without them bfloat16 is slow."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
