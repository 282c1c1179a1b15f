"""Golden values, which numpy computed in float64 from the formulas alone; golden.json lists every input."""

import json
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def golden():
    return json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture
def assert_golden(dtype):
    """Asserts equality to a golden value, at the tolerance of the dtype under test."""
    rtol, atol = (1e-10, 1e-14) if dtype == torch.float64 else (1e-5, 1e-6)

    def check(actual, expected):
        assert actual.dtype == dtype
        torch.testing.assert_close(actual.detach(), torch.tensor(expected, dtype=dtype), rtol=rtol, atol=atol)

    return check


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def two_class_logits(dtype):
    """Logits (B, 2, H, W) whose softmax gives the listed foreground probabilities (B, H, W)."""

    def build(prob_fg):
        p = torch.tensor(prob_fg, dtype=torch.float64)
        return torch.stack([(1 - p).log(), p.log()], dim=1).to(dtype)

    return build
