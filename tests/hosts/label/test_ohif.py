"""An annotator's work in OHIF, with the real server and a real PACS: every test goes on where the one before it ended.

The studies are oblique, and their slices have no symmetry. The second one has its columns reversed, and its slices
follow each other downwards.
"""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from ohif_page import Ohif
from orthanc import Orthanc, is_installed

from benchmarks.chromium import PROGRAM
from custom_components.foundation.files import file_sha256
from data_prep.dicom.segments import place_segments

sys.path.append(str(Path(__file__).resolve().parents[2] / "data_prep"))
import dicom_studies

pytestmark = pytest.mark.skipif(
    not (PROGRAM and is_installed()),
    reason="no Chromium or no Orthanc: apt-get install chromium orthanc orthanc-dicomweb",
)
SHAPE = (48, 40, 10)
REVERSED = (*-np.array(dicom_studies.AXIAL[:3]), *dicom_studies.AXIAL[3:])
ORIENTATIONS = {"P1": dicom_studies.AXIAL, "P2": REVERSED}


def picture(seed: int) -> np.ndarray:
    """A body with a bright gland (columns, rows, slices)."""
    x, y, z = np.indices(SHAPE)
    body = ((x - 24) / 22) ** 2 + ((y - 20) / 18) ** 2 < 1
    gland = ((x - 20) / 9) ** 2 + ((y - 16) / 6) ** 2 + ((z - 5) / 4) ** 2 < 1
    return (np.random.default_rng(seed).integers(100, 180, SHAPE) + 300 * body + 500 * gland).astype(np.uint16)


def t2(patient: str) -> str:
    return dicom_studies.uid(patient, "S1", 4)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    """Two studies with axial series, the first one also with a sagittal series of the same size, and one without."""
    folder = tmp_path_factory.mktemp("pacs")
    server = Orthanc(folder)
    for patient, orientation in ORIENTATIONS.items():
        dicom_studies.save(dicom_studies.series_datasets(picture(1), orientation, patient=patient), folder / patient)
        server.add(folder / patient)
    for patient in ("P1", "P3"):
        sagittal = dicom_studies.series_datasets(picture(2), dicom_studies.SAGITTAL, 2, "t2_tse_sag", patient)
        dicom_studies.save(sagittal, folder / f"sagittal {patient}")
        server.add(folder / f"sagittal {patient}")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(pacs, start, bundles):
    return start(f"{pacs.root}/dicom-web", "--models", bundles / "enet")


@pytest.fixture(scope="module")
def ohif(server, tmp_path_factory):
    viewer = Ohif(server.url, tmp_path_factory.mktemp("pictures"))
    with viewer.browser:
        yield viewer


@pytest.fixture
def mask(server, tmp_path):
    """``mask("P1")`` is the server's mask of a patient's axial series."""

    def ask(patient: str) -> nibabel.Nifti1Image:
        (tmp_path / "mask.nii.gz").write_bytes(server.post(f"/infer/enet?image={t2(patient)}&output=image").content)
        return nibabel.load(tmp_path / "mask.nii.gz")

    return ask


def assert_equals_mask(ohif, mask, patient):
    """Check the labelmap against the server's mask, and the places of both against the DICOM headers."""
    affine = dicom_studies.affine(ORIENTATIONS[patient])
    np.testing.assert_allclose(ohif.labelmap_affine(), affine, atol=1e-4)
    np.testing.assert_allclose(mask.affine, affine, atol=1e-3)
    voxels = np.asarray(mask.dataobj)
    assert 0 < voxels.sum() < voxels.size
    assert not np.array_equal(voxels, voxels[:, :, ::-1])
    np.testing.assert_array_equal(ohif.labelmap(), voxels)


def test_a_study_is_found_and_opens_with_the_series_that_the_server_segments(ohif):
    ohif.open_list()
    ohif.picture("list")
    ohif.search("P1")
    ohif.open_found()
    ohif.picture("study")
    assert ohif.series_shown() == t2("P1")
    assert ohif.browser.run("document.querySelectorAll('[data-cy=study-browser-thumbnail]').length") == 2
    assert ohif.browser.run("monailabelServerURL.value") == f"{ohif.address}/"


def test_a_model_that_was_not_trained_here_shows_no_training(ohif):
    ohif.connect()
    assert ohif.bars() == {"Annotated": "0%", "Training": "0%", "Train Acc": "0%"}


def test_the_labelmap_is_the_mask_of_the_server(ohif, mask):
    assert ohif.segment() == "success: Running Segmentation - Successful"
    ohif.picture("segmented")
    assert_equals_mask(ohif, mask("P1"), "P1")


