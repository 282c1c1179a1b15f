"""The checks of an inference before it starts."""

import pytest
import torch

from custom_components.inference import check_inference, slices_at_once


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "model.pt"
    file.touch()
    return file


def test_weights_and_volumes_are_enough(weights):
    assert check_inference(weights, "volumes", ["volumes/a.nii", "volumes/b.nii.gz"]) is None


@pytest.mark.parametrize(
    ("datalist", "line"),
    [
        ([], "volumes: no NIfTI volume (*.nii, *.nii.gz) in this folder"),
        (["a.nii", "a.nii.gz"], "volumes: two volumes of one name; one mask would replace the other"),
    ],
)
def test_what_is_wrong_is_one_line(weights, datalist, line):
    with pytest.raises(SystemExit) as ended:
        check_inference(weights, "volumes", datalist)
    assert ended.value.code == f"error: {line}"


def test_missing_weights_are_told_first(tmp_path):
    with pytest.raises(SystemExit) as ended:
        check_inference(tmp_path / "model.pt", "volumes", [])
    assert ended.value.code == f"error: {tmp_path}/model.pt: no such checkpoint; train the bundle first"


@pytest.mark.parametrize(("device", "slices"), [("cpu", 1), ("cuda", 8), ("cuda:1", 8), (torch.device("cuda", 0), 8)])
def test_a_gpu_takes_several_slices_at_once(device, slices):
    assert slices_at_once(device) == slices
