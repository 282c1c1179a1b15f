"""A training in another process, so that a test can kill it."""

import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from custom_components.forked_python import SERVER


def start(bundle: Path, dies_at: tuple[str, int] | None = None, **overrides: Any) -> BaseProcess:
    """Start ``run training`` of a bundle.

    ``dies_at=("last.pt", 2)`` kills the process with -9 after the new file is written and before it replaces last.pt
    for the second time.
    """
    process = SERVER.Process(target=_train, args=(bundle, dies_at, overrides))
    process.start()
    return process


def _train(bundle: Path, dies_at: tuple[str, int] | None, overrides: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    if dies_at:
        _die_at(*dies_at)
    workflow = ConfigWorkflow(config_file=str(bundle / "configs" / "train.json"), bundle_root=str(bundle), **overrides)
    workflow.initialize()
    workflow.run()


def _die_at(name: str, time: int) -> None:
    replace, seen = os.replace, []

    def replace_or_die(source: Path, target: Path) -> None:
        if Path(target).name == name:
            seen.append(target)
            if len(seen) == time:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = replace_or_die
