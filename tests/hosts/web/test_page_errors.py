"""The page answers an input that it cannot use with one sentence, and goes on with the next volume."""

import gzip
import shutil
import socketserver
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler

import nibabel
import numpy as np
import pytest
from conftest import WHOLE, WINDOW
from dicom_studies import save, series_datasets
from nibabel import Nifti1Image

from benchmarks.chromium import NO_WEBGL


def nifti(folder, name, shape=(30, 32, 4), affine=None, voxels=None, **header):
    voxels = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32) if voxels is None else voxels
    image = Nifti1Image(voxels, np.diag([1.0, 1, 3, 1]) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, folder / name)
    return folder / name


def cut_off(folder):
    path = nifti(folder, "cut.nii.gz")
    path.write_bytes(path.read_bytes()[:-500])
    return path


def cut_off_plain(folder):
    path = nifti(folder, "cut.nii")
    path.write_bytes(path.read_bytes()[:-500])
    return path


def text_file(folder):
    (folder / "notes.txt").write_text("hello" * 200)
    return folder / "notes.txt"


def text_as_nifti(folder):
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"hello" * 200))
    return folder / "text.nii.gz"


def with_nan(folder):
    voxels = np.ones((8, 9, 4), np.float32)
    voxels[3, 3, 3] = np.nan
    return nifti(folder, "nan.nii.gz", voxels=voxels)


SHEARED = np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
BAD = {
    "4-D": (
        lambda folder: nifti(folder, "four.nii.gz", (30, 32, 4, 3)),
        "four.nii.gz has 4 dimensions (30 x 32 x 4 x 3); export one 3-D volume (T2w).",
    ),
    "2-D": (
        lambda folder: nifti(folder, "two.nii", (30, 32)),
        "two.nii has 2 dimensions (30 x 32); export one 3-D volume (T2w).",
    ),
    "text": (
        text_file,
        "notes.txt is no NIfTI and no DICOM image; give a .nii or .nii.gz, or a DICOM folder.",
    ),
    "text in a NIfTI's name": (
        text_as_nifti,
        "text.nii.gz is not a NIfTI file, or is cut off; export it again as .nii.gz.",
    ),
    "cut off": (cut_off, "cut.nii.gz is truncated or damaged; copy it again."),
    "cut off, plain": (cut_off_plain, "cut.nii is truncated or damaged; copy it again."),
    "NaN": (with_nan, "nan.nii.gz holds voxels that are NaN or infinite; export it again."),
    "sheared": (
        lambda folder: nifti(folder, "sheared.nii.gz", affine=SHEARED),
        "sheared.nii.gz is sheared, two of its axes meet at 78.69 degrees; resample it upright first.",
    ),
    "metres": (
        lambda folder: nifti(folder, "metres.nii.gz", xyzt_units=1),
        "metres.nii.gz is not in mm but in another unit of length (xyzt_units); save it in mm.",
    ),
    "too large": (
        lambda folder: nifti(folder, "large.nii.gz", affine=np.diag([1.0, 1, 300, 1])),
        "large.nii.gz has voxels of 1 x 1 x 300 mm, as no MRI has; correct its unit of length and export it again.",
    ),
    "complex": (
        lambda folder: nifti(folder, "complex.nii.gz", voxels=np.ones((8, 9, 4), np.complex64)),
        "complex.nii.gz holds colour or complex voxels; export it as grey values.",
    ),
}


def test_a_file_that_cannot_be_segmented(open_page, tmp_path):
    page = open_page(WHOLE)
    for make, sentence in BAD.values():
        page.open(make(tmp_path))
        assert page.text("#error") == sentence
        assert page.text("#result") is None
    page.open(nifti(tmp_path, "good.nii.gz"))
    assert (page.text("#error"), page.text("#name")) == (None, "good.nii.gz")


def test_a_folder_without_a_series(open_page, tmp_path):
    page = open_page(WHOLE)
    (tmp_path / "letters").mkdir()
    text_file(tmp_path / "letters")
    page.open(tmp_path / "letters")
    assert page.text("#error") == "This folder holds no DICOM series; check the folder."


def test_a_folder_with_several_volumes(open_page, tmp_path):
    (tmp_path / "volumes").mkdir()
    for name in ("a.nii.gz", "b.nii"):
        nifti(tmp_path / "volumes", name)
    page = open_page(WHOLE)
    page.browser.drop([tmp_path / "volumes"])
    page.wait_for_end()
    assert page.text("#error") == "These are 2 volumes; open one at a time."


