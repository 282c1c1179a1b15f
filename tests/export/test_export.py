"""``make export`` writes files that give the outputs of the bundle, and writes no other file."""

import errno
import shutil
import zipfile

import onnx
import pytest
import torch

from custom_components.bundle import exporting, read_bundle
from custom_components.bundle.exporting import export
from custom_components.export import OnnxNetwork, check_parity, read_notes, write_notes
from custom_components.foundation.errors import InputError, ParityError
from custom_components.foundation.files import file_sha256, read_json, write_json
from custom_components.teachers import load_weights
from experiments.complexity import measuring

SIZE = 64
FILES = [
    "model.onnx",
    "model.ts",
    "triton/{}_onnx/1/model.onnx",
    "triton/{}_onnx/config.pbtxt",
    "triton/{}_torchscript/1/model.pt",
    "triton/{}_torchscript/config.pbtxt",
]


WRITTEN = sorted([*FILES, "student.onnx"])


@pytest.fixture(scope="module")
def enet(make_trained, dataset_dir):
    """An ENet bundle with all exports, also INT8."""
    bundle = make_trained("enet", image_size=SIZE)
    export(str(bundle.path), dataset_dir)
    return bundle


@pytest.fixture
def trained_copy(enet, tmp_path):
    """A copy of the exported ENet bundle that a test may change."""
    shutil.copytree(enet.path, tmp_path / "enet")
    return read_bundle(str(tmp_path / "enet"))


@pytest.fixture(scope="module")
def espnet(make_trained):
    bundle = make_trained("espnet", image_size=SIZE)
    export(str(bundle.path))
    return bundle


def written(bundle):
    models = bundle.model_file.parent
    files = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    return sorted(files - {"model.pt", "provenance.json"})


@pytest.fixture
def assert_every_file_says_the_same(assert_says_the_same):
    def check(bundle, images):
        network = load_weights(bundle.build_network(), bundle.model_file).eval()
        for file in FILES:
            path = bundle.model_file.parent / file.format(bundle.name)
            if path.suffix != ".pbtxt":
                exported = OnnxNetwork(path) if path.suffix == ".onnx" else torch.jit.load(path)
                assert_says_the_same(exported, network, images)
                assert check_parity(file, exported, network, [images]) <= 1e-4

    return check


def test_without_a_dataset_all_but_int8_is_written(espnet):
    assert written(espnet) == [file.format("espnet") for file in WRITTEN]


@pytest.mark.parametrize("name", ["enet", "espnet"])
def test_phantom_slices_are_segmented_as_by_the_bundle(request, name, slices, assert_every_file_says_the_same):
    bundle = request.getfixturevalue(name)
    images = slices(SIZE)
    assert_every_file_says_the_same(bundle, images)
    assert_every_file_says_the_same(bundle, images[:1, :, 8:56].transpose(2, 3).contiguous())


@pytest.mark.parametrize("name", ["enet", "espnet"])
def test_real_slices_are_segmented_as_by_the_bundle(
    request, name, real_data, checked_in_preprocessing, assert_every_file_says_the_same
):
    image = real_data / "promise12_multisite" / "RUNMC"
    first = sorted(path for path in image.glob("Case*.nii.gz") if "_" not in path.name)[0]
    volume = checked_in_preprocessing("inference", image_size=96)({"image": str(first)})["image"]
    slices = torch.as_tensor(volume).permute(3, 0, 1, 2)[::4].contiguous()
    assert_every_file_says_the_same(request.getfixturevalue(name), slices)


def test_batch_height_and_width_of_the_onnx_file_are_free(enet):
    graph = onnx.load(enet.model_file.with_name("model.onnx")).graph
    for value in (*graph.input, *graph.output):
        sizes = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        assert (sizes[0], sizes[2], sizes[3]) == ("batch", "height", "width")


def test_int8_is_quantised_and_close(enet, slices):
    """Most of the network is in 8 bits, and its probabilities stay near those of the float network."""
    file = enet.model_file.with_name("model.int8.onnx")
    stored = [tensor.data_type for tensor in onnx.load(file).graph.initializer if len(tensor.dims) == 4]
    assert stored.count(onnx.TensorProto.INT8) > 50
    assert stored.count(onnx.TensorProto.FLOAT) == 0
    assert file.stat().st_size < file.with_name("model.onnx").stat().st_size
    float_probs, int8_probs = (
        OnnxNetwork(file.with_name(name))(slices(SIZE)).softmax(dim=1) for name in ("model.onnx", "model.int8.onnx")
    )
    assert (float_probs - int8_probs).abs().mean() < 0.05


