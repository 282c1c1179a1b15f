"""The order of slices with and without masks: the ratio of each batch, every slice's turn, seeds and processes."""

from collections import Counter

import ignite.distributed as idist
import pytest
from torch.utils.data import DistributedSampler

from custom_components.data import MixedSampler
from custom_components.foundation.errors import InputError


class Slices:
    """Stands for a dataset of slices, the first of which have masks."""

    def __init__(self, with_masks: int, without: int) -> None:
        self.has_mask = [True] * with_masks + [False] * without

    def __len__(self) -> int:
        return len(self.has_mask)


def batches(sampler: MixedSampler, batch_size: int) -> list[list[int]]:
    order = list(sampler)
    assert len(order) == len(sampler)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


@pytest.mark.parametrize(
    ("share", "without"),
    [(0.5, 4), (0.25, 2), (0.3, 2), (0.01, 1), (0.99, 7)],
)
def test_each_batch_has_the_share_and_an_epoch_the_batches_of_all_slices(share, without):
    made = batches(MixedSampler(Slices(10, 30), 8, share), 8)
    assert len(made) == 5
    assert [sum(place >= 10 for place in batch) for batch in made] == [without] * 5


def test_the_share_falls_to_none_over_the_epochs():
    sampler, found = MixedSampler(Slices(10, 30), 8, 0.5, epochs=5), []
    for epoch in range(1, 7):
        sampler.set_epoch(epoch)
        made = batches(sampler, 8)
        assert len(made) == 5
        assert len({sum(place >= 10 for place in batch) for batch in made}) == 1
        found.append(sum(place >= 10 for place in made[0]))
    assert found == [4, 3, 2, 1, 0, 0]


def test_one_epoch_has_the_whole_share():
    sampler = MixedSampler(Slices(10, 30), 8, 0.5, epochs=1)
    sampler.set_epoch(1)
    assert [sum(place >= 10 for place in batch) for batch in batches(sampler, 8)] == [4] * 5


def test_the_rarer_kind_starts_again_when_it_is_used_up():
    order = list(MixedSampler(Slices(3, 37), 4, 0.5))
    with_masks = [place for place in order if place < 3]
    assert len(with_masks) == 20
    assert [set(with_masks[start : start + 3]) for start in range(0, 18, 3)] == [{0, 1, 2}] * 6
    assert len({tuple(with_masks[start : start + 3]) for start in range(0, 18, 3)}) > 1, "in another order"
    assert max(Counter(place for place in order if place >= 3).values()) == 1


def test_seed_and_epoch_alone_decide():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = MixedSampler(Slices(10, 30), 8, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(5, 3)


def test_processes_take_different_slices_and_equally_many(monkeypatch):
    monkeypatch.setattr(idist, "get_world_size", lambda: 2)
    orders = []
    for rank in (0, 1):
        monkeypatch.setattr(idist, "get_rank", lambda rank=rank: rank)
        made = batches(MixedSampler(Slices(20, 20), 4), 4)
        assert [sum(place >= 20 for place in batch) for batch in made] == [2] * 5
        orders.append([place for batch in made for place in batch])
    assert sorted(orders[0] + orders[1]) == list(range(40))


@pytest.mark.parametrize("slices", [Slices(13, 0), Slices(0, 13)])
def test_slices_of_one_kind_have_the_order_of_a_distributed_sampler(slices):
    sampler, plain = MixedSampler(slices, 8, seed=3), DistributedSampler(slices, 1, 0, seed=3, drop_last=True)
    for made in (sampler, plain):
        made.set_epoch(2)
    assert list(sampler) == list(plain)
    assert len(sampler) == 13


def test_few_slices_still_make_a_batch():
    (batch,) = batches(MixedSampler(Slices(1, 2), 8), 8)
    assert Counter(place == 0 for place in batch) == {True: 4, False: 4}


@pytest.mark.parametrize(
    ("batch_size", "share", "message"),
    [
        (8, 0, "unlabeled_share 0: must be a number between 0 and 1"),
        (8, 1.0, "unlabeled_share 1.0: must be a number"),
        (8, "half", "unlabeled_share half: must be a number"),
        (1, 0.5, "batch_size 1: a batch of slices with and without masks needs at least 2"),
    ],
)
def test_what_cannot_be_mixed_is_refused(batch_size, share, message):
    with pytest.raises(InputError, match=rf"\A{message}"):
        MixedSampler(Slices(10, 30), batch_size, share)
