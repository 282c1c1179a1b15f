"""Bundles trained for one epoch through MONAI's command line, in a copy of the repository's folder."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.bundle import run_command

EPOCHS = "train::trainer::max_epochs"


def start(cwd: Path, run_id: str, config: str | Path, **options: object) -> subprocess.Popen:
    command = run_command(run_id, config, {"image_size": 32, "device": "cpu", **options})
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def succeed(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="session")
def monai_bundle() -> Callable[..., str]:
    """``monai_bundle(cwd, "training", config, **options)`` runs the command and returns its output."""
    return lambda *arguments, **options: succeed(start(*arguments, **options))


@pytest.fixture(scope="session")
def monai_bundle_fails() -> Callable[..., str]:
    """The same as ``monai_bundle``, for a command that must end with exit code 1."""

    def run(*arguments, **options) -> str:
        process = start(*arguments, **options)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 1, output
        return output

    return run


@pytest.fixture(scope="session")
def repo(tmp_path_factory, repository, copy_bundles_to, dataset_dir) -> Path:
    """A copy of the repository with three students, trained from its root, from inside the bundle, and from /."""
    repo = tmp_path_factory.mktemp("repo")
    copy_bundles_to(repo / "bundles", "enet", "espnet", "mobilenetv2", "distillation")
    before = sorted(repository.glob("bundles/*/*"))
    options = {"dataset_dir": dataset_dir, EPOCHS: 1}
    trainings = [
        start(repo, "training", "bundles/espnet/configs/train.json", **options),
        start(repo / "bundles" / "mobilenetv2", "training", "configs/train.json", **options),
        start(Path("/"), "training", repo / "bundles" / "enet" / "configs" / "train.json", **options),
    ]
    for training in trainings:
        succeed(training)
    assert sorted(repository.glob("bundles/*/*")) == before, "the checkout was written into"
    return repo


@pytest.fixture(scope="session")
def distilled(repo, copy_bundles_to, dataset_dir, monai_bundle) -> Path:
    """The bundle of a student distilled from two teachers."""
    student = copy_bundles_to(repo / "students", "enet") / "enet"
    student = student.rename(repo / "bundles" / "distilled")
    monai_bundle(
        repo,
        "training",
        "bundles/distillation/configs/train.json",
        dataset_dir=dataset_dir,
        student="distilled",
        teachers="['espnet','mobilenetv2']",
        **{EPOCHS: 2},
    )
    return student
