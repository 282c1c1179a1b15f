"""Wheels of the project, built from copies of the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

NOT_COPIED = (".*", "runs", "dist", "build", "models", "output", "*.egg-info", "__pycache__")


def copy_checkout(repository: Path, folder: Path) -> Path:
    """Copy the files of a checkout that git does not ignore."""
    return shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))


def build_wheel(project: Path, folder: Path) -> Path:
    """Build a project's wheel into a folder."""
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, project]
    subprocess.run([sys.executable, "-m", "pip", *map(str, command)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
