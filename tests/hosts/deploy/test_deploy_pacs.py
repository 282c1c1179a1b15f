"""The application loads a study from a real PACS, and stores the results there."""

import numpy as np
import pydicom
import pytest
from dicom_studies import item, save, series_datasets
from dicomweb_client import DICOMwebClient
from orthanc import Link, Orthanc, free_port, is_installed
from pacs import PacsStudy

from custom_components.foundation.errors import InputError

pytestmark = pytest.mark.skipif(not is_installed(), reason="no Orthanc: apt-get install orthanc orthanc-dicomweb")
# With this shape, images and SEG do not fit into the network's buffers.
LARGE = (256, 256, 6)


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 1500, LARGE).astype(np.uint16)
    return series_datasets(pixels)


@pytest.fixture
def start_pacs(tmp_path, images):
    """``start_pacs()`` starts an Orthanc that holds one study."""
    started = []

    def start():
        (tmp_path / "pacs").mkdir()
        started.append(Orthanc(tmp_path / "pacs"))
        save(images, tmp_path / "export")
        started[0].add(tmp_path / "export")
        return started[0]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def address(images):
    """``address(server)`` gives the URL of the study on a server."""
    return lambda server: f"{server.root}/dicom-web/studies/{images[0].StudyInstanceUID}"


def stored_uids(pacs):
    return [one.SOPInstanceUID for modality in ("SEG", "SR") for one in pacs.instances(modality)]


def made_uids(results):
    return [pydicom.dcmread(results / name).SOPInstanceUID for name in ("prostate_seg.dcm", "prostate_report.dcm")]


def test_results_come_back_as_they_are_made_from_a_folder_and_once(
    start_pacs, address, images, segmented, tmp_path, capsys
):
    pacs = start_pacs()
    of_folder = made_uids(segmented(tmp_path / "export"))
    capsys.readouterr()
    for _ in range(2):
        results = segmented(address(pacs))
        assert capsys.readouterr().out.endswith(f"SEG and report stored in {address(pacs)}\n")
        assert stored_uids(pacs) == made_uids(results) == of_folder
    (seg,) = pacs.instances("SEG")
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == images[0].SeriesInstanceUID
    assert seg.PixelData == pydicom.dcmread(results / "prostate_seg.dcm").PixelData
    (report,) = pacs.instances("SR")
    assert report.StudyInstanceUID == images[0].StudyInstanceUID


def test_a_pacs_killed_while_it_sends(start_pacs, address, segmented, refusal):
    pacs = start_pacs()
    link = Link(pacs, download=300_000)
    line = refusal(address(link))
    assert line == f"{address(link)}: 3 of 6 instances did not arrive; run again"
    pacs.start()
    assert stored_uids(pacs) == []
    results = segmented(address(pacs))
    assert stored_uids(pacs) == made_uids(results)


@pytest.mark.parametrize("past_the_seg", [False, True])
def test_a_pacs_killed_while_it_stores(past_the_seg, start_pacs, address, segmented, tmp_path):
    pacs = start_pacs()
    seg = segmented(tmp_path / "export") / "prostate_seg.dcm"
    # The requests before the SEG take less than 3,000 bytes, and the report takes more than 6,000.
    link = Link(pacs, upload=seg.stat().st_size + 4000 if past_the_seg else seg.stat().st_size // 2)
    with pytest.raises(InputError, match=r"results are not stored \(\w+\); they are kept in .*, then run again"):
        segmented(address(link))
    pacs.start()
    assert pacs.instances("SR") == []
    assert past_the_seg or pacs.instances("SEG") == []
    results = segmented(address(pacs))
    assert stored_uids(pacs) == made_uids(results)


def test_a_pacs_that_refuses_both(start_pacs, segmented, tmp_path):
    other_study = f"{start_pacs().root}/dicom-web/studies/1.2.3"
    seg = segmented(tmp_path / "export") / "prostate_seg.dcm"
    with pytest.raises(InputError) as caught:
        PacsStudy(other_study).store([seg])
    advice = f"they are kept in {seg.parent}, look at the PACS, then run again"
    assert str(caught.value) == f"{other_study}: its results are not stored (HTTP 409 Conflict); {advice}"


def test_a_pacs_that_refuses_one(start_pacs, address, segmented, monkeypatch):
    """Orthanc never refuses only one file. By PS3.18 a server then answers HTTP 202 with a list of the stored files."""
    answer = item(ReferencedSOPSequence=[item(ReferencedSOPInstanceUID="1.2.3")])
    monkeypatch.setattr(DICOMwebClient, "store_instances", lambda *_: answer)
    with pytest.raises(InputError, match=r"the PACS did not accept prostate_seg.dcm, prostate_report.dcm; they are"):
        segmented(address(start_pacs()))


def test_a_study_that_the_pacs_has_not(start_pacs, refusal):
    pacs = start_pacs()
    nowhere = f"{pacs.root}/dicom-web/studies/1.2.3"
    assert refusal(nowhere) == f"{nowhere}: the PACS has no such study; check the UID"


def test_an_unfit_study_is_named_by_its_address(start_pacs, address, images, refusal):
    del images[2]
    pacs = start_pacs()
    line = refusal(address(pacs))
    assert line.startswith(f"{address(pacs)}/instances/{images[0].SOPInstanceUID[:20]}")
    assert line.endswith("its series has 1 missing slice(s), the first after slice 2; copy it again")


def test_no_pacs_at_all(refusal):
    nowhere = f"http://127.0.0.1:{free_port()}/dicom-web/studies/1.2.3"
    assert refusal(nowhere) == f"{nowhere}: is not pulled (ConnectionError); look at the PACS, then run again"


@pytest.mark.parametrize(
    "url", ["http://pacs/dicom-web", "http://me:secret@pacs/studies/1.2", "ftp://pacs/studies/1.2"]
)
def test_an_address_that_is_none(url, refusal):
    assert "is no study's address; give http(s)://<DICOMweb root>/studies/<StudyInstanceUID>" in refusal(url)
