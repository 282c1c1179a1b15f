"""Running of a function in two processes of one group, as under torchrun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch

from custom_components.forked_python import SERVER


def in_two_processes(function: Callable[[int], Any], folder: Path) -> list[Any]:
    """The results of ``function(rank)`` in two processes of one gloo group, which share ``folder``."""
    with SERVER.Pool(2) as pool:
        return pool.starmap(_join, [(function, rank, folder) for rank in range(2)], chunksize=1)


def _join(function: Callable[[int], Any], rank: int, folder: Path) -> Any:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    idist.sync()
    try:
        return function(rank)
    finally:
        idist.finalize()
