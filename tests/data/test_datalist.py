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
