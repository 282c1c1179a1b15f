"""Bundles trained for one epoch through MONAI's command line, in a copy of the repository's folder."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess

import pytest

from custom_components.bundle import run_command
from custom_components.forked_python import run_forked

EPOCHS = "train::trainer::max_epochs"


def run(cwd: Path, run_id: str, config: str | Path, fork: bool = True, **options: object) -> CompletedProcess:
    """``python -m monai.bundle run``; without ``fork`` in a new interpreter, as a user starts it."""
    command = run_command(run_id, config, {"image_size": 32, "device": "cpu", **options})
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    if fork:
        return run_forked(command, cwd, environment)
    return subprocess.run(command, cwd=cwd, env=environment, stdout=PIPE, stderr=STDOUT, text=True, timeout=300)


@pytest.fixture(scope="session")
def monai_bundle() -> Callable[..., str]:
    """``monai_bundle(cwd, "training", config, **options)`` runs the command and gives what it printed."""

    def succeed(*arguments, **options) -> str:
        done = run(*arguments, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return succeed


@pytest.fixture(scope="session")
def monai_bundle_fails() -> Callable[..., str]:
    """As ``monai_bundle``, for a command that must end with exit code 1, in an interpreter of its own."""

    def fail(*arguments, **options) -> str:
        done = run(*arguments, fork=False, **options)
        assert done.returncode == 1, done.stdout
        return done.stdout

    return fail


@pytest.fixture(scope="session")
def repo(tmp_path_factory, repository, copy_bundles_to, dataset_dir, monai_bundle) -> Path:
    """A repository of its own whose three students are trained: from its root, from inside the bundle, and from /."""
    repo = tmp_path_factory.mktemp("repo")
    copy_bundles_to(repo / "bundles", "enet", "espnet", "mobilenetv2", "distillation")
    before = sorted(repository.glob("bundles/*/*"))
    options = {"dataset_dir": dataset_dir, EPOCHS: 1}
    monai_bundle(repo, "training", "bundles/espnet/configs/train.json", **options)
    monai_bundle(repo / "bundles" / "mobilenetv2", "training", "configs/train.json", **options)
    config = repo / "bundles" / "enet" / "configs" / "train.json"
    monai_bundle(Path("/"), "training", config, fork=False, **options)
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
