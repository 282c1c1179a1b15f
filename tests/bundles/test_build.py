"""The checked-in configs equal the files that ``make configs`` writes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from shipped_bundles import FOLDERS

from custom_components.bundle.__main__ import main
from custom_components.bundle.configs import lay_over


@pytest.fixture
def build(capsys) -> Callable[..., SimpleNamespace]:
    """``build(repository, "--check")`` runs the command, and returns its exit code and its output."""

    def run(repository: Path, *options: str) -> SimpleNamespace:
        code = main(["build", "--bundles", str(repository / "bundles"), *options])
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return run


def test_the_checked_in_configs_are_up_to_date(repository, build):
    result = build(repository, "--check")
    assert result.code == 0, result.out + result.err


def test_a_change_shows_its_diff_and_the_command_to_run(repository, build, tmp_path):
    shutil.copytree(repository / "bundles", tmp_path / "bundles", ignore=shutil.ignore_patterns("models", "output"))
    shutil.copy(repository / "LICENSE", tmp_path)
    source = tmp_path / "bundles" / "_base" / "train.yaml"
    source.write_text(source.read_text().replace("batch_size: 8\n", "batch_size: 5\n"))
    config = tmp_path / "bundles" / "enet" / "configs" / "train.json"
    before = config.read_text()

    result = build(tmp_path, "--check")
    assert result.code == 1
    assert f"{len(FOLDERS)} generated files differ from their sources; run: make configs" in result.err
    assert '-    "batch_size": 8,\n+    "batch_size": 5,\n' in result.out
    assert config.read_text() == before

    assert build(tmp_path).code == 0
    assert '"batch_size": 5' in config.read_text()
    assert build(tmp_path, "--check").code == 0


def test_changes_reach_into_mappings_and_lists():
    config = {"a": {"b": [1, {"c": 2}]}, "d": 3}
    changed = lay_over(config, {"a::b::1::c": 4, "a::b::0": 5, "a::e": 6})
    assert changed == {"a": {"b": [5, {"c": 4}], "e": 6}, "d": 3}
    assert config == {"a": {"b": [1, {"c": 2}]}, "d": 3}
