"""The notes in ``models/student.onnx``, and the bundles that cannot be exported to such a file."""

import json
import shutil

import onnxruntime
import pytest

from custom_components.bundle import exporting, read_bundle, student_file
from custom_components.bundle.exporting import export
from custom_components.bundle.student_file import reason_against
from custom_components.foundation.errors import ParityError
from custom_components.foundation.files import file_sha256, read_json, write_json

SIZE = 32


@pytest.fixture(scope="module")
def espnet(make_trained):
    bundle = make_trained("espnet", image_size=SIZE)
    export(str(bundle.path))
    return bundle


@pytest.fixture
def copy(espnet, tmp_path):
    """A copy of the exported bundle, which a test may change."""
    shutil.copytree(espnet.path, tmp_path / "espnet")
    return read_bundle(str(tmp_path / "espnet"))


@pytest.fixture
def change(copy):
    """``change("preprocessing", "transforms", 7, {...})``: the bundle with another value in ``inference.json``."""

    def change_inference(*path_and_value):
        *path, last, value = path_and_value
        file = copy.path / "configs" / "inference.json"
        config = read_json(file)
        place = config
        for key in path:
            place = place[key]
        place[last] = value
        write_json(file, config)
        return copy

    return change_inference


def test_the_file_tells_what_it_is(espnet):
    session = onnxruntime.InferenceSession(espnet.path / "models" / "student.onnx")
    notes = session.get_modelmeta().custom_metadata_map
    assert notes == {
        "format": "prostate-student 1",
        "name": "Prostate MRI student: ESPNet",
        "version": "0.1.0",
        "labels": '{"0": "background", "1": "prostate"}',
        "preprocessing": "turned to RAS, each slice resized to 32x32 pixels (trilinear, anti-aliased), intensities "
        "clipped at the volume's 1st and 99th percentile, then normalised to mean 0 and standard deviation 1",
        "image_size": "32",
        "field_of_view": "null",
        "postprocessing": "Keep the largest component of the mask: voxels that touch at faces, edges or corners belong "
        "together. The graph does not do this.",
        "provenance_sha256": file_sha256(espnet.provenance_file),
        "weights_sha256": file_sha256(espnet.model_file),
        "licence": "Copyright the prostate-distillation developers; Apache-2.0",
        "intended_use": "Research. Not a medical device and not for diagnosis.",
    }
    assert json.loads(notes["labels"])["1"] == "prostate"


@pytest.mark.parametrize(("size", "field_of_view"), [(32, None), (64, 128.0), (384, 120), (96, 100.5)])
def test_every_size_and_field_of_view_is_taken(change, size, field_of_view):
    change("image_size", size)
    assert reason_against(change("field_of_view", field_of_view)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            ("preprocessing", "transforms", 6, "upper", 99.5),
            "step 5 of its preprocessing (ScaleIntensityRangePercentilesd) is not that of the shipped bundles",
        ),
        (
            ("preprocessing", "transforms", 2, "axcodes", "LPS"),
            "step 3 of its preprocessing (Orientationd) is not that of the shipped bundles",
        ),
        (
            ("postprocessing", "transforms", 4, "applied_labels", 0),
            "its postprocessing in configs/inference.json is not that of the shipped bundles",
        ),
        (
            ("inferer", "spatial_dim", 1),
            "its inferer in configs/inference.json is not that of the shipped bundles",
        ),
    ],
)
def test_other_steps_are_told(change, changes, reason):
    assert reason_against(change(*changes)) == reason


def test_a_step_more_is_told(change, copy):
    transforms = read_json(copy.path / "configs" / "inference.json")["preprocessing"]["transforms"]
    more = [*transforms, {"_target_": "ScaleIntensityd", "keys": "image"}]
    assert reason_against(change("preprocessing", "transforms", more)) == (
        "its preprocessing has 7 steps, not the 6 of the shipped bundles"
    )


def test_other_classes_are_told(copy):
    config = read_json(copy.path / "configs" / "train.json")
    config["network_def"]["out_channels"] = 3
    write_json(copy.path / "configs" / "train.json", config)
    assert reason_against(read_bundle(str(copy.path))) == "its network has 1 channels and 3 classes, not 1 and 2"


def test_a_bundle_that_cannot_become_one_is_exported_without_it(copy, capsys, monkeypatch):
    monkeypatch.setattr(exporting, "reason_against", lambda bundle: "its inferer is another")
    models = export(str(copy.path))
    assert not (models / "student.onnx").exists()
    assert (models / "model.onnx").is_file()
    assert capsys.readouterr().err == "student.onnx: not written: its inferer is another\n"


def test_a_file_that_says_something_else_is_not_kept(copy, monkeypatch):
    before = (copy.path / "models" / "student.onnx").read_bytes()
    write = student_file.export_student

    def of_another_size(network, image_size, *rest):
        write(network, image_size * 2, *rest)

    monkeypatch.setattr(student_file, "export_student", of_another_size)
    with pytest.raises(ParityError, match=r"\Astudent.onnx: is not the bundle: probabilities differ by .* in the mean"):
        export(str(copy.path))
    assert (copy.path / "models" / "student.onnx").read_bytes() == before