def test_int8_tells_its_dice_beside_the_float_network(enet, dataset_dir):
    notes = read_notes(enet.model_file.with_name("model.int8.onnx"))
    assert notes["test_cases"] == str(len(read_json(dataset_dir / "splits" / "all.json")["test"]))
    assert 0 <= float(notes["dice"]) <= 1
    assert 0 <= float(notes["dice_in_float"]) <= 1
    assert notes["weights_sha256"] == file_sha256(enet.model_file)


def test_the_onnx_files_are_rows_of_the_table_of_costs(enet, monkeypatch):
    monkeypatch.setattr(measuring, "SIZE", SIZE)
    exported, int8 = measuring.measure_exported(enet)
    assert (exported.network, exported.label) == ("enet_onnx", "ENet, ONNX Runtime")
    assert (int8.network, int8.label) == ("enet_int8", "ENet, ONNX Runtime INT8")
    for row in (exported, int8):
        assert row.params == sum(parameter.numel() for parameter in enet.build_network().parameters())
        assert row.slice_ms > 0
    assert exported.note == ""


def test_the_difference_in_dice_is_told_in_the_table(trained_copy, monkeypatch):
    monkeypatch.setattr(measuring, "SIZE", SIZE)
    int8 = trained_copy.model_file.with_name("model.int8.onnx")
    write_notes(int8, {"dice": "0.8123", "dice_in_float": "0.8145", "test_cases": "7"})
    *_, row = measuring.measure_exported(trained_copy)
    assert row.note.endswith("Mean volume Dice of 7 test cases: 0.8123, in float 0.8145 (-0.0022).")


def test_files_that_export_did_not_write_are_no_rows(trained_copy):
    int8 = trained_copy.model_file.with_name("model.int8.onnx")
    shutil.copyfile(int8.with_name("model.onnx"), int8)
    with pytest.raises(InputError, match=r"\A\S*model\.int8\.onnx: not an INT8 network that make export wrote"):
        measuring.measure_exported(trained_copy)
    int8.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"\A\S*model\.int8\.onnx: not an ONNX model that can be read"):
        measuring.measure_exported(trained_copy)
    int8.unlink()
    with pytest.raises(InputError, match=r"\A\S*model\.int8\.onnx: no such file; make export BUNDLE="):
        measuring.measure_exported(trained_copy)


def test_no_file_names_a_path_of_this_machine(enet, repository):
    for path in enet.model_file.parent.rglob("*"):
        if path.suffix in (".onnx", ".pbtxt"):
            assert str(repository).encode() not in path.read_bytes(), path
        elif path.suffix == ".ts" or path.parent.name == "1":
            with zipfile.ZipFile(path) as archive:
                assert not [name for name in archive.namelist() if str(repository).encode() in archive.read(name)], path


def test_a_wrong_export_is_refused_and_what_was_there_is_kept(espnet, monkeypatch):
    before = {file: espnet.model_file.with_name(file).read_bytes() for file in ("model.ts", "model.onnx")}

    def of_other_weights(bundle, file):
        shutil.copyfile(espnet.model_file.with_name("model.onnx"), file)
        model = onnx.load(file)
        bias = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) * 2, bias.name))
        onnx.save(model, file)

    monkeypatch.setattr(exporting, "export_onnx", of_other_weights)
    with pytest.raises(ParityError, match=r"\A\S*model\.onnx: is not the network"):
        export(str(espnet.path))
    assert written(espnet) == [file.format("espnet") for file in WRITTEN]
    assert before == {file: espnet.model_file.with_name(file).read_bytes() for file in before}


def test_int8_of_former_weights_is_removed(espnet, enet, capsys):
    stale = espnet.model_file.with_name("model.int8.onnx")
    shutil.copyfile(enet.model_file.with_name("model.int8.onnx"), stale)
    export(str(espnet.path))
    assert not stale.exists()
    assert "removed, it was made from other weights" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_ends_in_one_line(espnet, one_error_line, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("custom_components.foundation.files.os.replace", no_space)
    shown = one_error_line(lambda: export(str(espnet.path)))
    assert "cannot be written (No space left on device)" in shown


def test_a_bundle_that_is_not_trained_is_named(copy_bundles):
    bundle = copy_bundles("espnet") / "espnet"
    with pytest.raises(InputError, match=r"\A\S*model\.pt: no trained weights; train the bundle first"):
        export(str(bundle))
    assert not (bundle / "models").exists()


def test_another_split_is_refused(enet, dataset_dir, tmp_path):
    split = read_json(dataset_dir / "splits" / "all.json")
    write_json(tmp_path / "other.json", {**split, "sha256": "0" * 64})
    with pytest.raises(InputError, match=r"\A\S*other\.json: not the split that enet was trained with"):
        export(str(enet.path), dataset_dir, tmp_path / "other.json")
