"""Training in several processes, one a device, as ``multi_gpu_train.json`` of a bundle has it.

Every process takes its share of each batch; only the first one, of rank 0, writes and prints. Which process this is,
says ``ignite.distributed``, also where there is only one.
"""

import logging
import os
import time
import warnings
from collections.abc import Iterable, Mapping
from datetime import timedelta
from statistics import fmean
from typing import Any

import ignite.distributed as idist
import torch
from torch import distributed, nn
from tqdm import tqdm

from custom_components.errors import InputError
from custom_components.networks.sync_batch_norm import CpuSyncBatchNorm

# For who is the first to have prepared its volumes of a large dataset, or asked the teachers about them.
TIMEOUT = timedelta(hours=2)


def start(device: torch.device | str) -> None:
    """Join the processes that torchrun started: nccl on GPUs, gloo on CPUs. All but the first fall silent.

    Args:
        device: where networks go; ``"cuda"`` is from now on the GPU of this process.

    Raises:
        InputError: without torchrun, or with more processes on this machine than it has GPUs.
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
    """Whether this process is one of several and not the first, so that another writes and prints."""
    return distributed.is_initialized() and distributed.get_rank() > 0


def leave() -> None:
    """Leave the processes that torchrun started, once all have come so far.

    gloo's threads let go of the last tensors only when they get the interpreter's lock; one that asks for it while the
    interpreter shuts down aborts the process, after everything is done. So they are given a moment.
    """
    distributed.barrier()
    distributed.destroy_process_group()
    time.sleep(0.5)


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Let batch normalisation see the batches of all processes; the keys of the state dict stay as they are.

    Args:
        network: on its device; changed in place.
    """
    if next(network.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # It has the same state and keeps its hooks, such as a tap's.
            module.__class__ = CpuSyncBatchNorm
    return network


def mean_over_processes(values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each value over the processes that have it."""
    gathered = idist.all_gather(dict(values))
    names = dict.fromkeys(name for own in gathered for name in own)
    return {name: fmean(own[name] for own in gathered if name in own) for name in names}


def progress_bar(items: Iterable, what: str, unit: str, total: int | None = None) -> Iterable:
    """``items`` with a progress bar, in the first process; ``total`` is their number if they do not tell."""
    return tqdm(items, what, total, unit=unit, leave=False) if idist.get_rank() == 0 else items


class OfEveryProcess:
    """A stateful object that every process has its own of; the state is that of all, in the order of their ranks.

    Args:
        own: this process's object.
    """

    def __init__(self, own: Any) -> None:
        self.own = own

    def state_dict(self) -> dict[str, list[Any]]:
        return {"processes": idist.all_gather(self.own.state_dict())}

    def load_state_dict(self, state: Mapping[str, list[Any]]) -> None:
        """
        Raises:
            ValueError: if the state is of another number of processes.
        """
        saved, found = len(state["processes"]), idist.get_world_size()
        if saved != found:
            raise ValueError(f"saved by {saved} processes, this run has {found}")
        self.own.load_state_dict(state["processes"][idist.get_rank()])
