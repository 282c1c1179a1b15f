"""An interrupted training that goes on ends as the uninterrupted one: ENet's own config, with augmentation."""

import shutil

import ignite.distributed as idist
import numpy as np
import pytest
import torch

from custom_components.distributed import OfEveryProcess
from custom_components.handlers.resume import RandomStates

EPOCHS = "train::trainer::max_epochs"


@pytest.fixture
def train(copy_bundles, workflow, tmp_path):
    bundles = copy_bundles("enet", "espnet")

    def run(output: str, epochs: int, config: str = "enet", resume: bool = True, **overrides) -> None:
        # Another learning-rate schedule than the default: with its 2000 steps a few epochs would not tell.
        settings = {"augmentation": 0.7, "lr_scheduler::step_size_up": 5, "batch_size": 5, "resume": resume}
        folders = {"output_dir": str(tmp_path / output), "models_dir": str(tmp_path / output / "models")}
        workflow(bundles / config, "train", **{**settings, **folders, EPOCHS: epochs, **overrides}).run()

    return run


def test_a_resumed_training_equals_the_uninterrupted_one(train, tmp_path):
    train("whole", 4)
    train("parts", 2)
    assert len((tmp_path / "parts" / "training.csv").read_text().splitlines()) == 3
    # A process of its own would begin with other random states.
    torch.manual_seed(99)
    train("parts", 4)

    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    assert (parts / "training.csv").read_text() == (whole / "training.csv").read_text()
    last = [torch.load(folder / "last.pt", weights_only=True) for folder in (whole, parts)]
    best = [torch.load(folder / "models" / "model.pt", weights_only=True) for folder in (whole, parts)]
    for one, other in ((last[0]["network"], last[1]["network"]), best):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert last[0]["lr_scheduler"] == last[1]["lr_scheduler"]
    assert torch.equal(*(state["random"]["processes"][0]["torch"] for state in last))


def test_what_cannot_be_resumed_is_one_clear_line(train, one_error_line, tmp_path):
    train("run", 2)
    # A finished training is left as it is.
    before = (tmp_path / "run" / "training.csv").read_text()
    train("run", 2)
    assert (tmp_path / "run" / "training.csv").read_text() == before

    line = one_error_line(lambda: train("run", 1))
    assert "last.pt: saved after epoch 2, beyond max_epochs 1; raise train::trainer::max_epochs" in line
    line = one_error_line(lambda: train("run", 3, config="espnet"))
    assert "last.pt: saved by a training with other network_def; use --resume False" in line
    line = one_error_line(lambda: train("run", 3, seed=1))
    assert "last.pt: saved by a training with other seed" in line
    line = one_error_line(lambda: train("run", 3, batch_size=4))
    assert "last.pt: saved in epochs of 4 batches, this run has 6" in line
    torch.save({"network": {}}, tmp_path / "run" / "last.pt")
    line = one_error_line(lambda: train("run", 3))
    assert "last.pt: not the checkpoint of a training" in line
    (tmp_path / "run" / "last.pt").write_bytes(b"PK half")
    line = one_error_line(lambda: train("run", 3))
    assert "last.pt: no" in line

    shutil.rmtree(tmp_path / "run")
    train("run", 1)
    train("run", 1, resume=False)
    assert len((tmp_path / "run" / "training.csv").read_text().splitlines()) == 2


def test_the_random_states_of_python_numpy_and_torch_come_back():
    states = RandomStates()
    saved = states.state_dict()

    def draw() -> tuple:
        import random

        return random.random(), np.random.rand(), torch.rand(1).item()

    first = draw()
    assert draw() != first
    states.load_state_dict(saved)
    assert draw() == first


def test_each_process_gets_its_own_state_back(monkeypatch):
    class Number:
        value = 5

        def state_dict(self) -> int:
            return self.value

        def load_state_dict(self, state: int) -> None:
            self.value = state

    number = Number()
    monkeypatch.setattr(idist, "all_gather", lambda own: [own - 1, own])
    state = OfEveryProcess(number).state_dict()
    monkeypatch.setattr(idist, "get_world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(idist, "get_rank", lambda rank=rank: rank)
        OfEveryProcess(number).load_state_dict(state)
        assert number.value == 4 + rank
    monkeypatch.setattr(idist, "get_world_size", lambda: 3)
    with pytest.raises(ValueError, match="saved by 2 processes, this run has 3"):
        OfEveryProcess(number).load_state_dict(state)
