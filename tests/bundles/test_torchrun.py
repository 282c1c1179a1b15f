"""Two processes that train together, as torchrun starts them, against one; and every bundle's multi_gpu_train.json."""

import csv
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import pytest
import torch
from monai.bundle import ConfigWorkflow
from shipped_bundles import NAMES
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from custom_components.bundle import run_command
from custom_components.forked_python import ForkedPython
from custom_components.foundation.files import read_json, write_json
from custom_components.networks.sync_batch_norm import CpuSyncBatchNorm

EPOCHS = "train::trainer::max_epochs"
TEACHERS = ["espnet", "mobilenetv2"]

# Only means over samples fall apart into halves: Dice and Lovász pool the pixels of a process's own batch, and so do
# weights of teachers adapted to a batch. Dropout differs from process to process.
CROSS_ENTROPY = {"dice": 0.0, "lovasz": 0.0, "cross_entropy": 1.0}
DROPOUT = "$[setattr(m, 'p', {p}) for m in @network_def.modules() if isinstance(m, torch.nn.Dropout2d)]"
RUN = "$@train#trainer.run()"
COMMON = {
    "lr_scheduler::step_size_up": 6,
    # With its own 1e-8, Adam takes a whole step along a gradient of nearly 0, whose sign is a matter of rounding.
    "optimizer::eps": 1e-2,
    "learning_rate": 1e-3,
    # Each process draws its own random transforms.
    "augmentation": 0,
    EPOCHS: 2,
}
WITHOUT_DROPOUT = {"training": [DROPOUT.format(p=0.0), RUN]}
# Two more epochs, with ENet's own dropout, after the checkpoint of the second was put by.
GO_ON = [
    "$@is_not_rank0 or os.link(@output_dir + '/last.pt', @output_dir + '/half.pt')",
    DROPOUT.format(p=0.1),
    "$setattr(@train#trainer.state, 'max_epochs', 4)",
    RUN,
]
ENET = {**COMMON, **{f"loss::{name}_weight": value for name, value in CROSS_ENTROPY.items()}}
DISTILLATION = {
    **COMMON,
    "student": "pupil",
    "teachers": TEACHERS,
    **{f"loss::terms::{name}::weight": value for name, value in CROSS_ENTROPY.items()},
    "loss::scope": "sample",
}
# Two processes with half the batch each take the same samples as one, in the same order.
TWO = {"batch_size": 4, "train::sampler::shuffle": False}
ONE = {"batch_size": 8, "train::dataloader::shuffle": False}


def train_in_two_processes(bundle: Path, dataset_dir: Path, torchrun: bool = False, **options: Any) -> str:
    """Run ``training`` and give what it printed: under torchrun, or in two forks with the environment that it gives."""
    configs = [str(bundle / "configs" / f"{name}.json") for name in ("train", "multi_gpu_train")]
    settings = {"dataset_dir": dataset_dir, "image_size": 32, "device": "cpu", **TWO, **options}
    command = run_command("training", str(configs), settings)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile("r+") as output:
        to = {"stdout": output, "stderr": subprocess.STDOUT}
        if torchrun:
            python, *rest = command
            words = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port", str(free_port())]
            processes = [subprocess.Popen([python, *words, *rest], env=environment, **to)]
        else:
            port = free_port()
            processes = [ForkedPython(command, env=environment | place_of(rank, 2, port), **to) for rank in range(2)]
        codes = [process.wait(timeout=300) for process in processes]
        output.seek(0)
        printed = output.read()
    assert not any(codes), printed
    return printed


