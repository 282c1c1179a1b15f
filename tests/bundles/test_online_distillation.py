"""Online distillation through the checked-in config: teachers without a checkpoint, trained beside the student."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

EPOCHS = "train::trainer::max_epochs"


@pytest.fixture
def train(copy_bundles, workflow, tmp_path) -> Callable[..., Path]:
    """``train("run", epochs=2)`` distils ENet from two untrained teachers, and returns the output folder."""
    bundles = copy_bundles("distillation", "enet", "espnet", "mobilenetv2")

    def run(name: str, epochs: int, **overrides) -> Path:
        folder = tmp_path / name
        settings = {"student": "enet", "teachers": ["espnet", "mobilenetv2"], "online": "true", EPOCHS: epochs}
        folders = {"output_dir": str(folder), "models_dir": str(folder / "models")}
        schedule = {"lr_scheduler::step_size_up": 3}
        workflow(bundles / "distillation", "train", **{**settings, **folders, **schedule, **overrides}).run()
        return folder

    return run


def same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_online_teachers_are_logged_saved_and_resumed_bit_for_bit(train):
    whole = train("whole", 2)
    train("parts", 1)
    torch.manual_seed(99)
    parts = train("parts", 2, resume=True)

    rows = list(csv.DictReader((whole / "training.csv").open()))
    assert {"weight_espnet", "weight_mobilenetv2", "loss_espnet", "loss_mobilenetv2"} <= rows[0].keys()
    assert rows[0]["loss_espnet"] != rows[1]["loss_espnet"]
    assert (parts / "training.csv").read_text() == (whole / "training.csv").read_text()
    last = [torch.load(folder / "last.pt", weights_only=True) for folder in (whole, parts)]
    assert same(last[0]["network"], last[1]["network"])
    assert same(dict(last[0]["teachers"]), dict(last[1]["teachers"]))
    for name in ("espnet", "mobilenetv2"):
        states = [torch.load(folder / "teachers" / f"{name}.pt", weights_only=True) for folder in (whole, parts)]
        assert same(*map(dict, states))
    assert sorted(file.name for file in (whole / "models").iterdir()) == ["model.pt", "provenance.json"]
    provenance = json.loads((whole / "models" / "provenance.json").read_text())
    assert provenance["online"] is True
    assert provenance["teachers"] == {"espnet": None, "mobilenetv2": None}


def test_teachers_that_change_are_not_cached(train, one_error_line):
    line = one_error_line(lambda: train("run", 1, cache_teachers="true"))
    assert "cache_teachers: online teachers change with every batch, and predictions are in files already; " in line
    assert line.rstrip().endswith("set --cache_teachers False")
