"""After kill -9 at any moment, --resume True gives the bits of an uninterrupted training (a real process, ENet)."""

import csv
import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from training_process import start

from custom_components.foundation.files import file_sha256

EPOCHS = 3
KILLS = 10


@pytest.fixture(scope="module")
def train(copy_bundles_to, dataset_dir, tmp_path_factory) -> Callable[..., BaseProcess]:
    """``train(folder)`` starts a training into a folder, or goes on with the one that it holds."""
    bundle = copy_bundles_to(tmp_path_factory.mktemp("bundles"), "enet") / "enet"

    def train(folder: Path, **options) -> BaseProcess:
        settings = {"dataset_dir": str(dataset_dir), "image_size": 32, "device": "cpu", "resume": True}
        # Such that the second epoch has better weights. With the 2000 steps of the default cycle a few epochs would not
        # tell.
        settings |= {"batch_size": 8, "augmentation": 0.5, "learning_rate": 0.03, "lr_scheduler::step_size_up": 5}
        settings |= {"output_dir": str(folder), "models_dir": str(folder / "models")}
        return start(bundle, **settings, **{"train::trainer::max_epochs": EPOCHS}, **options)

    return train


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory) -> Path:
    """The folder of the uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    finish(train(folder))
    return folder


def finish(process: BaseProcess) -> None:
    process.join()
    assert process.exitcode == 0


def results(folder: Path) -> tuple:
    """The files that two equal trainings have in common: the best weights, the last weights, and the log."""
    provenance = json.loads((folder / "models" / "provenance.json").read_text())
    assert provenance["weights_sha256"] == file_sha256(folder / "models" / "model.pt")
    last = torch.load(folder / "last.pt", weights_only=True)["network"]
    weights = {key: value.numpy().tobytes() for key, value in last.items()}
    return provenance["weights_sha256"], provenance["epoch"], weights, (folder / "training.csv").read_bytes()


def test_the_next_training_removes_what_a_killed_writer_left(train, tmp_path):
    (tmp_path / "models").mkdir()
    files = ["last.pt", "training.csv", "models/model.pt", "models/provenance.json"]
    left = [(tmp_path / file).with_name(f".1_2_{Path(file).name}") for file in files]
    for file in left:
        file.write_text("half")
    finish(train(tmp_path))
    assert all((tmp_path / file).is_file() for file in files)
    assert not any(file.exists() for file in left)


def test_killed_at_random_moments(train, whole, tmp_path):
    run, moments, kills = tmp_path / "run", random.Random(0), 0
    begin = time.monotonic()
    finish(train(run))
    duration = time.monotonic() - begin
    while kills < KILLS:
        assert results(run) == results(whole)
        shutil.rmtree(run)
        process = train(run)
        while True:
            process.join(moments.uniform(0, duration))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL  # it may have ended in this moment
            process = train(run)
        assert process.exitcode == 0
    assert results(run) == results(whole)
    assert not list(tmp_path.rglob(".*")), "a killed writer's file was left"


def test_killed_while_files_are_replaced(train, whole, tmp_path):
    scores = [float(row["val_mean_dice"]) for row in csv.DictReader((whole / "training.csv").open())]
    improvements = sum(score > max(scores[:epoch], default=-1) for epoch, score in enumerate(scores))
    assert improvements > 1, "no better weights ever replace weights"
    for moment in (
        # in the first epoch
        ("provenance.json", 1),
        ("model.pt", 1),  # its provenance is in place already
        ("training.csv", 1),
        ("last.pt", 1),
        # in the second
        ("last.previous.pt", 1),
        ("last.pt", 1),  # there is a last.previous.pt, and no last.pt
        # the last better weights, which replace others
        ("model.pt", improvements - 1),
    ):
        process = train(tmp_path, dies_at=moment)
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"{moment} never came"
    finish(train(tmp_path))
    assert results(tmp_path) == results(whole)
