"""The parts that only ENet has: the unpooling and its ONNX export."""

import io

import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from custom_components.networks import ENet
from custom_components.networks.enet import max_unpool_2x


def test_unpool_by_hand():
    x = torch.tensor([[[[5.0, -7.0]]]])  # two maxima ...
    indices = torch.tensor([[[[1, 6]]]])  # ... of a 2x4 plane: row 0 column 1, row 1 column 2
    expected = torch.tensor([[[[0.0, 5.0, 0.0, 0.0], [0.0, 0.0, -7.0, 0.0]]]])
    assert torch.equal(max_unpool_2x(x, indices), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_unpool_equals_torch_bit_for_bit(dtype):
    torch.manual_seed(0)
    pooled, indices = F.max_pool2d(torch.randn(3, 5, 12, 20).to(dtype), 2, return_indices=True)
    x = torch.randn(pooled.shape).to(dtype)
    unpooled = max_unpool_2x(x, indices)
    assert unpooled.dtype == dtype
    assert torch.equal(unpooled, F.max_unpool2d(x, indices, 2))


def test_unpool_gradient():
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    _, indices = F.max_pool2d(torch.randn(1, 2, 6, 4), 2, return_indices=True)
    assert torch.autograd.gradcheck(max_unpool_2x, (x, indices))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Exporting aten.*max_pool:UserWarning")
def test_onnx_with_dynamic_axes():
    torch.manual_seed(0)
    net = ENet().eval()
    buffer = io.BytesIO()
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        net,
        torch.randn(1, 1, 64, 64),
        buffer,
        opset_version=17,
        dynamo=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": axes, "logits": axes},
    )
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for shape in [(1, 1, 64, 64), (3, 1, 96, 40)]:
        x = torch.randn(shape)
        with torch.no_grad():
            expected = net(x)
        (logits,) = session.run(None, {"image": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)
