from types import SimpleNamespace

import psutil
import pytest
import torch
from monai.transforms import RandFlipd

from custom_components.data import SliceDataset
from custom_components.errors import InputError
from custom_components.teachers import CachedTeachers, TeacherEnsemble, load_teacher, load_teachers

KEYS = ("stride2", "stride8")
IMAGE = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def ensemble(make_teacher) -> TeacherEnsemble:
    return TeacherEnsemble([load_teacher(str(make_teacher(name))) for name in ("espnet", "enet")], KEYS)


def test_gives_logits_and_features_of_each_teacher(ensemble):
    logits, features = ensemble(IMAGE, [])
    assert [tuple(own.shape) for own in logits] == [(2, 2, 32, 32)] * 2
    assert [[tap.shape[-1] for tap in own] for own in features] == [[16, 4]] * 2
    assert torch.equal(logits[1], ensemble.networks[1](IMAGE))
    assert ensemble.names == ["espnet", "enet"]


def test_a_training_step_changes_nothing_in_the_teachers(ensemble):
    before = {key: value.clone() for key, value in ensemble.state_dict().items()}
    ensemble.train()
    assert not any(module.training for module in ensemble.modules())
    image = IMAGE.clone().requires_grad_()
    logits, features = ensemble(image, [])
    assert not any(tensor.requires_grad for tensor in [*logits, *(tap for own in features for tap in own)])
    assert not any(parameter.requires_grad for parameter in ensemble.parameters())
    after = ensemble.state_dict()
    assert any("running_mean" in key for key in before)
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_two_teachers_of_one_name_are_told_apart(make_teacher):
    folder = str(make_teacher("espnet"))
    other = str(make_teacher("enet"))
    ensemble = load_teachers([folder, other, folder], "/nowhere", KEYS, None, [])
    assert ensemble.names == ["espnet_1", "enet", "espnet_2"]


def test_one_teacher_may_be_given_bare(make_teacher):
    assert load_teachers(str(make_teacher("espnet")), "/nowhere", KEYS, None, []).names == ["espnet"]


def test_needs_a_teacher_and_its_taps(make_teacher):
    with pytest.raises(InputError, match="no teacher given"):
        TeacherEnsemble([], KEYS)
    with pytest.raises(InputError, match=r"espnet/configs/train\.json: no tap stride4, which the student has"):
        TeacherEnsemble([load_teacher(str(make_teacher("espnet")))], ("stride2", "stride4"))


def test_cached_teachers_say_what_the_ensemble_says(ensemble, cases, preprocessing, tmp_path):
    slices = SliceDataset(cases[:2], preprocessing, tmp_path / "prepared")
    cached = CachedTeachers(ensemble, slices, torch.device("cpu"), batch_size=3)
    chosen = [slices[index] for index in (5, 0, 2)]
    image = torch.stack([sample["image"] for sample in chosen])
    samples = [(sample["case"], sample["slice"]) for sample in chosen]
    logits, features = cached(image, samples)
    expected_logits, expected_features = ensemble(image, samples)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features, expected_features, rtol=2e-3, atol=2e-3)
    assert cached.names == ensemble.names
    assert cached.weights_sha256 == ensemble.weights_sha256


def test_cached_teachers_refuse_slices_that_change(ensemble, cases, preprocessing, tmp_path):
    slices = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared", RandFlipd("image", prob=0.5))
    with pytest.raises(InputError, match="cache_teachers: slices change at random"):
        CachedTeachers(ensemble, slices, torch.device("cpu"))


def test_cached_teachers_refuse_what_does_not_fit_into_memory(ensemble, cases, preprocessing, tmp_path, monkeypatch):
    slices = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(InputError, match=r"cache_teachers: .* GB are needed, 0\.0 GB free"):
        CachedTeachers(ensemble, slices, torch.device("cpu"))


def test_cached_teachers_refuse_two_cases_of_one_name(ensemble, cases, preprocessing, tmp_path):
    twins = [{**case, "case": "Case00"} for case in cases[:2]]
    with pytest.raises(InputError, match="two cases are called Case00"):
        CachedTeachers(ensemble, SliceDataset(twins, preprocessing, tmp_path / "prepared"), torch.device("cpu"))
