"""The runner as a user installs it: an environment of its own without torch, its size, and its command."""

import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from dicom_studies import save, series_datasets

from benchmarks.anywhere import export_file, install_runner, installed_mb, make_bundle
from custom_components.bundle.segmenting import Segmenting, open_bundle

SIZE = 32


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.set_num_threads(1)
    return make_bundle("espnet", tmp_path_factory.mktemp("bundle") / "espnet", SIZE)


@pytest.fixture(scope="module")
def student(bundle) -> Path:
    return export_file(bundle, SIZE)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """The folder of an environment with the runner for NIfTI volumes."""
    folder = tmp_path_factory.mktemp("environment")
    install_runner(folder)
    return folder


def run(environment, *arguments, code=0):
    done = subprocess.run([environment / "bin" / "segment", *arguments], cwd="/", capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_the_environment_is_small_and_has_no_torch(environment):
    (packages,) = environment.glob("lib/python*/site-packages")
    assert installed_mb(packages) <= 250
    assert {"torch", "monai", "scipy", "pydicom"}.isdisjoint(path.name for path in packages.iterdir())
    assert (packages / "custom_components" / "foundation" / "nifti.py").is_file()
    assert not (packages / "custom_components" / "losses").exists()


def test_a_volume(environment, student, bundle, tmp_path):
    rows, columns, depth = np.ogrid[-1:1:40j, -1:1:45j, -1:1:4j]
    voxels = (1000 * (rows**2 + columns**2 + depth**2 < 0.4)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-0.9, 0.8, 3, 1])), tmp_path / "a.nii.gz")
    run(environment, student, tmp_path / "a.nii.gz", tmp_path / "mask.nii.gz")
    expected = nibabel.load(Segmenting(open_bundle(bundle.path), tmp_path, "cpu")(tmp_path / "a.nii.gz").mask)
    written = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(written.dataobj, expected.dataobj)
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-12)


def test_a_study_needs_the_extra_and_works_with_it(environment, student, tmp_path):
    save(series_datasets(), tmp_path / "study")
    done = run(environment, student, tmp_path / "study", tmp_path / "out", code=1)
    assert done.stderr == (
        "error: a DICOM study needs the package pydicom; install it with the runner: pip install './runner[dicom]'\n"
    )
    install_runner(environment, "[dicom]")
    assert run(environment, student, tmp_path / "study", tmp_path / "out").stdout.startswith("series 4 t2_tse_tra\n")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["prostate.png", "prostate_report.dcm", "prostate_seg.dcm"]


def test_help_tells_the_exit_codes(environment):
    assert "The exit code is 0 if all is done" in run(environment, "--help").stdout
