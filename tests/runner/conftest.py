"""Two bundles with random weights: one sees whole images, the other a window. Both are exported to ``student.onnx``."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nibabel import Nifti1Image
from shipped_bundles import give_random_weights

from custom_components.bundle import Bundle, copy_bundle, read_bundle
from custom_components.bundle.student_file import write_student
from custom_components.export import export_onnx
from custom_components.foundation.files import write_json

SIZE, WINDOW_MM = 32, 40.0
WHOLE, WINDOW = "whole", "window"


@pytest.fixture(scope="session")
def exported(slices, tmp_path_factory) -> dict[str, Bundle]:
    """Both bundles of ESPNet, under the names ``WHOLE`` and ``WINDOW``; each holds ``models/student.onnx``."""
    bundles = {}
    for name, field_of_view in ((WHOLE, None), (WINDOW, WINDOW_MM)):
        folder = tmp_path_factory.mktemp(name) / "espnet"
        copy_bundle("espnet", folder, SIZE, field_of_view)
        bundles[name] = bundle = read_bundle(str(folder))
        give_random_weights(bundle, slices(SIZE))
        write_json(bundle.provenance_file, {"trained": "never"})
        network = folder / "models" / "model.onnx"
        export_onnx(bundle, network)
        write_student(bundle, network, folder / "models" / "student.onnx")
    return bundles


@pytest.fixture(scope="session")
def student_files(exported) -> dict[str, Path]:
    return {name: bundle.path / "models" / "student.onnx" for name, bundle in exported.items()}


@pytest.fixture
def volume(dataset_dir, tmp_path) -> Path:
    """A volume of the tiny dataset."""
    return Path(shutil.copy(sorted((dataset_dir / "images").iterdir())[0], tmp_path / "A 1.nii.gz"))


@pytest.fixture
def save_volume(tmp_path) -> Callable[..., Path]:
    """``save_volume("a.nii.gz")`` writes a volume of noise: 36x40x3 voxels of 1.25x1.25x3 mm."""

    def save(name: str, voxels: np.ndarray | None = None) -> Path:
        noise = np.random.default_rng(len(name)).normal(100, 20, (36, 40, 3)).astype(np.float32)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Nifti1Image(noise if voxels is None else voxels, np.diag([-1.25, 1.25, 3, 1])).to_filename(path)
        return path

    return save


@pytest.fixture
def segment(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """``segment(student, source, out)``: exit code, stdout and stderr of the command."""
    from student_runner.__main__ import main

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
