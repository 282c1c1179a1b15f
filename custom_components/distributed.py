"""Training in several processes, one for each device, as a bundle's ``multi_gpu_train.json`` sets it up.

Every process takes its share of each batch. Only the first process (rank 0) writes and prints. ``ignite.distributed``
gives the rank, also when there is only one process.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import fmean
from typing import Any, TypeVar

import ignite.distributed as idist
import torch
from torch import distributed, nn
from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.networks.sync_batch_norm import CpuSyncBatchNorm

Item = TypeVar("Item")

# One process may wait long for the others, while they prepare the volumes of a large dataset or run the teachers.
TIMEOUT = timedelta(hours=2)


def start(device: torch.device | str) -> None:
    """Join the processes that torchrun started (nccl on GPUs, gloo on CPUs) and silence all but the first.

    Args:
        device: device of the networks. After this call, ``"cuda"`` means the GPU of this process.

    Raises:
        InputError: without torchrun, or if this machine has fewer GPUs than processes.
    """
    if "LOCAL_RANK" not in os.environ:
        raise InputError(
            "multi_gpu_train.json: not started by torchrun; use torchrun --nproc_per_node=<GPUs> -m monai.bundle run …"
        )
    if torch.device(device).type == "cuda":
        processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if processes > gpus:
            raise InputError(f"torchrun --nproc_per_node={processes}: this machine has {gpus} GPUs; give at most that")
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl", timeout=TIMEOUT, device_id=torch.cuda.current_device())
    else:
        distributed.init_process_group("gloo", timeout=TIMEOUT)
    idist.sync()
    if distributed.get_rank() > 0:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")


def is_not_first() -> bool:
    """Whether this process is one of several and not the first; then the first process writes and prints."""
    return distributed.is_initialized() and distributed.get_rank() > 0


def leave() -> None:
    """Wait for all processes that torchrun started, then leave them.

    gloo's threads free the last tensors only when they get the interpreter's lock. A thread that asks for the lock
    while the interpreter shuts down aborts the process, although all work is done. So this function waits a moment.
    """
    distributed.barrier()
    distributed.destroy_process_group()
    time.sleep(0.5)


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Let batch normalisation use the batches of all processes; the keys of the state dict do not change.

    Args:
        network: the network on its device; it is changed in place.
    """
    if next(network.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # The new layer has the same state, and keeps hooks such as a tap's.
            module.__class__ = CpuSyncBatchNorm
    return network


def mean_over_processes(values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each value over the processes that have this value."""
    gathered = idist.all_gather(dict(values))
    names = dict.fromkeys(name for own in gathered for name in own)
    return {name: fmean(own[name] for own in gathered if name in own) for name in names}


def share_out(
    items: Sequence[Item], work: Callable[[Sequence[Item]], object], exchange: Callable[[], object] = lambda: None
) -> None:
    """Let all processes do work whose results lie on disk, and wait for its end; one process alone does nothing here.

    First each process takes its share of all items. What is then still missing on a machine's disk was made by another
    machine on a disk of that machine, so the processes of each machine share all items once more.

    Args:
        items: the items, the same in every process.
        work: does the work for some items, and skips an item whose result is on disk.
        exchange: lets the processes tell each other what they learnt from their shares of all items.
    """
    if idist.get_world_size() == 1:
        return
    work(items[idist.get_rank() :: idist.get_world_size()])
    exchange()
    idist.barrier()
    work(items[idist.get_local_rank() :: idist.get_nproc_per_node()])
    idist.barrier()


def progress_bar(items: Iterable, what: str, unit: str, total: int | None = None) -> Iterable:
    """Show a progress bar for ``items`` in the first process; ``total`` is their number if ``len(items)`` fails."""
    return tqdm(items, what, total, unit=unit, leave=False) if idist.get_rank() == 0 else items


class OfEveryProcess:
    """A stateful object that exists once in each process. Its state dict holds the states of all processes, by rank.

    Args:
        own: the object of this process.
    """

    def __init__(self, own: Any) -> None:
        self.own = own

    def state_dict(self) -> dict[str, list[Any]]:
        return {"processes": idist.all_gather(self.own.state_dict())}

    def load_state_dict(self, state: Mapping[str, list[Any]]) -> None:
        """Give each process its own state.

        Raises:
            ValueError: if another number of processes has saved the state.
        """
        saved, found = len(state["processes"]), idist.get_world_size()
        if saved != found:
            raise ValueError(f"saved by {saved} processes, this run has {found}")
        self.own.load_state_dict(state["processes"][idist.get_rank()])
