"""A folder of nnU-Net v2 gives the probabilities on the image's grid, and no code in its files is run."""

import json
import os
import pickle

import nibabel
import numpy as np
import pytest

from custom_components.foundation.errors import InputError
from custom_components.predictions import PredictionFolder
from custom_components.predictions.nnunet import dataset_labels, read_properties

STUDENT = ("background", "prostate")
ZONES = {"prostate": ["PZ", "TZ"]}


def read(folder, image, channels=ZONES, classes=STUDENT):
    return PredictionFolder(folder, ["case"], classes, channels).read("case", image)


@pytest.mark.parametrize("forward", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("channels", [ZONES, {"prostate": [1, 2]}, {"prostate": [2, "PZ"], "background": 0}])
def test_the_zones_are_added_at_their_voxels(probs, image, write_nnunet, forward, channels):
    found = read(write_nnunet(probs, image, transpose_forward=forward), image, channels)
    assert found.shape == (2, 12, 10, 5)
    np.testing.assert_allclose(found[1], probs[..., 1] + probs[..., 2], atol=1e-6)
    np.testing.assert_allclose(found.sum(dim=0), 1, atol=1e-6)
    np.testing.assert_allclose(found.affine, nibabel.load(image).affine, atol=1e-6)


def test_names_of_the_students_own_need_no_table(probs, image, write_nnunet):
    found = read(write_nnunet(probs, image), image, None, ("background", "TZ", "PZ"))
    np.testing.assert_allclose(found, probs.transpose(3, 0, 1, 2)[[0, 2, 1]], atol=1e-6)


@pytest.mark.parametrize("key", ["original_affine", "reoriented_affine"])
def test_nibabels_properties_tell_the_grid_too(probs, image, write_nnunet, key):
    """``nibabel_reader_writer.py``: NibabelIOWithReorient keeps both affines, and the array is the reoriented one."""
    folder, affine = write_nnunet(probs, image), nibabel.load(image).affine
    stuff = {"original_affine": affine}
    if key == "reoriented_affine":
        turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(probs, affine))
        stuff[key] = turned.affine
        np.savez(folder / "case.npz", probabilities=np.asanyarray(turned.dataobj).transpose(3, 2, 1, 0))
    properties = read_properties(folder / "case.pkl")
    del properties["sitk_stuff"]
    (folder / "case.pkl").write_bytes(pickle.dumps({**properties, "nibabel_stuff": stuff}))
    np.testing.assert_allclose(read(folder, image)[0], probs[..., 0], atol=1e-6)


def test_regions_overlap_and_the_background_is_what_is_left(probs, image, write_nnunet):
    """``label_handling.py``: with regions there is no background channel; the channels have dataset.json's order."""
    regions = np.stack([1 - probs[..., 0], probs[..., 2]], axis=-1)
    folder = write_nnunet(regions, image, labels={"background": 0, "whole": [1, 2], "TZ": 2})
    np.testing.assert_allclose(read(folder, image, {"prostate": "whole"})[1], 1 - probs[..., 0], atol=1e-6)
    with pytest.raises(InputError, match=r"\A\S*case\.npz: has classes that sum to .* not to at most 1;"):
        read(folder, image, {"prostate": ["whole", "TZ"]})


@pytest.mark.parametrize("labels", [{"0": "background", "1": "prostate"}, {"background": {}}])
def test_other_labels_than_those_of_version_2_are_no_names(tmp_path, labels):
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert dataset_labels(tmp_path) is None


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Harmful()), r"is damaged, or more than plain values; it was not loaded \(posix\.system\);"),
        (b"no pickle", "is (no pickle, or )?damaged"),
        (pickle.dumps([1]), "holds no properties of nnU-Net"),
        (pickle.dumps({"shape_before_cropping": (5, 10, 12)}), "tells no geometry"),
        (pickle.dumps({"shape_before_cropping": (5, 10, 13)}), r"is of a volume \(5, 10, 13\), case\.npz of one"),
    ],
)
def test_a_bad_properties_file_is_refused(probs, image, write_nnunet, tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    folder = write_nnunet(probs, image, transpose_forward=(0, 1, 2))
    (folder / "case.pkl").write_bytes(content)
    with pytest.raises(InputError, match=rf"\A\S*case\.pkl: ({message})"):
        read(folder, image)
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda file, probs: file.write_bytes(b"PK\3\4 cut"), "is damaged, or no .npz"),
        (lambda file, probs: np.savez(file, softmax=probs), "has no array 'probabilities'"),
        (lambda file, probs: np.savez(file, probabilities=np.array([Harmful()])), "is damaged, or no .npz of numbers"),
        (lambda file, probs: np.savez(file, probabilities=probs[..., 0]), "holds float32 of shape"),
        (lambda file, probs: np.savez(file, probabilities=probs.T[:2]), "has 2 classes, its dataset.json 3"),
        (lambda file, probs: np.savez(file, probabilities=np.log(probs).T), "holds values from .* probabilities lie"),
    ],
)
def test_a_bad_npz_is_refused(probs, image, write_nnunet, save, message):
    folder = write_nnunet(probs, image)
    save(folder / "case.npz", probs)
    with pytest.raises(InputError, match=rf"\A\S*case\.npz: {message}"):
        read(folder, image)


def test_the_properties_of_another_case_are_found(probs, image, write_nnunet):
    """nnU-Net was given another image, of the same shape but at another place."""
    folder = write_nnunet(probs, image)
    properties = read_properties(folder / "case.pkl")
    properties["sitk_stuff"]["origin"] = (0.0, 0.0, 0.0)
    (folder / "case.pkl").write_bytes(pickle.dumps(properties))
    with pytest.raises(InputError, match=r"\A\S*npz: lies up to 38 mm off its image \(other affine\): it is shifted"):
        read(folder, image)
