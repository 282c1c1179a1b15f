"""Batch normalisation over several processes on CPUs."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed._functional_collectives import all_reduce


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, for CPUs, which ``torch.nn.SyncBatchNorm`` refuses.

    Every process must hold the same number of samples. Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise features (B, K, h, w)."""
        if not self.training:
            return super().forward(x)
        mean = _mean_over_processes(x.mean(dim=(0, 2, 3)))
        centred = x - mean[:, None, None]
        variance = _mean_over_processes(centred.square().mean(dim=(0, 2, 3)))
        with torch.no_grad():
            count = x[:, 0].numel() * distributed.get_world_size()
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]


def _mean_over_processes(statistic: Tensor) -> Tensor:
    return all_reduce(statistic, "sum", distributed.group.WORLD) / distributed.get_world_size()
