"""``student.onnx`` and the bundle: the same probabilities, for volumes of any shape, spacing and orientation."""

import json

import nibabel
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from student_runner.grid import affine_for
from torch import nn

from custom_components.bundle.segmenting import Segmenting, TrainedBundle
from custom_components.export import export_student
from custom_components.export.converting import OPSET
from custom_components.export.student import graphs_of
from custom_components.foundation.files import read_json

SIZE, WINDOW_MM = 32, 50.0


class Echo(nn.Module):
    """The logits are the image and its negative, so that every difference in the preprocessing is seen."""

    def forward(self, image):
        return torch.cat([-image, image], dim=1)


class OneSlope(nn.Module):
    """As Echo, with a PReLU that has one slope and a PReLU that has two."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.PReLU(init=0.3), nn.PReLU(2, init=0.2)

    def forward(self, image):
        return self.two(self.one(torch.cat([-image, image], dim=1)))


@pytest.fixture(scope="module")
def make_student(repository, tmp_path_factory):
    """``make_student(field_of_view)``: the config, and the session of the file made from it."""
    inference = read_json(repository / "bundles/enet/configs/inference.json")

    def make(field_of_view, network=Echo):
        folder = tmp_path_factory.mktemp("student")
        free = {0: "batch", 2: "height", 3: "width"}
        torch.onnx.export(
            network().eval(),
            (torch.zeros(2, 1, SIZE, SIZE),),
            folder / "model.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["pred"],
            dynamic_axes={"image": free, "pred": free},
        )
        export_student(folder / "model.onnx", SIZE, field_of_view, {"name": "Echo"}, folder / "student.onnx")
        settings = {"image_size": SIZE, "field_of_view": field_of_view}
        return inference | settings, onnxruntime.InferenceSession(folder / "student.onnx")

    return make


@pytest.fixture(scope="module", params=[None, WINDOW_MM], ids=["whole image", "window"])
def student(make_student, request):
    return make_student(request.param)


def smooth(shape, seed=0):
    """Noise, brighter towards one corner."""
    ramp = sum(
        np.linspace(0, 1, length).reshape([-1 if axis == at else 1 for at in range(3)])
        for axis, length in enumerate(shape)
    )
    return (100 * ramp + np.random.default_rng(seed).normal(0, 20, shape)).astype(np.float32)


def turned(axes, spacing, signs=(1, 1, 1), degrees=0.0):
    """The affine of a volume whose array axes point along these axes of RAS, turned about the first one."""
    angle = np.deg2rad(degrees)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = (tilt @ np.eye(3)[:, list(axes)]) * (np.array(signs) * spacing)
    affine[:3, 3] = (-20, 30, 7)
    return affine


UPRIGHT = (0, 1, 2)
VOLUMES = {
    "larger": ((50, 70, 4), turned(UPRIGHT, (0.8, 0.9, 3))),
    "smaller": ((20, 17, 3), turned(UPRIGHT, (2.5, 2, 3))),
    "larger and smaller": ((60, 19, 2), turned(UPRIGHT, (1, 2.5, 3))),
    "its own size": ((32, 32, 3), turned(UPRIGHT, (WINDOW_MM / 64, WINDOW_MM / 64, 3))),
    "nearly the window's pixels": ((65, 63, 2), turned(UPRIGHT, (WINDOW_MM / 64 + 5e-4, WINDOW_MM / 64 - 5e-4, 3))),
    "twice its size": ((64, 64, 2), turned(UPRIGHT, (0.5, 0.5, 3))),
    "one slice": ((41, 33, 1), turned(UPRIGHT, (1, 1, 3))),
    "one voxel": ((1, 1, 1), turned(UPRIGHT, (1, 1, 3))),
    "one row": ((1, 40, 2), turned(UPRIGHT, (1, 1, 3))),
    "left and back": ((40, 44, 3), turned(UPRIGHT, (1, 1, 3), (-1, -1, 1))),
    "slices first": ((3, 45, 38), turned((2, 0, 1), (3, 1.1, 0.9), (1, -1, 1))),
    "oblique": ((46, 39, 5), turned((1, 0, 2), (0.7, 0.75, 3), (-1, 1, -1), 17)),
    "oblique, of lengths of half pixels": (
        (66, 64, 5),
        turned(UPRIGHT, (WINDOW_MM / 128, WINDOW_MM / 128, 3), (1, 1, 1), -31),
    ),
    "oblique, with one slice": ((50, 61, 1), turned(UPRIGHT, (0.7, 0.75, 3), (-1, 1, 1), 40)),
    "a length of half a pixel": ((66, 64, 2), turned(UPRIGHT, (WINDOW_MM / 128, WINDOW_MM / 128, 3))),
}


def inputs_of(voxels, affine):
    """The volume in RAS, and its affine."""
    turn = io_orientation(affine)
    volume = np.ascontiguousarray(apply_orientation(voxels, turn).astype(np.float32))
    ras = affine @ inv_ornt_aff(turn, voxels.shape)
    return {"volume": volume, "affine": affine_for(ras, volume.shape, WINDOW_MM / (2 * SIZE))}


def probabilities_of_the_bundle(inference, image, folder):
    bundle = TrainedBundle(Echo(), inference, {"name": "Echo", "version": "1"})
    return Segmenting(bundle, folder, "cpu", keep_probs=True)(image).probs.numpy()


@pytest.mark.parametrize("name", VOLUMES)
def test_the_probability_is_the_bundles(student, name, tmp_path):
    inference, session = student
    shape, affine = VOLUMES[name]
    voxels = smooth(shape)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / "v.nii.gz")
    affine = nibabel.load(tmp_path / "v.nii.gz").affine  # as the header rounds it
    expected = probabilities_of_the_bundle(inference, tmp_path / "v.nii.gz", tmp_path)

    turn = io_orientation(affine)
    inputs = inputs_of(voxels, affine)
    mask, probability, *_ = session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})
    assert mask.dtype == np.uint8
    assert probability.dtype == np.float32
    background, prostate = (apply_orientation(one, turn) for one in expected)
    if len(set(shape)) > 1:
        assert prostate.std() > 0.1
    np.testing.assert_allclose(probability, prostate, rtol=0, atol=1e-5)
    decided = np.abs(prostate - background) > 1e-5
    np.testing.assert_array_equal(mask[decided], (prostate > background)[decided])


def test_a_volume_of_one_value_is_no_division_by_zero(student, tmp_path):
    inference, session = student
    nibabel.save(nibabel.Nifti1Image(np.full((40, 36, 2), 7, np.float32), np.diag([2, 2, 3, 1])), tmp_path / "v.nii.gz")
    expected = probabilities_of_the_bundle(inference, tmp_path / "v.nii.gz", tmp_path)
    inputs = {"volume": np.full((40, 36, 2), 7, np.float32), "affine": np.diag([2.0, 2.0, 3.0, 1.0])}
    (probability,) = session.run(["probability"], {one.name: inputs[one.name] for one in session.get_inputs()})
    np.testing.assert_allclose(probability, expected[1], rtol=0, atol=1e-5)


def test_the_place_in_the_window_is_told(make_student):
    """Two axes, of 80 and of 50 mm, of which the window keeps the middle 50 mm in 64 half pixels."""
    _, session = make_student(WINDOW_MM)
    volume = smooth((40, 25, 2))
    (places,) = session.run(["to_window"], {"volume": volume, "affine": np.diag([2.0, 2.0, 3.0, 1.0])})
    pixel_mm = WINDOW_MM / SIZE
    # (40 - 1) * 2 mm are 99.84 half pixels, so the grid has 101, and 18 on the left are cut off. (25 - 1) * 2 mm are
    # 61.44; the grid has 62, and one is added on the left.
    assert places[0] == pytest.approx([2 / pixel_mm, (0.5 - 18) / 2 - 0.5])
    assert places[1] == pytest.approx([2 / pixel_mm, (0.5 + 1) / 2 - 0.5])


def test_a_prelu_of_one_slope_becomes_a_leaky_relu_of_the_same_values(make_student):
    _, session = make_student(None, OneSlope)
    volume = smooth((SIZE, SIZE, 2))
    (probability,) = session.run(["probability"], {"volume": volume})
    low, high = np.percentile(volume, (1, 99))
    scaled = np.clip((volume - low) / (high - low), 0, 1)
    image = torch.from_numpy((scaled - scaled.mean()) / scaled.std()).float().permute(2, 0, 1)[:, None]
    with torch.inference_mode():
        expected = OneSlope()(image).softmax(1)[:, 1].permute(1, 2, 0)
    np.testing.assert_allclose(probability, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("field_of_view", [None, WINDOW_MM])
def test_the_file_is_plain_onnx(make_student, field_of_view, repository):
    _, session = make_student(field_of_view, OneSlope)
    assert session.get_modelmeta().custom_metadata_map == {"name": "Echo"}
    windows = [] if field_of_view is None else ["to_window"]
    assert [one.name for one in session.get_outputs()] == ["mask", "probability", *windows]
    shapes = {one.name: one.shape for one in session.get_inputs()}
    assert shapes["volume"] == ["H", "W", "D"]
    assert shapes.get("affine") == (None if field_of_view is None else [4, 4])
    model = onnx.load(session._model_path)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert not model.functions
    operations = [node.op_type for graph in graphs_of(model.graph) for node in graph.node]
    assert operations.count("Scan") == 4
    assert operations.count("LeakyRelu") == operations.count("PRelu") == 1
    # ONNX Runtime warns of each CastLike.
    assert "CastLike" not in operations
    assert str(repository).encode() not in model.SerializeToString()


def test_real_volumes(make_student, real_data, tmp_path):
    inference, session = make_student(WINDOW_MM)
    site = real_data / "promise12_multisite"
    for image in [sorted(folder.glob("Case??.nii.gz"))[0] for folder in sorted(site.iterdir()) if folder.is_dir()]:
        volume = nibabel.load(image)
        expected = probabilities_of_the_bundle(inference, image, tmp_path)
        (mask,) = session.run(["mask"], inputs_of(np.asarray(volume.dataobj), volume.affine))
        differing = mask != apply_orientation(expected[1] > expected[0], io_orientation(volume.affine))
        assert differing.sum() <= mask.size / 100_000, json.dumps([image.name, int(differing.sum())])
