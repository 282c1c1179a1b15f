"""A training that was interrupted and resumed ends exactly as an uninterrupted one (ENet, with augmentation)."""

import logging
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from custom_components.checkpoint import read_checkpoint
from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError, WriteError
from custom_components.handlers import ResumeCheckpoint
from custom_components.handlers.resume import RandomStates
from custom_components.run_identity import run_identity
from custom_components.run_settings import Settings

EPOCHS = "train::trainer::max_epochs"


@pytest.fixture
def train(copy_bundles, workflow, tmp_path):
    bundles = copy_bundles("enet", "espnet", "distillation")

    def run(output: str, epochs: int, config: str = "enet", resume: bool = True, **overrides) -> None:
        # The default schedule has 2000 steps, so in a few epochs its learning rate would hardly change.
        settings = {"augmentation": 0.7, "lr_scheduler::step_size_up": 5, "batch_size": 5, "resume": resume}
        folders = {"output_dir": str(tmp_path / output), "models_dir": str(tmp_path / output / "models")}
        workflow(bundles / config, "train", **{**settings, **folders, EPOCHS: epochs, **overrides}).run()

    return run


def test_a_resumed_distillation_equals_the_uninterrupted_one(train, assert_equal_trainings, one_error_line, tmp_path):
    train("teacher", 1, config="espnet", augmentation=0, models_dir=str(tmp_path / "bundles" / "espnet" / "models"))
    distillation = {"config": "distillation", "student": "enet", "teachers": ["espnet"], "loss::weighting": "inverse"}
    train("whole", 2, **distillation)
    train("parts", 1, **distillation)
    torch.manual_seed(99)
    train("parts", 2, **distillation)
    assert_equal_trainings(tmp_path / "whole", tmp_path / "parts")
    for changed in ({"loss::gate": "right"}, {"loss::terms::prediction::temperature": 2}):
        line = one_error_line(lambda changed=changed: train("parts", 3, **distillation, **changed))
        assert "last.pt: saved by a training with other loss" in line


def test_what_cannot_be_resumed_is_one_clear_line(train, one_error_line, tmp_path):
    train("run", 2)
    # A finished training does not change.
    before = (tmp_path / "run" / "training.csv").read_text()
    train("run", 2)
    assert (tmp_path / "run" / "training.csv").read_text() == before

    line = one_error_line(lambda: train("run", 1))
    assert "last.pt: saved after epoch 2, beyond max_epochs 1; raise train::trainer::max_epochs" in line
    line = one_error_line(lambda: train("run", 3, config="espnet"))
    networks = "custom_components.networks.ENet, now custom_components.networks.ESPNet"
    assert f"last.pt: saved by a training with other network_def::_target_ (was {networks}); use --resume False" in line
    line = one_error_line(lambda: train("run", 3, seed=1))
    assert "last.pt: saved by a training with other seed (was 0, now 1); use --resume False" in line
    line = one_error_line(lambda: train("run", 3, learning_rate=0.5))
    assert "last.pt: saved by a training with other learning_rate (was 0.01, now 0.5); use --resume False" in line
    line = one_error_line(lambda: train("run", 3, **{"loss::lovasz_weight": 0.5}))
    assert "last.pt: saved by a training with other loss::lovasz_weight (was 0.3, now 0.5); use --resume False" in line
    line = one_error_line(lambda: train("run", 3, resume="on"))
    assert "--resume on: neither True nor False" in line
    line = one_error_line(lambda: train("run", 3, batch_size=4))
    assert "last.pt: saved in epochs of 4 batches, this run has 6, with other batch_size (was 5, now 4); use" in line
    torch.save({"network": {}}, tmp_path / "run" / "last.pt")
    line = one_error_line(lambda: train("run", 3))
    assert "last.pt: not the checkpoint of a training" in line
    shutil.rmtree(tmp_path / "run")
    train("run", 1)
    train("run", 1, resume=False)
    assert len((tmp_path / "run" / "training.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"optimizer::weight_decay": 0.1}, "optimizer::weight_decay (was not set, now 0.1)"),
        ({"lr_scheduler::step_size_up": "7"}, "lr_scheduler::step_size_up (was 5, now 7)"),
        ({"augmentation_views": 4}, "augmentation_views (was 0, now 4)"),
        ({"precision": "bfloat16"}, "precision (was float32, now bfloat16)"),
        ({"schedule": "one_cycle"}, "schedule (was paper, now one_cycle)"),
        ({"gland_slices_only": "true"}, "gland_slices_only (was False, now true)"),
        ({"train::random_transforms::gamma": [0.5, 2]}, "gamma (was [0.7, 1.5], now [0.5, 2])"),
        # If the schedule follows from the length of the training, another length is another schedule.
        ({"lr_scheduler::step_size_down": "$@train#trainer#max_epochs * 5"}, "step_size_down (was not set, now 10)"),
    ],
)
def test_any_other_setting_is_named(train, one_error_line, overrides, words):
    train("run", 1)
    assert words in one_error_line(lambda: train("run", 2, **overrides))


def test_one_cycle_of_a_longer_training_is_another_schedule(train, one_error_line):
    """The trainings have 6 and 12 batches, and the learning rate falls for two thirds of the batches."""
    train("run", 1, schedule="one_cycle", batch_size=4)
    line = one_error_line(lambda: train("run", 2, schedule="one_cycle", batch_size=4))
    assert "last.pt: saved by a training with other lr_scheduler::step_size_down (was 4, now 8); use" in line


