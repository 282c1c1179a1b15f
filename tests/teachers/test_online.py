import copy

import pytest
import torch

from custom_components.bundle import read_bundle
from custom_components.foundation.errors import InputError
from custom_components.losses import SegmentationLoss
from custom_components.teachers import OnlineTeachers, Taps

KEYS = ("stride2", "stride8")


@pytest.fixture
def make(copy_bundles, tmp_path):
    bundles = copy_bundles("espnet", "mobilenetv2")

    def make(teachers=("espnet", "mobilenetv2"), keys=KEYS, **options) -> OnlineTeachers:
        torch.manual_seed(0)
        loss = SegmentationLoss(cross_entropy_weight=0.5)
        return OnlineTeachers(teachers, bundles, keys, loss, tmp_path / "weights", **options)

    make.bundles = bundles
    return make


@pytest.fixture
def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    target = torch.zeros(2, 1, 32, 32)
    target[..., 8:20, 10:22] = 1
    return [(target + 0.3 * torch.randn(2, 1, 32, 32, generator=generator), target) for _ in range(3)]


def equal(one, other) -> bool:
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_teacher_learns_as_it_would_alone(make, batches):
    teachers = make()
    torch.manual_seed(0)
    alone = read_bundle("espnet", make.bundles).build_network().to(memory_format=torch.channels_last)
    optimizer, loss = torch.optim.Adam(alone.parameters()), SegmentationLoss(cross_entropy_weight=0.5)
    for learning_rate, (image, target) in zip((0.01, 0.005, 0.02), batches, strict=True):
        logits, _ = teachers.learn(image, target, learning_rate)
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        said = alone(image)
        value = loss(said, target)
        value.backward()
        optimizer.step()
        assert torch.equal(logits[0], said)
        assert teachers.last_losses["loss_espnet"] == value
    assert equal(teachers.networks[0].state_dict(), alone.state_dict())


def test_hands_on_logits_and_taps_without_gradient(make, batches):
    teachers = make()
    logits, features = teachers.learn(*batches[0], 0.01)
    assert [tuple(own.shape) for own in logits] == [(2, 2, 32, 32)] * 2
    assert [[tap.shape[-1] for tap in own] for own in features] == [[16, 4]] * 2
    assert not any(tensor.requires_grad for tensor in [*logits, *(tap for own in features for tap in own)])
    assert all(isinstance(taps, Taps) and taps._features == {} for taps in teachers._taps)


def test_a_state_dict_is_enough_to_go_on(make, batches):
    first, second = make(), make()
    first.learn(*batches[0], 0.01)
    # A copy is loaded, as from a file, because an optimizer keeps the tensors that it gets.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for teachers in (first, second):
        torch.manual_seed(2)
        teachers.learn(*batches[1], 0.02)
    for one, other in zip(first.networks, second.networks, strict=True):
        assert equal(one.state_dict(), other.state_dict())


def test_saves_each_teacher_as_its_bundle_would_load_it(make, tmp_path):
    teachers = make()
    teachers.save()
    assert sorted(file.name for file in (tmp_path / "weights").iterdir()) == ["espnet.pt", "mobilenetv2.pt"]
    state = torch.load(tmp_path / "weights" / "espnet.pt", weights_only=True)
    assert equal(read_bundle("espnet", make.bundles).build_network().state_dict(), state) is False
    assert equal(teachers.networks[0].state_dict(), state)


def test_what_does_not_fit_is_told(make):
    with pytest.raises(InputError, match=r"\A\S*no teacher given"):
        make(teachers=[])
    with pytest.raises(InputError, match=r"\A\S*espnet/configs/train\.json: no tap stride4, which the student has"):
        make(teachers="espnet", keys=("stride2", "stride4"))
    with pytest.raises(InputError, match=r"\A\S*train\.json: teacher has 2 classes, the student 3"):
        make(teachers="espnet", out_channels=3)


def test_one_process_only(make, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(InputError, match=r"\Aonline: teachers learn in one process only; .* without torchrun"):
        make()
