import json

import pytest

from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError


def test_paths_are_absolute_and_all_else_is_kept(tmp_path):
    case = {"image": "images/a.nii.gz", "label": "labels/a.nii.gz", "case": "a", "site": "HK", "patient": "p"}
    (tmp_path / "split.json").write_text(json.dumps({"name": "all", "training": [case], "test": []}))
    (loaded,) = load_datalist(tmp_path / "split.json", "training", "/data")
    assert loaded == {**case, "image": "/data/images/a.nii.gz", "label": "/data/labels/a.nii.gz"}
    assert load_datalist(tmp_path / "split.json", "test", "/data") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such split; give --dataset_dir"),
        ("{", "not a JSON file"),
        ("[]", "expected a JSON object"),
        ('{"training": []}', "has no list 'test'"),
        ('{"test": {}}', "has no list 'test'"),
    ],
)
def test_a_faulty_split_is_named(tmp_path, content, message):
    file = tmp_path / "split.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=rf"\A{file}: {message}"):
        load_datalist(file, "test", tmp_path)


def test_images_without_masks_are_a_list_that_a_split_may_lack(tmp_path):
    case = {"image": "images/a.nii.gz", "patient": "p"}
    split = {"training": [{**case, "label": "a"}], "test": [{"image": "b.nii.gz", "label": "b", "patient": "q"}]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    assert load_datalist(tmp_path / "split.json", "unlabeled", "/data") == []
    (tmp_path / "split.json").write_text(json.dumps({**split, "unlabeled": [case]}))
    assert load_datalist(tmp_path / "split.json", "unlabeled", "/data") == [
        {"image": "/data/images/a.nii.gz", "patient": "p", "case": "a", "site": ""}
    ]


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize("key", ["patient", "voxel_sha256", "image"])
def test_an_image_without_a_mask_of_a_patient_who_chooses_or_scores_is_refused(tmp_path, part, key):
    known = {"image": "a.nii.gz", "label": "m.nii.gz", "case": "a", "patient": "p", "voxel_sha256": "1"}
    hidden = {**{name: f"other {value}" for name, value in known.items() if name != "label"}, key: known[key]}
    hidden["case"] = "b"
    (tmp_path / "split.json").write_text(json.dumps({"training": [], part: [known], "unlabeled": [hidden]}))
    message = rf"\A[^\n]*split.json: b in 'unlabeled' is of the same patient as a in '{part}'; keep a patient in one"
    with pytest.raises(InputError, match=message):
        load_datalist(tmp_path / "split.json", "unlabeled", tmp_path)


@pytest.mark.parametrize("case", ["a.nii.gz", {}, {"image": 3}])
def test_a_case_without_a_mask_needs_an_image(tmp_path, case):
    (tmp_path / "split.json").write_text(json.dumps({"unlabeled": [case], "test": ["b.nii.gz"]}))
    with pytest.raises(InputError, match=r"\A\S*split.json: a case of 'unlabeled' has no image; write splits"):
        load_datalist(tmp_path / "split.json", "unlabeled", tmp_path)