def place_of(rank: int, processes: int, port: int) -> dict[str, str]:
    """The environment that torchrun gives to a process of one machine."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    return {**{key: str(value) for key, value in place.items()}, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def rows(output: Path) -> list[dict[str, float]]:
    with (output / "training.csv").open(encoding="utf-8") as log:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(log)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, copy_bundles_to, make_trained) -> Path:
    """ENet and a student of the distillation, untrained, beside two teachers with random weights."""
    folder = copy_bundles_to(tmp_path_factory.mktemp("two") / "bundles", "enet", "distillation")
    copy_bundles_to(folder / "copies", "enet").joinpath("enet").rename(folder / "pupil")
    for name in TEACHERS:
        (folder / name).symlink_to(make_trained(name).path)
    return folder


@pytest.fixture
def train_in_one_process(workflow, tmp_path) -> Callable[..., list[dict[str, float]]]:
    def run(bundle: Path, **options: Any) -> list[dict[str, float]]:
        folders = {"output_dir": str(tmp_path / "output"), "models_dir": str(tmp_path / "models")}
        workflow(bundle, "train", run_id="training", **folders, **ONE, **options).run()
        return rows(tmp_path / "output")

    return run


def assert_same_curves(two: list[dict[str, float]], one: list[dict[str, float]]) -> None:
    """All terms and weights but for what adding up in another order does to 32-bit floats.

    Gradient norms are left out: each process measures its own half. The validation's Dice counts pixels, many of which
    are as likely of either class while a network has hardly learnt: of the 3,072 pixels of a case, other kernels turn
    a few, and each is worth 0.0007.
    """
    assert [list(row) for row in two] == [list(row) for row in one]
    for own, other in zip(two, one, strict=True):
        assert own["val_mean_dice"] == pytest.approx(other["val_mean_dice"], abs=0.01)
        continuous = [key for key in own if not key.startswith(("grad_", "val_mean_dice"))]
        expected = {key: other[key] for key in continuous}
        assert {key: own[key] for key in continuous} == pytest.approx(expected, rel=5e-3, abs=1e-3)


def assert_same_weights(two: Path, one: Path) -> None:
    """The networks of two checkpoints, which the Dice was measured of, but for rounding."""
    states = [torch.load(checkpoint, weights_only=True)["network"] for checkpoint in (two, one)]
    for own, other in zip(*(state.values() for state in states), strict=True):
        # A running variance of few values gathers rounding.
        torch.testing.assert_close(own, other, rtol=2e-2, atol=5e-3)


def test_two_processes_train_as_one_and_resume(bundles, dataset_dir, train_in_one_process, tmp_path):
    enet, half = bundles / "enet", bundles / "enet" / "output" / "half.pt"
    steps = [*WITHOUT_DROPOUT["training"], *GO_ON]
    printed = train_in_two_processes(enet, dataset_dir, torchrun=True, **ENET, training=steps)
    assert sorted(path.name for path in (enet / "models").iterdir()) == ["model.pt", "provenance.json"]
    events, *others = sorted(path.name for path in (enet / "output").iterdir())
    assert events.startswith("events.out.tfevents")
    assert others == ["half.pt", "last.previous.pt", "last.pt", "training.csv"]
    assert printed.count("training_log INFO: epoch 2/2") == 1
    assert printed.count("SupervisedTrainer INFO: Engine run finished") == 2
    weights = torch.load(enet / "models" / "model.pt", weights_only=True)
    assert not any(key.startswith("module.") for key in weights)

    # The three cases of the validation fall to two processes as two and one.
    assert_same_curves(rows(enet / "output")[:2], train_in_one_process(enet, **ENET, **WITHOUT_DROPOUT))
    assert_same_weights(half, tmp_path / "output" / "last.pt")

    folders = {"output_dir": bundles / "resumed", "models_dir": bundles / "resumed"}
    options = {**ENET, **folders, EPOCHS: 4, "resume": True, "checkpoint::path": half, "training": [RUN]}
    printed = train_in_two_processes(enet, dataset_dir, **options)
    assert printed.count("resumed from") == 1
    assert rows(bundles / "resumed") == rows(enet / "output")
    whole, resumed = (torch.load(file, weights_only=True) for file in (enet / "output" / "last.pt", half))
    assert all(torch.equal(value, resumed["network"][key]) for key, value in whole["network"].items())


def test_two_processes_distil_as_one(bundles, dataset_dir, train_in_one_process, tmp_path):
    train_in_two_processes(bundles / "distillation", dataset_dir, **DISTILLATION, **WITHOUT_DROPOUT)
    expected = train_in_one_process(bundles / "distillation", **DISTILLATION, **WITHOUT_DROPOUT)
    assert {"importance", "region_contrast", "prediction", "weight_espnet"} <= expected[0].keys()
    assert_same_curves(rows(bundles / "pupil" / "output"), expected)
    assert_same_weights(bundles / "pupil" / "output" / "last.pt", tmp_path / "output" / "last.pt")


def test_two_processes_share_the_images_without_masks(bundles, dataset_dir, tmp_path):
    split = read_json(dataset_dir / "splits" / "all.json")
    hidden = [{key: case[key] for key in case if not key.startswith("label")} for case in split["training"][2:]]
    write_json(tmp_path / "split.json", {**split, "training": split["training"][:2], "unlabeled": hidden})
    folders = {"output_dir": tmp_path / "output", "models_dir": tmp_path / "models"}
    options = {**DISTILLATION, **folders, EPOCHS: 1, "datalist": tmp_path / "split.json", "unlabeled": True}
    options["loss::preset"] = "measured"  # its terms of features and probabilities are in the log too
    del options["lr_scheduler::step_size_up"]
    train_in_two_processes(bundles / "distillation", dataset_dir, **{**options, "train::sampler::shuffle": True})
    (row,) = rows(tmp_path / "output")
    assert {"cross_entropy", "region_contrast", "prediction", "weight_espnet"} <= row.keys()
    # Three batches of 4 slices in each of two processes: the epoch has those of all 24 slices.
    assert torch.load(tmp_path / "output" / "last.pt", weights_only=True)["trainer"]["iteration"] == 3
    record = read_json(tmp_path / "models" / "provenance.json")
    assert [len(record["cases"][part]) for part in ("training", "unlabeled")] == [2, 4]


@pytest.fixture
def one_of_one(monkeypatch):
    """The environment that torchrun gives to the only process of one."""
    for key, value in place_of(rank=0, processes=1, port=free_port()).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # torch puts the rank before every error
    yield
    if torch.distributed.is_initialized():
        idist.finalize()


@pytest.fixture
def multi_gpu_workflow(bundles, repository, dataset_dir, tmp_path, monkeypatch) -> Callable[..., ConfigWorkflow]:
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def make(name: str) -> ConfigWorkflow:
        configs = repository / "bundles" / name / "configs"
        options = {"bundle_root": str(configs.parent), "dataset_dir": str(dataset_dir), "output_dir": str(tmp_path)}
        if name == "distillation":
            options |= {"bundles_dir": str(bundles), "student": "pupil", "teachers": TEACHERS}
        return ConfigWorkflow(
            config_file=[str(configs / "train.json"), str(configs / "multi_gpu_train.json")],
            workflow_type="train",
            **{"image_size": 32, "device": "cpu", **options},
        )

    return make


@pytest.mark.parametrize("name", NAMES)
def test_every_bundle_resolves(one_of_one, multi_gpu_workflow, name):
    workflow = multi_gpu_workflow(name)
    workflow.initialize()
    resolve = workflow.parser.get_parsed_content
    trainer, network = resolve("train#trainer"), resolve("network_def")
    assert isinstance(trainer.network, DistributedDataParallel)
    assert trainer.network.module is network
    assert resolve("validate#evaluator").network is network
    normalisations = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert normalisations
    assert all(type(m) is CpuSyncBatchNorm for m in normalisations)
    assert trainer.data_loader.sampler is resolve("train#sampler")
    assert len(trainer.data_loader) == 3
    assert workflow.check_properties() == []


def test_without_torchrun_it_says_so(multi_gpu_workflow, one_error_line, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    line = one_error_line(multi_gpu_workflow("enet").initialize)
    assert "multi_gpu_train.json: not started by torchrun; use torchrun --nproc_per_node=<GPUs>" in line
