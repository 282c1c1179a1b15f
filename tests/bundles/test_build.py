"""The checked-in configs are those that ``make configs`` writes."""

import shutil
import subprocess
import sys
from pathlib import Path

from shipped_bundles import FOLDERS

from custom_components.bundle.configs import lay_over


def check(repository: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "custom_components.bundle", "build", "--bundles", str(repository / "bundles")]
    return subprocess.run([*command, *options], capture_output=True, text=True)


def test_the_checked_in_configs_are_up_to_date(repository):
    result = check(repository, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_change_shows_its_diff_and_the_command_to_run(repository, tmp_path):
    shutil.copytree(repository / "bundles", tmp_path / "bundles", ignore=shutil.ignore_patterns("models", "output"))
    shutil.copy(repository / "LICENSE", tmp_path)
    source = tmp_path / "bundles" / "_base" / "train.yaml"
    source.write_text(source.read_text().replace("batch_size: 8\n", "batch_size: 5\n"))
    config = tmp_path / "bundles" / "enet" / "configs" / "train.json"
    before = config.read_text()

    result = check(tmp_path, "--check")
    assert result.returncode == 1
    assert f"{len(FOLDERS)} generated files differ from their sources; run: make configs" in result.stderr
    assert '-    "batch_size": 8,\n+    "batch_size": 5,\n' in result.stdout
    assert config.read_text() == before

    assert check(tmp_path).returncode == 0
    assert '"batch_size": 5' in config.read_text()
    assert check(tmp_path, "--check").returncode == 0


def test_changes_reach_into_mappings_and_lists():
    config = {"a": {"b": [1, {"c": 2}]}, "d": 3}
    changed = lay_over(config, {"a::b::1::c": 4, "a::b::0": 5, "a::e": 6, "d": "<remove>"})
    assert changed == {"a": {"b": [5, {"c": 4}], "e": 6}}
    assert config == {"a": {"b": [1, {"c": 2}]}, "d": 3}
