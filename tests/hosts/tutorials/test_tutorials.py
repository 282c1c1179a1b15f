"""A reader of a tutorial types its commands on a phantom, with smaller sizes, and gets what the tutorial says."""

import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import pytest
from page_commands import follow

from custom_components.foundation.files import file_sha256, read_json

TUTORIALS = Path(__file__).resolve().parents[3] / "docs" / "tutorials"
SHORT = {"SIZE": "32", "EPOCHS": "1", "CASES": "3"}


@pytest.fixture
def reader(repository, copy_bundles, tmp_path) -> Callable[[str], dict[str, str]]:
    """``reader("nnunet.md")`` follows a tutorial in ``tmp_path``, and returns what each command printed."""
    copy_bundles("enet", "distillation")
    programs = {"segment": "-m student_runner", "nnUNetv2_predict": repository / "tests" / "nnunet_files.py"}
    (tmp_path / "bin").mkdir()
    for name, module in programs.items():
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{repository}:{repository / 'runner'}",
        "HOME": str(tmp_path / "home"),  # the key of the names is made there
    }
    return lambda page: follow(TUTORIALS / page, tmp_path, SHORT, environment)


def output_of(printed: dict[str, str], part: str) -> str:
    (found,) = (text for command, text in printed.items() if part in command)
    return found


def test_an_nnunet_into_enet(reader, tmp_path):
    printed = reader("nnunet.md")
    student = read_json(tmp_path / "runs" / "distilled" / "models" / "provenance.json")
    assert list(student["teachers"]) == ["predictions"]
    assert student["predicted_teachers"]["predictions"] == {"saw_test_cases": False, "by": "the user's word"}
    assert not read_json(tmp_path / "runs" / "alone" / "models" / "provenance.json")["teachers"]
    for name in ("distilled", "alone"):
        report = read_json(tmp_path / "runs" / name / "output" / "evaluation.json")
        assert report["split"]["name"] == "all"
        sites = {case["site"] for case in report["cases"]}
        assert len(sites) > 1
        assert all(site in output_of(printed, f"runs/{name}/configs/evaluate.json") for site in sites)
    images = sorted((tmp_path / "dataset" / "images").iterdir())
    masks = sorted((tmp_path / "masks").iterdir())
    assert [mask.name for mask in masks] == [image.name for image in images]
    for image, mask in zip(images[:3], masks, strict=False):
        assert nibabel.load(mask).shape == nibabel.load(image).shape
    assert file_sha256(tmp_path / "runs" / "distilled" / "models" / "model.pt") == student["weights_sha256"]


def test_a_new_site_without_masks(reader, tmp_path):
    printed = reader("new-site.md")
    split = read_json(tmp_path / "dataset" / "splits" / "all.json")
    assert [len(split.get(part, [])) for part in ("training", "validation", "test", "unlabeled")] == [0, 0, 2, 1]
    student = read_json(tmp_path / "student" / "models" / "provenance.json")
    teachers = [tmp_path / side / "teacher" / "models" / "model.pt" for side in ("north", "south")]
    assert sorted(student["teachers"].values()) == sorted(map(file_sha256, teachers))
    assert len(student["adapted_teachers"]) == 2
    assert {part: len(cases) for part, cases in student["cases"].items()}["unlabeled"] == 1
    for name in ("student", "mean"):
        report = read_json(tmp_path / name / "output" / "evaluation.json")
        assert len(report["cases"]) == 2
        assert "UCL" in output_of(printed, f" {name}/configs/evaluate.json")
    assert len(list((tmp_path / "masks" / "predictions").iterdir())) == 3
