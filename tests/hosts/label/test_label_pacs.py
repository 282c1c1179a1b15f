"""The server lists and segments studies in a real PACS, and stores their labels there as DICOM SEG."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pydicom
import pytest
import requests

from data_prep.dicom.segments import place_segments
from integrations.monai_label.pacs import Pacs

sys.path.append(str(Path(__file__).resolve().parents[2] / "data_prep"))
import dicom_studies

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
pytestmark = pytest.mark.skipif(
    not (shutil.which("Orthanc") and PLUGIN.is_file()), reason="needs Debian's orthanc and orthanc-dicomweb"
)
T2 = dicom_studies.uid("P1", "S1", 4)


@pytest.fixture(scope="module")
def orthanc(free_port, tmp_path_factory):
    """An Orthanc that holds a synthetic study and, if there are real data, a study with seven series."""
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    config = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "DicomPort": free_port(),
        "RemoteAccessAllowed": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["Orthanc", folder / "orthanc.json"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            requests.get(f"{url}/system", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.3)
    dicom_studies.save(dicom_studies.series_datasets(), folder / "t2")
    sagittal = dicom_studies.series_datasets(orientation=dicom_studies.SAGITTAL, number=5)
    dicom_studies.save(sagittal, folder / "sagittal")
    files = [*(folder / "t2").iterdir(), *(folder / "sagittal").iterdir()]
    if real_data := os.environ.get("PROSTATE_REAL_DATA"):
        files += [file for file in Path(real_data, "dicom_prostatex", "ProstateX-0000").rglob("*") if file.is_file()]
    for file in files:
        requests.post(f"{url}/instances", data=file.read_bytes(), timeout=30).raise_for_status()
    yield SimpleNamespace(url=url, process=process)
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def server(orthanc, start, bundles):
    return start(f"{orthanc.url}/dicom-web", "--models", bundles / "enet")


def find(orthanc, level, **match):
    """Search with Orthanc's own API."""
    query = {"Level": level, "Query": match, "Expand": True}
    return requests.post(f"{orthanc.url}/tools/find", json=query, timeout=30).json()


def test_the_axial_t2_series_of_every_study_is_listed(server):
    expected = 2 if os.environ.get("PROSTATE_REAL_DATA") else 1
    assert server.get("/info/").json()["datastore"]["total"] == expected
    drawn = {server.post("/activelearning/random").json()["id"] for _ in range(30)}
    assert T2 in drawn
    assert len(drawn) == expected


def test_a_series_is_segmented_and_comes_as_dicom_seg(server, orthanc, tmp_path):
    mask = server.post(f"/infer/enet?image={T2}&output=image")
    (tmp_path / "mask.nii.gz").write_bytes(mask.content)
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(mask.affine, dicom_studies.affine(), atol=1e-3)

    params = json.dumps({"label_info": [{"name": "prostate", "model_name": "enet"}]})
    response = server.post(f"/infer/enet?image={T2}&output=dicom_seg", data={"params": params})
    made = pydicom.dcmread(io.BytesIO(response.content))
    assert made.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert_segments(made, np.asarray(mask.dataobj))


def test_a_final_label_is_stored_in_the_pacs(server, orthanc, tmp_path):
    assert find(orthanc, "Series", Modality="SEG") == []
    nibabel.save(nibabel.Nifti1Image(dicom_studies.gland(), dicom_studies.affine()), tmp_path / "label.nii.gz")
    response = server.save_label(T2, tmp_path / "label.nii.gz")
    assert response.status_code == 200, response.text
    (instance,) = find(orthanc, "Instance", Modality="SEG")
    file = requests.get(f"{orthanc.url}/instances/{instance['ID']}/file", timeout=30).content
    stored = pydicom.dcmread(io.BytesIO(file))
    assert stored.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert "research use" in stored.SeriesDescription
    assert_segments(stored, dicom_studies.gland())
    assert server.post("/activelearning/first").json().get("id") != T2


def test_bare_voxels_as_ohif_saves_them(server, orthanc, tmp_path):
    before = find(orthanc, "Series", Modality="SEG")
    (tmp_path / "label.bin").write_bytes(dicom_studies.gland().tobytes(order="F"))
    assert server.save_label(T2, tmp_path / "label.bin").status_code == 200
    assert len(find(orthanc, "Series", Modality="SEG")) == len(before) + 1


