"""A studies' folder with files that a Mac or a browser has left there."""

import json

import nibabel
import numpy as np
import pytest

from integrations.monai_label.studies import StudiesFolder


@pytest.fixture
def folder(tmp_path):
    for name in ("Case00.nii.gz", "Case01.nii"):
        nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4)), tmp_path / name)
    for name in ("._Case00.nii.gz", "._Case01.nii", ".hidden.nii.gz", "Case02.nii.gz.part"):
        (tmp_path / name).write_bytes(b"\0\5\26\7")
    return tmp_path


def test_what_is_no_study_is_not_offered(folder):
    studies = StudiesFolder(str(folder))
    assert sorted(studies.list_images()) == ["Case00", "Case01"]
    assert sorted(studies.get_unlabeled_images()) == ["Case00", "Case01"]


def test_what_an_earlier_server_listed_is_forgotten(folder):
    entry = {"image": {"ext": ".nii.gz", "info": {"name": "._Case00.nii.gz"}}, "labels": {}}
    (folder / "datastore_v2.json").write_text(
        json.dumps({"name": "", "description": "", "objects": {"._Case00": entry}})
    )
    assert sorted(StudiesFolder(str(folder)).list_images()) == ["Case00", "Case01"]
