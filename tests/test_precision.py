import pytest
import torch
from torch import nn

from custom_components import precision
from custom_components.foundation.errors import InputError
from custom_components.precision import PrecisionInferer

IMAGES = torch.linspace(-1, 1, 2 * 8 * 8).reshape(2, 1, 8, 8)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(1, 2, 3, padding=1)


def test_float32_is_the_plain_forward_pass(network):
    assert torch.equal(PrecisionInferer("float32")(IMAGES, network), network(IMAGES))


def test_bfloat16_is_of_the_forward_pass_alone(network):
    logits = PrecisionInferer("bfloat16")(IMAGES, network)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), network(IMAGES), rtol=0.02, atol=0.02)
    logits.float().square().mean().backward()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"architecture": "aarch64"}, torch.float32),
    ],
)
def test_auto_asks_the_processor(network, monkeypatch, capabilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    precision.multiplies_bfloat16.cache_clear()
    try:
        assert PrecisionInferer("auto")(IMAGES, network).dtype == dtype
    finally:
        precision.multiplies_bfloat16.cache_clear()


def test_float16_is_left_to_the_trainer_and_refused_on_a_cpu(network):
    with pytest.raises(InputError, match=r"\Aprecision: float16 is for GPUs; use --precision bfloat16, or auto\Z"):
        PrecisionInferer("float16")(IMAGES, network)
    logits = PrecisionInferer("float16")(IMAGES.to("meta"), network.to("meta"))
    assert logits.dtype == torch.float32  # the inferer used no autocast


@pytest.mark.parametrize(
    ("options", "amp"),
    [
        ({}, False),
        ({"precision": "bfloat16"}, False),
        ({"precision": "float16"}, True),
        ({"train::trainer::amp": "true"}, True),
        ({"train::trainer::amp": "false", "precision": "float16"}, False),
    ],
)
def test_float16_is_the_amp_of_monai(copy_bundles, workflow, options, amp):
    training = workflow(copy_bundles("enet") / "enet", "train", **options)
    assert training.parser.get_parsed_content("train#trainer#amp") is amp


def test_another_precision_is_refused():
    with pytest.raises(InputError, match=r"\Aprecision: 'half' is none of float32, bfloat16, auto, float16\Z"):
        PrecisionInferer("half")
