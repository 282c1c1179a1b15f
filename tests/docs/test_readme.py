"""The front page is short, shows a picture first, tells the figures of the results, and each of its commands works."""

import json
import os
import re
import shlex
import struct
from pathlib import Path

import pytest
import test_makefile
from page_commands import commands

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
PROGRAMS = ("make", "segment", "python", "pip", "torchrun", "docker", "curl")

make = test_makefile.make

# The program that each make command of the page starts, with the first of its arguments.
STARTED = {
    "make test": ["-m", "pytest"],
    "make docs": ["build", "--quiet"],
    "make package BUNDLE=enet": ["-m", "custom_components.bundle", "package", "enet"],
    "make export BUNDLE=enet": ["-m", "custom_components.bundle", "export", "enet"],
    "make label STUDIES=/data/t2 MODELS=enet": ["-m", "integrations.monai_label", "--studies", "/data/t2"],
    "make node CONFIG=node.yaml": ["-m", "student_runner.node", "node.yaml"],
    "make deploy BUNDLE=enet IN=/data/study OUT=results": ["integrations/monai_deploy"],
    "make web STUDENT=student.onnx OUT=page": ["web/build.js", "student.onnx", "page"],
}
# tests/hosts/site/test_demo.py runs this command, which trains.
DEMO = "make demo"
# The tutorials' tests run this command, with a student that they have trained.
SEGMENT = "segment student.onnx image.nii.gz mask.nii.gz"


def commands_of_the_page() -> set[str]:
    typed = [re.sub(r" +#.*", "", command) for command in commands(REPOSITORY / "README.md")]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    return {*typed, *(text for text in inline if text.partition(" ")[0] in PROGRAMS and " " in text)}


def test_the_page_is_short_and_shows_a_small_picture_first():
    lines = README.splitlines()
    assert len(lines) <= 120
    alt, file = re.fullmatch(r"!\[(.+)\]\((.+)\)", lines[2]).groups()
    picture = (REPOSITORY / file).read_bytes()
    assert len(picture) < 300_000
    width, height = struct.unpack(">II", picture[16:24])  # the first chunk of a PNG
    assert width > 2 * height
    assert "phantom" in alt


def test_a_test_runs_every_command_of_the_page():
    assert commands_of_the_page() == {DEMO, SEGMENT, *STARTED}


@pytest.mark.parametrize("command", STARTED)
def test_a_make_command_starts_its_program(make, tmp_path, monkeypatch, command):
    for file in ("configs/inference.json", "models/model.pt", "models/student.onnx"):
        (tmp_path / "bundles" / "enet" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundles" / "enet" / file).touch()
    stand_in = tmp_path / "python"
    (tmp_path / "bin").mkdir()
    for name in ("node", "npm", "mkdocs"):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\n[ "$1" = -e ] || exec {stand_in} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "docs" / "site").mkdir(parents=True)
    (tmp_path / "docs" / "site" / "requirements.txt").touch()
    (tmp_path / "ready").touch()
    _, target, *words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words)
    others = {"NODE_MODULES": "ready", "PYTHON": str(stand_in), "DOCS_VENV": str(tmp_path)}
    calls, done = make(target, **variables, **others)
    assert done.returncode == 0, done.stderr
    start = STARTED[command]
    assert calls[0][: len(start)] == start


def test_the_figures_of_a_new_site_are_those_of_the_results():
    told = {"no mask": "mean of the teachers", "1 mask": "alone, 1 mask", "2 masks": "alone, 2 masks"}
    for masks, other in told.items():
        differences = re.findall(rf"^.*\| {masks} \|.*\| (.*) \|$", README, re.MULTILINE)
        # In the strong teacher's results the names of the networks stand before the names of their trainings.
        for difference, (file, network) in zip(
            differences, [("new_site", ""), ("new_site_strong", "ENet ")], strict=True
        ):
            results = json.loads((REPOSITORY / "docs" / "results" / f"{file}.json").read_text())
            pair = f"{network}distilled, {masks}", other if masks == "no mask" else f"{network}{other}"
            (found,) = [row for row in results["new_sites"] if (row["student"], row["minus"]) == pair]
            shown = [float(number) for number in re.findall(r"[+-][\d.]+", difference)]
            assert shown == pytest.approx([found["dice_points"], *found["interval_95"]], abs=0.051)
