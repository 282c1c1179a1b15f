"""A student with random weights, a real Orthanc, phantom studies, and nodes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from dicom_studies import save, series_datasets
from node_process import NodeProcess, has_dcmtk
from orthanc import Orthanc, is_installed

from benchmarks.anywhere import export_file, make_bundle

SIZE = 32


@pytest.fixture(scope="session")
def student(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return export_file(make_bundle("espnet", tmp_path_factory.mktemp("bundle") / "espnet", SIZE), SIZE)


@pytest.fixture(scope="session")
def pacs(tmp_path_factory) -> Orthanc:
    """An Orthanc that many tests share: their studies have UIDs of their own."""
    if not (is_installed() and has_dcmtk()):
        pytest.skip("apt-get install orthanc orthanc-dicomweb dcmtk")
    server = Orthanc(tmp_path_factory.mktemp("pacs"))
    yield server
    server.kill()


@pytest.fixture
def own_pacs(tmp_path) -> Orthanc:
    """An Orthanc that a test may kill."""
    if not (is_installed() and has_dcmtk()):
        pytest.skip("apt-get install orthanc orthanc-dicomweb dcmtk")
    (tmp_path / "pacs").mkdir()
    server = Orthanc(tmp_path / "pacs")
    yield server
    server.kill()


@pytest.fixture
def start_node(tmp_path, student) -> Callable[..., NodeProcess]:
    """``start_node(pacs, study={"quiet_s": 2})`` starts a node that stores in a PACS by C-STORE."""
    started = []

    def start(pacs: Orthanc | dict, **sections: dict) -> NodeProcess:
        peer = pacs if isinstance(pacs, dict) else by_dicom(pacs)
        folder = tmp_path / f"node{len(started)}"
        folder.mkdir(exist_ok=True)
        started.append(NodeProcess(folder, student, peer, **sections))
        return started[-1].start()

    yield start
    for node in started:
        node.kill()
        assert "Traceback" not in node.log.read_text()


def by_dicom(pacs: Orthanc) -> dict:
    """The settings of a PACS that takes C-STORE."""
    return {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.dicom_port}


@pytest.fixture
def make_study(tmp_path, request) -> Callable[..., Path]:
    """``make_study("a")`` writes a study of one axial T2w series, whose UIDs are the test's own."""

    def make(name: str, slices: int = 12, **tags: object) -> Path:
        rng = np.random.default_rng(sum(name.encode()))
        columns, rows, depth = np.ogrid[-1:1:72j, -1:1:64j, -1 : 1 : complex(0, slices)]
        gland = columns**2 + rows**2 + depth**2 < 0.4
        voxels = (200 + 800 * gland + rng.normal(0, 30, gland.shape)).clip(0).astype(np.uint16)
        study = f"{request.node.name} {name}"
        save(series_datasets(voxels, patient=f"Patient {name}", study=study, **tags), tmp_path / "studies" / name)
        return tmp_path / "studies" / name

    return make


@pytest.fixture
def answers(request) -> Callable[[Orthanc, Path], list[str]]:
    """``answers(pacs, study)``: the modalities of the stored results of a study, sorted."""
    import pydicom

    def stored(pacs: Orthanc, study: Path) -> list[str]:
        uid = pydicom.dcmread(next(study.rglob("IM*")), stop_before_pixels=True).StudyInstanceUID
        found = [one for modality in ("SEG", "SR", "OT") for one in pacs.instances(modality)]
        return sorted(one.Modality for one in found if one.StudyInstanceUID == uid)

    return stored
