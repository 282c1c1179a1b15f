"""The command line of a bundle's run, as a MONAI user would type it."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_command(run_id: str, config: str | Path, options: Mapping[str, Any]) -> list[str]:
    """The words of a command ``python -m monai.bundle run``, for :mod:`subprocess` without a shell.

    Args:
        run_id: which part of the config runs: ``training``, ``evaluating``, ``inference`` or ``preparing``.
        config: file of the bundle's config.
        options: values by their ids in the config, such as ``train::trainer::max_epochs``. A list may hold any names
            and paths: :mod:`custom_components.options` reads each item exactly as it is given here.

    >>> run_command("training", "enet/configs/train.json", {"seed": 1, "teachers": ["north", "it's #2"]})[2:]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['monai.bundle', 'run', 'training', '--config_file=enet/configs/train.json', '--seed=1',
     '--teachers=["north", "it\\'s #2"]']
    """
    # With a =, a value that starts with - is still a value.
    typed = [f"--{key}={_typed(value)}" for key, value in {"config_file": config, **options}.items()]
    return [sys.executable, "-m", "monai.bundle", "run", run_id, *typed]


def _typed(value: Any) -> str:
    return f"[{', '.join(map(_item, value))}]" if isinstance(value, list | tuple) else str(value)


def _item(value: Any) -> str:
    """An item of a list: a name or path in quotes, anything else as Python writes it."""
    return '"' + re.sub(r'(["\\])', r"\\\1", str(value)) + '"' if isinstance(value, str | Path) else repr(value)
