"""The commands of a page, run as its reader runs them, in a folder of their own."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from custom_components.forked_python import run_forked

REPOSITORY = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
VALUE = re.compile(r"([A-Z]+)=(\S*)(?: +#.*)?")


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of bash, each with its continuations, without lines that are only a comment."""
    lines = re.sub(r" *\\\n *", " ", "\n".join(BLOCK.findall(page.read_text()))).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def follow(
    page: Path, folder: Path, shorter: Mapping[str, str], environment: Mapping[str, str], fork: bool = True
) -> dict[str, str]:
    """Run every command of a page in bash, as typed one after the other, and return the output of each.

    Args:
        page: the page.
        folder: the working directory, in the place of the repository's root.
        shorter: values for variables that the page sets, so that the work takes seconds.
        environment: further variables of the environment.
        fork: whether ``python -m`` starts in a process that has imported MONAI, which is faster.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    printed = {}
    for command in commands(page):
        if value := VALUE.fullmatch(command):
            environment[value[1]] = shorter.get(value[1], value[2])
            continue
        if fork and command.startswith("python -m "):
            words = [_filled_in(word, environment) for word in shlex.split(command, comments=True)]
            done = run_forked([sys.executable, *words[1:]], folder, environment)
        else:
            done = subprocess.run(
                ["bash", "-euc", command],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        printed[command] = done.stdout
    unknown = shorter.keys() - environment.keys()
    assert not unknown, f"{page.name} does not set {unknown}"
    return printed


def _filled_in(word: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: environment[name[1]], word)
