"""Every example in a docstring gives the result that stands below it."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("custom_components", "data_prep", "experiments", "reporting")
MODULES = sorted(
    ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
    for package in PACKAGES
    for file in (REPOSITORY / package).rglob("*.py")
    if ">>> " in file.read_text()
)


def test_the_losses_and_the_tables_have_examples():
    assert {"custom_components.foundation.tables", "custom_components.losses.lovasz"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name):
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0
