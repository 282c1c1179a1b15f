import json

import pytest
import sources_on_disk as layouts

from custom_components.foundation.errors import InputError
from data_prep.__main__ import main as data_prep
from data_prep.dataset_file import read_dataset
from experiments.__main__ import main as experiments

ENTRY = {"case": "A_1", "site": "A", "patient": "A_1", "image": "images/A_1.nii.gz", "label": None, "voxel_sha256": "0"}


def test_the_entries_are_read(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "set", "cases": [ENTRY]}))
    assert read_dataset(tmp_path) == {"name": "set", "cases": [ENTRY]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"training": []}, "is of another format; make a dataset of it with python -m data_prep import"),
        ({"cases": {"A_1": ENTRY}}, "is of another format"),
        (
            {"cases": [3]},
            "has a case without case, site, patient, image, label, voxel_sha256; import",
        ),
        ({"cases": [{"case": "A_1", "site": "A", "label": None}]}, "has a case without patient, image, voxel_sha256;"),
        ({"cases": [{**ENTRY, "image": None}]}, "has a case without image;"),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path, content, said):
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"\A{tmp_path}/dataset.json: {said}"):
        read_dataset(tmp_path)


def test_every_command_refuses_the_decathlons_folder_and_leaves_it_alone(tmp_path, capsys):
    decathlon, raw, out = layouts.decathlon(tmp_path / "task"), layouts.multi_site(tmp_path / "raw"), tmp_path / "out"
    before = sorted(decathlon.rglob("*"))
    assert data_prep(["split", str(decathlon)]) == 1
    assert data_prep(["merge", str(decathlon), "--out", str(out)]) == 1
    assert data_prep(["import", str(raw), "--keep-ids", "--jobs", "1", "--out", str(decathlon)]) == 1
    assert experiments(["run", "--dataset", str(decathlon), "--out", str(out)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"error: {decathlon}/dataset.json: is of another format;") for line in lines)
    assert sorted(decathlon.rglob("*")) == before
    assert not out.exists()
