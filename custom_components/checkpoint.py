"""Reading checkpoints: tensors and plain values only."""

import pickle
from pathlib import Path
from typing import Any

import torch

from custom_components.errors import InputError


def read_checkpoint(file: str | Path) -> Any:
    """What ``torch.save`` wrote, on the CPU; nothing in the file is run.

    Raises:
        InputError: if the file is no checkpoint, is damaged, or holds more than tensors and plain values.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{file}: no checkpoint, or more than tensors in it (a pickle with code); it was not loaded"
        ) from None
    except Exception as error:  # A damaged file fails in many ways, EOFError and IndexError among them.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{file}: not a readable checkpoint ({reason})") from None
