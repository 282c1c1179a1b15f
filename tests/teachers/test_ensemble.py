import pytest
import torch

from custom_components.data import SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from custom_components.teachers import TeacherEnsemble, load_teacher, load_teachers

KEYS = ("stride2", "stride8")
IMAGE = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def ensemble(make_teacher) -> TeacherEnsemble:
    return TeacherEnsemble([load_teacher(str(make_teacher(name))) for name in ("espnet", "enet")], KEYS)


def test_gives_logits_and_features_of_each_teacher(ensemble):
    logits, features = ensemble(IMAGE)
    assert [tuple(own.shape) for own in logits] == [(2, 2, 32, 32)] * 2
    assert [[tap.shape[-1] for tap in own] for own in features] == [[16, 4]] * 2
    assert torch.equal(logits[1], ensemble.networks[1](IMAGE))
    assert ensemble.names == ["espnet", "enet"]


def test_a_training_step_changes_nothing_in_the_teachers(ensemble):
    before = {key: value.clone() for key, value in ensemble.state_dict().items()}
    ensemble.train()
    assert not any(module.training for module in ensemble.modules())
    image = IMAGE.clone().requires_grad_()
    logits, features = ensemble(image)
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


def adapted(folder: str, dataset: SliceDataset, adapt: bool | None = None) -> bool:
    ensemble = load_teachers(folder, "/nowhere", KEYS, None, [], adapt=adapt, dataset=dataset)
    return ensemble.identities[0].get("adapted_to") is not None and ensemble.distances[0] > 0


def test_teachers_are_adapted_by_default_to_one_site_with_images_without_masks(
    make_teacher, cases, preprocessing, tmp_path
):
    def slices(with_masks, without):
        without_masks = [{**case, "label": None} for case in without] or None
        return SliceDataset(with_masks, preprocessing, tmp_path, without_masks=without_masks)

    folder = str(make_teacher("espnet"))
    assert cases[0]["site"] == cases[1]["site"] != cases[2]["site"]
    one_site = slices(cases[:1], cases[1:2])
    assert adapted(folder, one_site)
    assert not adapted(folder, one_site, adapt=False)
    assert not adapted(folder, slices(cases[:2], []))
    assert not adapted(folder, slices(cases[:1], cases[2:3]))
    assert adapted(folder, slices(cases[:2], []), adapt=True)


def test_a_teacher_without_taps_has_no_features(make_teacher):
    folder = make_teacher("espnet")
    config = folder / "configs" / "train.json"
    write_json(config, {**read_json(config), "taps": {}})
    (_,), (features,) = load_teachers(str(folder), "/nowhere", KEYS, None, [])(IMAGE)
    assert features == []


def test_needs_a_teacher_and_its_taps(make_teacher):
    with pytest.raises(InputError, match=r"\A\S*no teacher given"):
        TeacherEnsemble([], KEYS)
    with pytest.raises(InputError, match=r"\A\S*espnet/configs/train\.json: no tap stride4, which the student has"):
        TeacherEnsemble([load_teacher(str(make_teacher("espnet")))], ("stride2", "stride4"))


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.05), ("float16", 0.01)])
def test_half_precision_gives_nearly_the_same_in_float32(make_teacher, precision, tolerance):
    # The test uses ESPNet, because ENet's unpooling changes abruptly where two maxima are nearly equal.
    folder = str(make_teacher("espnet"))
    full, half = (load_teachers(folder, "/nowhere", KEYS, None, [], precision=p) for p in ("float32", precision))
    assert {parameter.dtype for parameter in half.parameters()} == {getattr(torch, precision)}
    assert half.weights_sha256 == full.weights_sha256
    assert set(half.fingerprints).isdisjoint(full.fingerprints)
    (logits, features), (expected_logits, expected_features) = half.run(0, IMAGE), full.run(0, IMAGE)
    for tensor, expected in zip([logits, *features], [expected_logits, *expected_features], strict=True):
        assert tensor.dtype == torch.float32
        assert (tensor - expected).norm() < tolerance * expected.norm()


def test_another_precision_is_refused(make_teacher):
    with pytest.raises(InputError, match=r"\A\S*teacher_precision: 'int8' is none of float32, bfloat16, float16"):
        load_teachers(str(make_teacher("espnet")), "/nowhere", KEYS, None, [], precision="int8")