def test_a_series_with_a_gap(open_page, tmp_path):
    slices = series_datasets()
    save(slices[:3] + slices[4:], tmp_path / "gap")
    page = open_page(WHOLE)
    page.open(tmp_path / "gap")
    assert page.text("#error") == "t2_tse_tra: slices are missing, or are not evenly spaced; export it again."
    save(series_datasets(number=5, description="t2_again"), tmp_path / "gap" / "again")
    page.open(tmp_path / "gap")
    assert page.browser.run("[...document.querySelectorAll('#series-list button')].map((one) => one.disabled)") == [
        True,
        False,
    ]


def test_a_folder_of_two_studies(open_page, tmp_path):
    save(series_datasets(), tmp_path / "both" / "one")
    save(series_datasets(patient="P2", study="S2"), tmp_path / "both" / "other")
    page = open_page(WHOLE)
    page.open(tmp_path / "both")
    assert page.text("#error") == "This folder holds 2 studies; give the folder of one."


def test_a_volume_without_a_prostate(open_page, tmp_path):
    page = open_page(WINDOW)
    page.open(nifti(tmp_path, "black.nii.gz", voxels=np.zeros((30, 32, 4), np.float32)))
    assert page.text("#volume") == "0.0"
    assert page.text("#warning") == "The student finds no prostate in this volume."


def test_a_folder_of_one_series_needs_no_choice(open_page, tmp_path):
    save(series_datasets(), tmp_path / "study")
    page = open_page(WHOLE)
    page.open(tmp_path / "study")
    assert page.text("#name") == "t2_tse_tra"


def test_without_webgl_the_volume_is_segmented(open_page, tmp_path):
    page = open_page(WHOLE, flags=NO_WEBGL)
    assert page.text("#notices").startswith("This browser has no WebGL 2, so there is no picture and no brush")
    page.open(nifti(tmp_path, "good.nii.gz"))
    assert page.text("#volume")
    assert page.text("#tools") is None
    assert nibabel.load(page.download("good_mask.nii.gz")).shape == (30, 32, 4)


def test_a_volume_that_cannot_be_drawn_is_segmented(open_page, tmp_path):
    page = open_page(WHOLE)
    page.browser.run("WebGL2RenderingContext.prototype.texStorage3D = () => { throw new Error('no memory'); }, null")
    page.open(nifti(tmp_path, "good.nii.gz"))
    assert page.text("#notices").startswith("The browser cannot draw this volume; you can download the mask.")
    assert page.text("#tools") is None
    assert nibabel.load(page.download("good_mask.nii.gz")).shape == (30, 32, 4)


@pytest.fixture
def plain_server(pages):
    """A server that sends no headers of the page."""

    class Quiet(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

        def log_message(self, *_):
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), partial(Quiet, directory=pages[WHOLE])) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_without_threads_the_volume_is_segmented(open_page, plain_server, tmp_path):
    page = open_page(address=plain_server)
    assert page.browser.run("crossOriginIsolated") is False
    assert page.text("#notices").startswith(
        "The page runs on one thread and is slower, because its server does not send"
    )
    page.open(nifti(tmp_path, "good.nii.gz"))
    assert page.text("#volume")


def test_another_student_file(open_page, pages, serve, tmp_path):
    page_folder = shutil.copytree(pages[WHOLE], tmp_path / "page")
    for content, sentence in (
        (
            b"no model",
            "The student file is no ONNX file, or is damaged; give the student.onnx that 'make export' wrote.",
        ),
        (
            pages[WHOLE].joinpath("student.onnx").read_bytes().replace(b"prostate-student 1", b"prostate-student 9"),
            "The student file is no student of this version (its format is 'prostate-student 9'); "
            "give the student.onnx that 'make export' wrote.",
        ),
        (None, "There is no student.onnx beside this page; write the page again with 'make web'."),
    ):
        (page_folder / "student.onnx").unlink()
        if content:
            (page_folder / "student.onnx").write_bytes(content)
        page = open_page(address=serve(page_folder, (sys.executable, page_folder / "serve.py", "--port", "0")))
        assert page.text("#error") == sentence
        assert page.browser.run("document.querySelector('#open-file').disabled")
        (page_folder / "student.onnx").touch()


def test_the_policy_stops_a_request_to_another_server(open_page):
    """The page would reach this server, which is on the same machine, if its policy allowed it."""
    asked = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
            self.end_headers()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        page = open_page(WINDOW)
        tries = (
            f"fetch('{address}fetch').then(() => 'sent', () => 'refused')",
            f"new Promise((done) => Object.assign(new Image(), {{src: '{address}i', onload: done, onerror: done}}))",
            f"new Promise((done) => setTimeout(done, 200, navigator.sendBeacon('{address}beacon', 'x')))",
        )
        for attempt in tries:
            page.browser.run(attempt)
        server.shutdown()
    assert asked == []
    assert any("Content Security Policy" in one for one in page.browser.complaints)
    page.browser.requests[:] = [url for url in page.browser.requests if not url.startswith(address)]