def test_the_corrected_label_is_stored_in_the_pacs(ohif, pacs, server):
    before = ohif.labelmap()
    ohif.tool("CircularBrush")
    corrected = ohif.stroke()
    ohif.picture("corrected")
    assert (corrected >= before).all()
    # The first viewport shows an acquired slice, so the stroke is in this slice alone.
    assert (corrected != before).any(axis=(0, 1)).sum() == 1
    ohif.connect()
    np.testing.assert_array_equal(ohif.labelmap(), corrected)

    ohif.forget_notes()
    ohif.tool("SubmitLabel")
    assert ohif.note() == "success: The label is stored in the PACS."
    ohif.picture("submitted")
    (stored,) = pacs.instances("SEG")
    assert stored.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert stored.ReferencedSeriesSequence[0].SeriesInstanceUID == t2("P1")
    np.testing.assert_array_equal(place_segments(stored, (1,), dicom_studies.affine(), SHAPE), corrected)
    assert server.get("/info/").json()["datastore"]["completed"] == 1


@pytest.mark.parametrize("strategy", ["first", "random", "most_uncertain"])
def test_the_next_sample_of_each_strategy(ohif, strategy):
    sent = len(ohif.browser.requests)
    assert ohif.next_sample(strategy) == t2("P2")
    assert f"{ohif.address}/activelearning/{strategy}" in ohif.browser.requests[sent:]
    ohif.picture(f"next sample {strategy}")
    if strategy == "most_uncertain":
        ohif.click(".nextSampleForm button", "OK")
        ohif.wait("!document.querySelector('.nextSampleForm')")
        ohif.wait_for_study()
        assert ohif.series_shown() == t2("P2")
    else:
        ohif.browser.run("services.uiModalService.hide()")
        ohif.wait("!document.querySelector('.nextSampleForm')")


def test_a_training_changes_the_next_mask(ohif, mask, bundles):
    ohif.connect()
    ohif.segment()
    assert_equals_mask(ohif, mask("P2"), "P2")
    before, weights = ohif.labelmap(), file_sha256(bundles / "enet" / "models" / "model.pt")
    ohif.click("a", "Options / Configurations")
    ohif.wait("!!document.querySelector('select[name=selectSection]')")
    ohif.choose("select[name=selectSection]", "train")
    ohif.wait("!!document.querySelector('#trainenetmax_epochs')")
    ohif.choose("#trainenetmax_epochs", "2")
    ohif.picture("options")
    ohif.click("button", "Confirm")
    ohif.forget_notes()
    ohif.click("button", "Update Model")
    assert ohif.note() == "success: Model update task STARTED"
    ohif.wait("[...document.querySelectorAll('button')].some(one => one.innerText === 'Stop Training')")
    ohif.forget_notes()
    assert ohif.note() == "success: enet: trained; the next mask uses the new weights"
    ohif.wait("[...document.querySelectorAll('button')].some(one => one.innerText === 'Update Model')")
    ohif.picture("trained")
    assert file_sha256(bundles / "enet" / "models" / "model.pt") != weights

    ohif.segment()
    assert_equals_mask(ohif, mask("P2"), "P2")
    assert not np.array_equal(ohif.labelmap(), before)


def test_a_series_that_the_server_does_not_segment_is_named(ohif):
    ohif.open_study(dicom_studies.uid("P3", "S1"))
    ohif.connect()
    no_image = f"no image '{dicom_studies.uid('P3', 'S1', 2)}' in the studies; open the axial T2w series of a study"
    assert ohif.segment() == f"error: {no_image}"
    ohif.picture("no image")
    ohif.forget_notes()
    ohif.tool("SubmitLabel")
    assert ohif.note() == f"error: The label is not stored: {no_image}"


def test_a_mask_is_not_drawn_on_another_series(ohif):
    ohif.open_study(dicom_studies.uid("P1", "S1"))
    ohif.show_series("t2_tse_sag")
    ohif.connect()
    ohif.show_series("t2_tse_tra")
    assert ohif.segment() == "success: Running Segmentation - Successful"
    ohif.wait("window.notes.some(note => note.includes('another series'))")
    ohif.picture("another series")
    assert not ohif.labelmap().any()


def test_the_viewer_asks_only_its_own_server(ohif):
    others = [one for one in ohif.browser.requests if not one.startswith((ohif.address, "data:", "blob:", "about:"))]
    assert others == []
    # The two requests that the server has refused.
    assert [one.partition("status of ")[2] for one in ohif.browser.complaints] == ["404 (Not Found)"] * 2
    blocked = "new Promise(done => document.addEventListener('securitypolicyviolation', e => done(e.blockedURI)))"
    address = "https://127.0.0.1:1/"
    script = f"(() => {{ const seen = {blocked}; fetch('{address}').catch(() => 0); return seen; }})()"
    assert ohif.browser.run(script) == address