def test_a_label_on_another_grid_stays_out_of_the_pacs(server, orthanc, tmp_path):
    before = find(orthanc, "Series", Modality="SEG")
    nibabel.save(
        nibabel.Nifti1Image(dicom_studies.gland()[:, :, 1:], dicom_studies.affine()), tmp_path / "label.nii.gz"
    )
    response = server.save_label(T2, tmp_path / "label.nii.gz")
    assert (response.status_code, response.json()["detail"].split(": ")[0]) == (422, f"label of {T2}")
    assert find(orthanc, "Series", Modality="SEG") == before


def test_of_two_equal_series_a_variable_takes_one(orthanc, tmp_path, monkeypatch, caplog):
    both = {number: dicom_studies.series_datasets(number=number, patient="P2") for number in (4, 9)}
    files = [file for number, one in both.items() for file in dicom_studies.save(one, tmp_path / str(number))]
    for file in files:
        requests.post(f"{orthanc.url}/instances", data=file.read_bytes(), timeout=30).raise_for_status()
    try:
        uids = {number: one[0].SeriesInstanceUID for number, one in both.items()}
        for variable, value, taken in (("TIE", "", None), ("TIE", "last", 9), ("SERIES", uids[4], 4)):
            monkeypatch.setenv(variable, value)
            listed = Pacs(f"{orthanc.url}/dicom-web", tmp_path / "work").list_images()
            assert {number for number, one in uids.items() if one in listed} == {taken} - {None}
            if variable == "TIE":
                assert T2 in listed
            monkeypatch.delenv(variable)
        problem = "it has 2 axial T2w series (numbers 4, 9); choose with SERIES or TIE"
        assert f"study {both[4][0].StudyInstanceUID} is left out: {problem}" in caplog.messages
    finally:
        (study,) = requests.post(f"{orthanc.url}/tools/lookup", data=both[4][0].StudyInstanceUID, timeout=30).json()
        requests.delete(f"{orthanc.url}/studies/{study['ID']}", timeout=30)


def test_the_files_of_the_viewer(server):
    page = server.get("/ohif/")
    assert "https:" not in page.text
    assert server.get("/ohif/monai-label?StudyInstanceUIDs=1.2.3").text == page.text
    assert server.get("/ohif/app.bundle.css").text.count("https://fonts") == 0
    assert server.get("/ohif/assets/favicon.ico").content[:4] == b"\x00\x00\x01\x00"
    for missing in ("/ohif/missing.js", "/ohif/%2e%2e/favicon.ico", "/ohif/..%2ffavicon.ico"):
        assert server.get(missing).status_code == 404
    policy = page.headers["Content-Security-Policy"]
    for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_the_viewer_finds_studies_and_their_image(server):
    found = server.get("/proxy/dicom/qido/studies?00100020=P1").json()
    assert [one["0020000D"]["Value"] for one in found] == [[dicom_studies.uid("P1", "S1")]]
    assert server.get("/proxy/dicom/qido/studies?00100020=nobody").json() == []
    assert server.get(f"/ohif/series/{dicom_studies.uid('P1', 'S1')}").json() == [T2]
    assert server.get("/ohif/series/1.2.3").json() == []
    assert server.get("/ohif/training").json() == {"running": False, "failed": False, "ends": []}


def test_an_unknown_series_and_a_way_around_the_pacs_api(server):
    assert server.post("/infer/enet?image=1.2.3&output=json").status_code == 404
    assert server.get("/proxy/dicom/wado/studies/%252e%252e/%252e%252e/patients").status_code == 404


def test_the_seven_series_of_a_real_study(server, orthanc, real_data):
    image = server.post("/activelearning/first").json()["id"]
    said = server.post(f"/infer/enet?image={image}&output=json")
    assert said.status_code == 200, said.text
    (series,) = find(orthanc, "Series", SeriesInstanceUID=image)
    assert "t2_tse_tra" in series["MainDicomTags"]["SeriesDescription"]


def test_a_pacs_that_is_gone_is_said_and_the_server_lives_on(server, orthanc):
    orthanc.process.terminate()
    orthanc.process.wait(30)
    for _ in range(2):
        response = server.post("/activelearning/first")
        assert response.status_code == 502
        assert response.json()["detail"].startswith("the request to the PACS failed: ")


def assert_segments(made, mask):
    """Check that a SEG refers to every image of the T2 series, and has the voxels (columns, rows, slices) of a mask."""
    assert made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "41216001"
    (referenced,) = made.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == T2
    assert made.StudyInstanceUID == dicom_studies.uid("P1", "S1")
    images = {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence}
    assert images == {one.SOPInstanceUID for one in dicom_studies.series_datasets()}
    np.testing.assert_array_equal(place_segments(made, (1,), dicom_studies.affine(), mask.shape), mask)
