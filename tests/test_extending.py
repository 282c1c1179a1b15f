"""These tests follow the recipes of docs/extending.md exactly, in a copy of the repository."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.forked_python import run_forked

COPIED = ("bundles", "custom_components", "data_prep", "tests", "docs", "LICENSE", "pyproject.toml", "requirements.txt")
NOT_COPIED = shutil.ignore_patterns("models", "output", "__pycache__", "hosts", "*.npz", "*.png")


class Recipe:
    """A section of the page. Its blocks of code, each with a file name, are put into a copy of the repository."""

    def __init__(self, page: str, heading: str, copy: Path) -> None:
        section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        steps = re.findall(r"\*\*\d\. .*?`([\w/.]+)`.*?```\w+\n(.*?)```", section, re.DOTALL)
        self.text = {Path(file): code for file, code in steps}
        self.copy = copy

    def write_new_files(self) -> None:
        for file, code in self.text.items():
            if not (self.copy / file).exists():
                (self.copy / file).parent.mkdir(exist_ok=True)
                (self.copy / file).write_text(code)

    def add_line(self, file: str, before: str) -> None:
        """Put the only line for a file into the copy, in front of the line that begins with ``before``."""
        (line,) = self.text[Path(file)].splitlines()
        text = (self.copy / file).read_text()
        assert text.count(f"\n{before}") == 1
        (self.copy / file).write_text(text.replace(f"\n{before}", f"\n{line}\n{before}"))


@pytest.fixture(scope="module")
def copy(repository, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=NOT_COPIED)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def python(copy) -> Callable[..., str]:
    """``python("-m", "pytest", ...)`` runs in the copy, on the copy's code, and returns its output."""

    def run(*arguments: str) -> str:
        environment = {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PATH": ""}
        done = run_forked([sys.executable, *arguments], copy, environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture
def recipe(repository, copy) -> Callable[[str], Recipe]:
    """``recipe("A network")`` gives the section with this heading."""
    return lambda heading: Recipe((repository / "docs" / "extending.md").read_text(), heading, copy)


def passed(report: str) -> int:
    return int(re.search(r"(\d+) passed", report)[1])


def test_a_network_is_three_files_and_its_tests_come_by_themselves(recipe, python, copy):
    network = recipe("A network")
    init = "custom_components/networks/__init__.py"
    assert [str(file) for file in network.text] == [
        "custom_components/networks/unet.py",
        init,
        "bundles/unet/bundle.yaml",
    ]
    network.write_new_files()
    network.add_line(init, "\n__all__")
    built = python("-m", "custom_components.bundle", "build").splitlines()
    assert built
    assert all(line.startswith("wrote bundles/unet/") for line in built)
    assert (copy / "bundles" / "unet" / "configs" / "inference.json").is_file()
    files = ["tests/bundles/test_contract.py", "tests/bundles/test_configs.py"]
    report = python("-m", "pytest", "-vv", "-p", "no:cacheprovider", *files, "-k", "unet or every_network_has")
    for name in ("number_of_parameters", "taps", "size_of_the_input", "gradient", "resumed", "every_network_has"):
        assert re.search(rf"::test_\w*{name}\S* PASSED", report), report
    assert passed(report) > 20


def test_a_loss_term_is_two_files(recipe, python, copy):
    term = recipe("A loss term")
    table = "custom_components/loss_terms.py"
    assert [str(file) for file in term.text] == ["custom_components/losses/focal.py", table]
    term.write_new_files()
    term.add_line(table, "}\n# These terms compare the student with its teachers.")
    files = ["tests/losses/test_sum_of_terms.py", "tests/test_docstrings.py"]
    assert passed(python("-m", "pytest", "-vv", "-p", "no:cacheprovider", *files, "-k", "focal")) >= 2
    (copy / "use.py").write_text("""
import torch
from custom_components.losses import SegmentationLoss
from torch.nn.functional import cross_entropy
logits, mask = torch.randn(2, 2, 8, 8), torch.randint(2, (2, 1, 8, 8))
loss = SegmentationLoss(terms={"focal": {"weight": 0.5, "gamma": 0}})
assert torch.allclose(loss.terms(logits, mask)["focal"], cross_entropy(logits, mask[:, 0]))
""")
    python("-m", "use")
