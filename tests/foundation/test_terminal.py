"""File names that a terminal cannot show."""

import io
import json
import os
import subprocess
import sys

import pytest

from custom_components.foundation.terminal import as_text, is_text, show_any_text

# Müller in Latin-1, in the form that Python gives it on a UTF-8 system.
NAME = os.fsdecode(b"M\xfcller")


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("utf-8", NAME, b"M\\udcfcller"),
        ("ascii", "Müller", b"M\\xfcller"),
        ("latin-1", "Müller Ω", b"M\xfcller \\u03a9"),
        ("utf-8", "Müller", "Müller".encode()),
    ],
)
def test_any_text_can_be_printed(monkeypatch, encoding, text, shown):
    shell = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shell, encoding))
    show_any_text()
    print(text, end="", flush=True)
    assert shell.getvalue() == shown


def test_a_stream_that_is_none_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    show_any_text()


def test_bytes_that_are_no_utf_8_are_latin_1():
    assert (is_text(NAME), is_text("Müller")) == (False, True)
    assert (as_text(NAME), as_text("Müller"), as_text("Ω")) == ("Müller", "Müller", "Ω")


def run(*arguments, encoding):
    command = [sys.executable, "-m", "data_prep", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    return subprocess.run(command, env=environment, capture_output=True)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_an_import_of_such_names_ends_as_any_other(tmp_path, encoding):
    import nibabel
    import numpy as np

    folder = tmp_path / "raw" / "HK"
    folder.mkdir(parents=True)
    for number in range(2):
        voxels = np.random.default_rng(number).integers(0, 9, (5, 4, 3)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{NAME}{number}.nii.gz")
    (folder / f"{NAME}1_segmentation.nii.gz").write_bytes(b"damaged")
    (folder / f"{NAME}.txt").touch()
    raw, dataset = str(tmp_path / "raw"), str(tmp_path / "set")
    ended = run("import", raw, "--out", dataset, "--keep-ids", "--jobs", "0", encoding=encoding)
    assert ended.returncode == 3
    assert b"such as HK/M\\udcfcller.txt" in ended.stdout
    assert b"Traceback" not in ended.stderr
    (entry,) = json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]
    assert entry["case"] == "HK_Müller0"
    assert (tmp_path / "set" / entry["image"]).is_file()
    assert (tmp_path / "raw" / entry["source"]).is_file()
    told = run("validate", raw, "--json", "--jobs", "0", encoding=encoding)
    assert json.loads(told.stdout)[0]["file"] == str(folder / f"{NAME}1_segmentation.nii.gz")
