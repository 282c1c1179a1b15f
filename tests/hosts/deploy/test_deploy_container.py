"""The application as a container starts it: a copy alone, with its folders in environment variables."""

import subprocess

import pydicom
import pytest
import yaml
from conftest import REPOSITORY
from dicom_studies import SAGITTAL, save, series_datasets


@pytest.fixture(scope="module", params=["model.ts", "student.onnx"])
def packaged(request, bundle, exported, tmp_path_factory):
    """The folder that ``make deploy-app`` writes for ``monai-deploy package``."""
    if request.param == "student.onnx":
        bundle = exported
    folder = tmp_path_factory.mktemp("packaged")
    command = ["make", "--silent", "deploy-app", f"BUNDLE={bundle}", f"OUT={folder}"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert [path.name for path in (folder / "models/model").iterdir()] == [request.param]
    return folder


def test_folders_come_from_the_environment(packaged, study, start, tmp_path):
    (tmp_path / "output").mkdir()
    done = start(
        packaged / "app",
        HOLOSCAN_INPUT_PATH=study,
        HOLOSCAN_OUTPUT_PATH=tmp_path / "output",
        HOLOSCAN_MODEL_PATH=packaged / "models",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("series 4 t2_tse_tra\nprostate ")
    seg = pydicom.dcmread(tmp_path / "output/prostate_seg.dcm")
    assert seg.SegmentSequence[0].SegmentLabel == "Prostate"


def test_a_refusal_is_one_line_on_stderr_and_exit_code_1(packaged, start, tmp_path):
    save(series_datasets(orientation=SAGITTAL), tmp_path / "study")
    done = start(packaged / "app", "-i", tmp_path / "study", "-o", tmp_path / "output", "-m", packaged / "models")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path}/study: its study has no axial T2w series")
    assert done.stderr.count("\n") == 1
    assert not any((tmp_path / "output").glob("*"))


def test_app_yaml_says_what_the_packager_asks_for():
    config = yaml.safe_load((REPOSITORY / "integrations/monai_deploy/app.yaml").read_text())
    assert {"title", "version"} <= config["application"].keys()
    assert "research use" in config["application"]["title"]
    assert {"cpu", "memory"} <= config["resources"].keys()
