"""The order of a training's slices, if some of them have no mask."""

from collections.abc import Iterator

import ignite.distributed as idist
import torch
from torch.utils.data import DistributedSampler

from custom_components.data.datasets import SliceDataset
from custom_components.foundation.errors import InputError


class MixedSampler(DistributedSampler):
    """Slices in an order that gives every batch of an epoch the same numbers with and without masks.

    The share of slices without masks falls linearly over the epochs, from ``unlabeled_share`` to none in the last one.
    So the student first learns from many images, and its last steps follow the masks alone: pseudo-labels are worse
    than a mask where a few masks already make a good student.

    An epoch has as many batches as all slices together fill. Slices of each kind are drawn without repetition; when all
    slices of a kind are used up, the kind starts again in another order. If all slices are of one kind, the order is
    that of ``DistributedSampler``.

    The order depends on the seed and the epoch alone. MONAI's trainer tells each epoch to a ``DistributedSampler``, so
    a resumed training has the same order as an uninterrupted one. Under torchrun each process has its own part.

    Args:
        dataset: the slices.
        batch_size: number of slices in a batch of one process.
        unlabeled_share: share of the slices without masks in a batch of the first epoch. It is rounded to a whole
            number of slices, so that each kind has at least one.
        epochs: number of epochs over which the share falls; without it, the share stays.
        seed: decides the order.
        shuffle: as for ``DistributedSampler``; used only if all slices are of one kind.
        drop_last: as for ``DistributedSampler``; used only if all slices are of one kind.

    Raises:
        InputError: if the share is not between 0 and 1, or a batch of one slice would have to hold both kinds.
    """

    def __init__(
        self,
        dataset: SliceDataset,
        batch_size: int,
        unlabeled_share: float = 0.5,
        epochs: int | None = None,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        is_number = isinstance(unlabeled_share, int | float) and not isinstance(unlabeled_share, bool)
        if not is_number or not 0 < unlabeled_share < 1:
            raise InputError(f"unlabeled_share {unlabeled_share}: must be a number between 0 and 1, such as 0.5")
        super().__init__(
            dataset, idist.get_world_size(), idist.get_rank(), shuffle=shuffle, seed=seed, drop_last=drop_last
        )
        places = torch.arange(len(dataset))
        has_mask = torch.tensor(dataset.has_mask, dtype=torch.bool)
        self._kinds = [places[has_mask], places[~has_mask]]
        self._is_mixed = all(len(kind) for kind in self._kinds)
        if self._is_mixed and batch_size < 2:
            raise InputError(f"batch_size {batch_size}: a batch of slices with and without masks needs at least 2")
        without = min(max(1, round(batch_size * unlabeled_share)), batch_size - 1)
        self._batch_size, self._without, self._epochs = batch_size, without, epochs
        self._batches = max(1, len(dataset) // (batch_size * self.num_replicas))

    def __len__(self) -> int:
        return self._batches * self._batch_size if self._is_mixed else super().__len__()

    def __iter__(self) -> Iterator[int]:
        if not self._is_mixed:
            return super().__iter__()
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        drawn = [self._draw(kind, count, generator) for kind, count in zip(self._kinds, self._counts(), strict=True)]
        return iter(torch.cat(drawn, dim=1).flatten().tolist())

    def _counts(self) -> tuple[int, int]:
        """The numbers of slices with and without masks in each batch of the present epoch; MONAI's first epoch is 1."""
        left = 1 - min(1, max(0, self.epoch - 1) / max(1, self._epochs - 1)) if self._epochs else 1
        without = round(self._without * left)
        return self._batch_size - without, without

    def _draw(self, places: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
        """This process's slices of one kind, (batches, count)."""
        if not count:
            return places.new_empty(self._batches, 0)
        needed = self._batches * count * self.num_replicas
        rounds = -(-needed // len(places))
        order = torch.cat([places[torch.randperm(len(places), generator=generator)] for _ in range(rounds)])
        return order[:needed][self.rank :: self.num_replicas].view(self._batches, count)
