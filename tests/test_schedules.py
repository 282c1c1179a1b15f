"""The numbers of batches in which the learning rate rises and falls, compared with numbers computed by hand."""

import pytest
import torch
from torch.optim.lr_scheduler import CyclicLR

from custom_components.foundation.errors import InputError
from custom_components.schedules import cycle


@pytest.mark.parametrize(("epochs", "batches"), [(1, 1), (100, 300)])
def test_the_papers_schedule_does_not_ask_for_the_length_of_the_training(epochs, batches):
    assert cycle("paper", epochs, batches) == (2000, None)


@pytest.mark.parametrize(
    ("epochs", "batches", "up", "down"), [(8, 12, 32, 64), (16, 7, 37, 74), (1, 1, 1, 1), (1, 2, 1, 1), (5, 2, 3, 6)]
)
def test_one_cycle_rises_for_a_third_of_the_training(epochs, batches, up, down):
    assert cycle("one_cycle", epochs, batches) == (up, down)


def test_one_cycle_ends_with_the_training():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1)
    length = cycle("one_cycle", epochs=3, batches=3)
    schedule = CyclicLR(optimizer, 0.0, 0.3, length.up, length.down, cycle_momentum=False)
    rates = []
    for _ in range(9):
        optimizer.step()
        schedule.step()
        rates += schedule.get_last_lr()
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.0])


def test_another_schedule_is_refused():
    with pytest.raises(InputError, match=r"\Aschedule: 'cosine' is none of paper, one_cycle\Z"):
        cycle("cosine", 1, 1)


@pytest.mark.parametrize(
    ("options", "up", "down"),
    [
        ({}, 2000, 2000),
        ({"schedule": "one_cycle"}, 8, 16),  # 4 epochs of 6 batches
        ({"lr_scheduler::step_size_up": 7}, 7, 7),
        ({"schedule": "one_cycle", "lr_scheduler::step_size_up": 7}, 7, 16),
        ({"lr_scheduler::step_size_down": 5}, 2000, 5),
    ],
)
def test_the_schedule_is_an_option_of_every_training(copy_bundles, workflow, tmp_path, options, up, down):
    settings = {"train::trainer::max_epochs": 4, "batch_size": 4}
    folders = {"output_dir": str(tmp_path / "output"), "models_dir": str(tmp_path / "models")}
    training = workflow(copy_bundles("enet") / "enet", "train", **settings, **folders, **options)
    schedule = training.parser.get_parsed_content("lr_scheduler")
    assert len(training.parser.get_parsed_content("train#dataloader")) == 6  # 24 slices
    assert (schedule.total_size, schedule.step_ratio) == (up + down, up / (up + down))
