"""The files in the project's wheel."""

import zipfile
from pathlib import Path

import pytest
from old_builds import leave_old_build
from wheels import build_wheel, copy_checkout


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """The wheel of a checkout in which a bundle was trained."""
    source = copy_checkout(repository, tmp_path_factory.mktemp("checkout") / "source")
    for file in ("models/provenance.json", "output/evaluation.json"):
        (source / "bundles" / "enet" / file).parent.mkdir()
        (source / "bundles" / "enet" / file).write_text('{"patient": "MRN-4711"}')
    leave_old_build(source)
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


def test_nothing_of_a_training_is_in_a_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert not [name for name in names if b"MRN-4711" in archive.read(name)]
    assert "bundles/enet/configs/train.json" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


def test_nothing_of_an_earlier_build_is_in_a_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "data_prep/phantom/__init__.py" in names
    assert not [name for name in names if "removed" in name]
