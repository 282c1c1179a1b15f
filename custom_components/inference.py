"""The start of an inference: a check of weights and volumes, and the number of slices that run together."""

from collections.abc import Sequence
from pathlib import Path

import torch

from custom_components.foundation.errors import InputError
from custom_components.foundation.volumes import require_volumes


def check_inference(ckpt_path: str | Path, dataset_dir: str | Path, datalist: Sequence[str | Path]) -> None:
    """Check that an inference has weights and volumes, and that no two masks would get the same file.

    Args:
        ckpt_path: file of the weights.
        dataset_dir: folder of the volumes, for the message.
        datalist: the volumes.

    Raises:
        SystemExit: with one line. MONAI wraps every other error of a config in its own.
    """
    if not Path(ckpt_path).is_file():
        raise SystemExit(f"error: {ckpt_path}: no such checkpoint; train the bundle first")
    try:
        require_volumes(dataset_dir, datalist)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error


def slices_at_once(device: torch.device | str) -> int:
    """The number of slices of a volume that go through the network together.

    A CPU takes large slices one by one: up to four times faster, and in less memory.
    """
    return 8 if torch.device(device).type == "cuda" else 1
