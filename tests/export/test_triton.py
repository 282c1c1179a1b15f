"""The text of config.pbtxt, read as Triton reads it: as a protobuf message whose unknown fields are errors."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from custom_components.export import write_triton_model

# The fields used here with their numbers in Triton's model_config.proto (tritonclient, which has the whole of it, wants
# an older protobuf than onnx brings). TYPE_FP32 is 11.
STRING, INT64, INT32, UINT64, MESSAGE, ENUM = 9, 3, 5, 4, 11, 14
TENSOR = [("name", 1, STRING, ""), ("data_type", 2, ENUM, ".t.DataType")]
MESSAGES = {
    "ModelInput": [*TENSOR, ("dims", -4, INT64, "")],
    "ModelOutput": [*TENSOR, ("dims", -3, INT64, "")],
    "ModelDynamicBatching": [("max_queue_delay_microseconds", 2, UINT64, "")],
    "ModelConfig": [
        ("name", 1, STRING, ""),
        ("platform", 2, STRING, ""),
        ("max_batch_size", 4, INT32, ""),
        ("input", -5, MESSAGE, ".t.ModelInput"),
        ("output", -6, MESSAGE, ".t.ModelOutput"),
        ("dynamic_batching", 11, MESSAGE, ".t.ModelDynamicBatching"),
    ],
}


@pytest.fixture(scope="module")
def model_config():
    """The message class; a negative number above means a repeated field."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    enum = file.enum_type.add(name="DataType")
    enum.value.add(name="TYPE_INVALID", number=0)
    enum.value.add(name="TYPE_FP32", number=11)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, type_name in fields:
            message.field.add(
                name=field, number=abs(number), type=kind, type_name=type_name or None, label=3 if number < 0 else 1
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelConfig"))


@pytest.mark.parametrize(
    ("exported", "platform", "file", "image", "pred"),
    [
        ("model.ts", "pytorch_libtorch", "model.pt", "image__0", "pred__0"),
        ("model.onnx", "onnxruntime_onnx", "model.onnx", "image", "pred"),
    ],
)
def test_a_model_is_described_as_it_is(tmp_path, model_config, exported, platform, file, image, pred):
    (tmp_path / exported).write_bytes(b"network")
    write_triton_model(tmp_path / "triton", "enet_x", tmp_path / exported, channels=1, classes=2)
    folder = tmp_path / "triton" / "enet_x"
    assert (folder / "1" / file).read_bytes() == b"network"
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config())
    assert (config.name, config.platform) == ("enet_x", platform)
    assert config.max_batch_size > 1
    assert config.HasField("dynamic_batching")
    for tensors, name, channels in ((config.input, image, 1), (config.output, pred, 2)):
        (tensor,) = tensors
        # With max_batch_size, the dimensions do not include the batch.
        assert (tensor.name, tensor.data_type, list(tensor.dims)) == (name, 11, [channels, -1, -1])