def test_paths_workers_output_and_other_words_for_the_same_may_change(train, tmp_path):
    train("run", 1)
    (tmp_path / "run").rename(tmp_path / "moved")
    same = {"lr_scheduler::base_lr": 0.000001, "gland_slices_only": "no", "seed": 0.0}
    train("moved", 2, **same, num_workers=1, run_name="mine", cache_dir=str(tmp_path / "prepared"))
    assert len((tmp_path / "moved" / "training.csv").read_text().splitlines()) == 3


def test_corrected_masks_are_named(train, one_error_line, dataset_dir, tmp_path):
    shutil.copytree(dataset_dir, tmp_path / "dataset")
    train("run", 1, dataset_dir=str(tmp_path / "dataset"))
    case = load_datalist(dataset_dir / "splits" / "all.json", "training", tmp_path / "dataset")[0]
    mask = nibabel.load(case["label"])
    nibabel.save(nibabel.Nifti1Image(np.roll(np.asarray(mask.dataobj), 1, axis=0), mask.affine), case["label"])
    line = one_error_line(lambda: train("run", 2, dataset_dir=str(tmp_path / "dataset")))
    assert f"last.pt: saved by a training with other mask of {case['case']} (was " in line


def test_a_checkpoint_of_another_version_is_one_line(train, one_error_line, tmp_path):
    train("run", 1)
    for run in ({"seed": 0, "learning_rate": 0.01}, None):
        checkpoint = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
        torch.save({**checkpoint, "run": run}, tmp_path / "run" / "last.pt")
        line = one_error_line(lambda: train("run", 2))
        assert "last.pt: saved by another version of this project; use --resume False" in line


def test_the_random_states_of_python_numpy_and_torch_come_back():
    states = RandomStates()
    saved = states.state_dict()

    def draw() -> tuple:
        import random

        return random.random(), np.random.rand(), torch.rand(1).item()

    first = draw()
    assert draw() != first
    states.load_state_dict(saved)
    assert draw() == first


def test_an_object_that_is_not_there_is_left_out(tmp_path):
    objects = {"network": torch.nn.Linear(1, 1), "teachers": None}
    checkpoint = ResumeCheckpoint(tmp_path / "last.pt", objects, {"run": {}})
    assert checkpoint.objects.keys() == {"network", "random"}


# The tests below use a training that is so small that they can check its checkpoints by hand.

BATCHES = [{}, {}]


@pytest.fixture
def counting(make_training, tmp_path) -> Callable[..., float]:
    """``counting(epochs)`` trains in ``tmp_path``, and returns the number of iterations of all runs together."""

    def run(epochs: int, resume: bool = True) -> float:
        training = make_training()
        provenance = {"run": run_identity(Settings({}), {})}
        ResumeCheckpoint(tmp_path / "last.pt", {"network": training.network}, provenance, resume).attach(
            training.trainer
        )
        training.trainer.run(BATCHES, max_epochs=epochs)
        return training.network.weight.item()

    return run


def iterations(file: Path) -> float:
    return read_checkpoint(file)["network"]["weight"].item()


def test_the_checkpoint_of_the_epoch_before_is_kept(counting, tmp_path):
    counting(1)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    for epoch in (2, 3):
        counting(epoch)
        assert iterations(tmp_path / "last.pt") == 2 * epoch
        assert iterations(tmp_path / "last.previous.pt") == 2 * (epoch - 1)


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", "a flipped bit"])
def test_a_damaged_checkpoint_is_passed_over_and_said(counting, tmp_path, caplog, damage):
    counting(3)
    last = tmp_path / "last.pt"
    last.write_bytes(damage(last.read_bytes()) if callable(damage) else flip_a_bit_of(6.0, last.read_bytes()))
    with caplog.at_level(logging.WARNING, "custom_components"):
        assert counting(4) == 8
    (warning,) = (record.message for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.startswith(f"{last}: not a readable checkpoint (")
    assert warning.endswith(f"; going on from {tmp_path / 'last.previous.pt'}")
    # The damaged checkpoint did not replace the checkpoint of the epoch before.
    assert iterations(tmp_path / "last.previous.pt") == 6
    assert iterations(last) == 8


def flip_a_bit_of(weight: float, whole: bytes) -> bytes:
    place = whole.index(np.float32(weight).tobytes())
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def test_a_missing_last_checkpoint_was_about_to_be_replaced(counting, tmp_path):
    counting(3)
    (tmp_path / "last.pt").unlink()
    assert counting(3) == 6


def test_two_damaged_checkpoints_are_one_line(counting, tmp_path):
    counting(2)
    for name in ("last.pt", "last.previous.pt"):
        (tmp_path / name).write_bytes(b"PK half")
    with pytest.raises(InputError, match=r"\A\S+/last.pt: no [^\n]*last.previous.pt: no [^\n]*; use --resume False\Z"):
        counting(3)


def test_a_training_that_starts_afresh_leaves_nothing_to_go_back_to(counting, tmp_path):
    counting(3)
    assert counting(1, resume=False) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_what_a_killed_writer_left_is_removed(counting, tmp_path):
    (tmp_path / ".123_last.pt").write_bytes(b"half")
    counting(1)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_full_disk_is_one_line_and_the_last_checkpoints_stay(counting, tmp_path):
    counting(2)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The limit of a file's size is smaller than a checkpoint, so the kernel refuses the rest, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(
            WriteError, match=r"\A\S+/last\.pt: cannot be written \(File too large\); what was there before"
        ):
            counting(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert counting(3) == 6
