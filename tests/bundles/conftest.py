"""Bundles trained for one epoch through MONAI's command line, in a copy of the repository's folder."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from forked_python import ForkedPython

from custom_components.bundle import run_command

EPOCHS = "train::trainer::max_epochs"


@dataclass
class Started:
    process: subprocess.Popen | ForkedPython
    output: IO[str]

    def end(self, code: int) -> str:
        """Wait for the process, which must end with this exit code, and give what it printed."""
        with self.output:
            self.process.wait(timeout=300)
            self.output.seek(0)
            printed = self.output.read()
        assert self.process.returncode == code, printed
        return printed


def start(cwd: Path, run_id: str, config: str | Path, python: type = ForkedPython, **options: object) -> Started:
    """Start ``python -m monai.bundle run``; with ``python=subprocess.Popen`` in a new interpreter, as a user does."""
    command = run_command(run_id, config, {"image_size": 32, "device": "cpu", **options})
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    output = tempfile.NamedTemporaryFile("r+")  # noqa: SIM115 - open until the process has ended
    return Started(python(command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT), output)


@pytest.fixture(scope="session")
def monai_bundle() -> Callable[..., str]:
    """``monai_bundle(cwd, "training", config, **options)`` runs the command and gives what it printed."""
    return lambda *arguments, **options: start(*arguments, **options).end(code=0)


@pytest.fixture(scope="session")
def monai_bundle_fails() -> Callable[..., str]:
    """As ``monai_bundle``, for a command that must end with exit code 1, in an interpreter of its own."""
    return lambda *arguments, **options: start(*arguments, python=subprocess.Popen, **options).end(code=1)


@pytest.fixture(scope="session")
def repo(tmp_path_factory, repository, copy_bundles_to, dataset_dir) -> Path:
    """A repository of its own whose three students are trained: from its root, from inside the bundle, and from /."""
    repo = tmp_path_factory.mktemp("repo")
    copy_bundles_to(repo / "bundles", "enet", "espnet", "mobilenetv2", "distillation")
    before = sorted(repository.glob("bundles/*/*"))
    options = {"dataset_dir": dataset_dir, EPOCHS: 1}
    trainings = [
        start(repo, "training", "bundles/espnet/configs/train.json", **options),
        start(repo / "bundles" / "mobilenetv2", "training", "configs/train.json", **options),
        start(Path("/"), "training", repo / "bundles/enet/configs/train.json", python=subprocess.Popen, **options),
    ]
    for training in trainings:
        training.end(code=0)
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
