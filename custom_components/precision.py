"""The precision of a training's forward pass, and a check of the words for a precision."""

import functools
from collections.abc import Iterable
from typing import Any

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from custom_components.foundation.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("float32", "bfloat16", "auto", "float16")


def check_precision(option: str, precision: str, words: Iterable[str]) -> None:
    """Refuse a precision that an option does not know.

    Args:
        option: name of the option, for the message.
        precision: value of the option.
        words: the values that the option may have.

    Raises:
        InputError: if ``precision`` is not one of ``words``.
    """
    if precision not in words:
        raise InputError(f"{option}: {precision!r} is none of {', '.join(words)}")


class PrecisionInferer(SimpleInferer):
    """A ``SimpleInferer`` that runs the network under autocast, on a CPU or a GPU.

    Weights, losses and the optimizer stay in float32. bfloat16 has the range of float32. float16 has a smaller range,
    so its gradients must be scaled. The bundles switch on ``amp`` of MONAI's trainer for float16: then the trainer runs
    the network under autocast and scales the gradients, and this class does nothing.

    Args:
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` (for GPUs only), or ``"auto"``: bfloat16 if the device
            has instructions for it, otherwise float32.

    Raises:
        InputError: on another precision, or at the first batch with float16 on a CPU.
    """

    def __init__(self, precision: str = "float32") -> None:
        super().__init__()
        check_precision("precision", precision, PRECISIONS)
        self.precision = precision

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        device = inputs.device.type
        if self.precision == "float16" and device == "cpu":
            raise InputError("precision: float16 is for GPUs; use --precision bfloat16, or auto")
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
