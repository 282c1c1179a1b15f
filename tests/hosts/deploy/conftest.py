"""A bundle with untrained weights, and the application, which runs in this process or in a process of its own.

These tests run in the environment of ``make test-deploy``, which cannot import the project's own conftest.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from application import segment_study
from dicom_studies import save, series_datasets
from monai.bundle import ckpt_export
from shipped_bundles import give_random_weights

from custom_components.bundle import copy_bundle, read_bundle
from custom_components.bundle.student_file import write_student
from custom_components.export import export_onnx
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real prostate MRI that PROSTATE_REAL_DATA names."""
    folder = os.environ.get("PROSTATE_REAL_DATA")
    if not folder:
        pytest.skip("no real data")
    return Path(folder)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """A copy of ENet's bundle with untrained weights, which find prostate in every slice."""
    folder = tmp_path_factory.mktemp("bundle") / "enet"
    shutil.copytree(REPOSITORY / "bundles/enet", folder, ignore=shutil.ignore_patterns("models", "output"))
    configs = {
        "meta_file": str(folder / "configs/metadata.json"),
        "config_file": str(folder / "configs/inference.json"),
    }
    give_random_weights(read_bundle(str(folder)))
    ckpt_export(
        "network_def", folder / "models/model.ts", folder / "models/model.pt", bundle_root=str(folder), **configs
    )
    return folder


@pytest.fixture(scope="session")
def model(bundle) -> Path:
    return bundle / "models/model.ts"


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """A copy of ESPNet's bundle with untrained weights and its ``models/student.onnx``."""
    folder = tmp_path_factory.mktemp("exported") / "espnet"
    copy_bundle("espnet", folder)
    bundle = read_bundle(str(folder))
    give_random_weights(bundle)
    write_json(bundle.provenance_file, {"trained": "never"})
    network = folder / "models/model.onnx"
    export_onnx(bundle, network)
    write_student(bundle, network, folder / "models/student.onnx")
    return folder


@pytest.fixture
def study(tmp_path) -> Path:
    """A generated study: one axial T2w series of six slices."""
    save(series_datasets(), tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def segmented(model, tmp_path, monkeypatch) -> Callable[..., Path]:
    """``segmented(source, PSA="6.5")`` runs the application in this process, and returns the folder of results."""
    monkeypatch.setattr(sys, "argv", ["application"])

    def run(source: Path | str, **environment: str) -> Path:
        results = tmp_path / "results"
        paths = {"INPUT": source, "OUTPUT": results, "MODEL": model}
        for name, value in {
            **{f"HOLOSCAN_{key}_PATH": str(path) for key, path in paths.items()},
            **environment,
        }.items():
            monkeypatch.setenv(name, value)
        segment_study()
        return results

    return run


@pytest.fixture
def refusal(segmented, tmp_path) -> Callable[..., str]:
    """``refusal(source)`` checks that a run ends with one line and writes nothing, and returns the line."""

    def run(source: Path | str, **environment: str) -> str:
        with pytest.raises(InputError) as caught:
            segmented(source, **environment)
        assert not any(tmp_path.glob("results/*"))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.CompletedProcess]:
    """``start(application, *arguments, **environment)`` starts the application from ``/``, as a user would."""

    def run(application: Path, *arguments: object, **environment: object) -> subprocess.CompletedProcess:
        command = [sys.executable, str(application), *map(str, arguments)]
        here = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "OMP_NUM_THREADS": "1"}
        given = {name: str(value) for name, value in environment.items()}
        return subprocess.run(command, env={**here, **given}, cwd="/", capture_output=True, text=True, timeout=300)

    return run
