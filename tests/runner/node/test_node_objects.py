"""A received object is kept, left out or refused; nothing else happens, whatever its bytes are."""

import zlib
from io import BytesIO

import numpy as np
import pydicom
import pytest
from dicom_studies import enhanced_dataset, gland, item, segmentation, series_datasets
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from student_runner.node.objects import RefusedObjectError, check_object

MOST = 10_000_000


def encoded(dataset):
    """The bytes of a dataset, without preamble and file meta information."""
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return stream.getvalue()


def check(dataset, most=MOST):
    return check_object(encoded(dataset), dataset.file_meta, most)


def refusal(*arguments):
    with pytest.raises(RefusedObjectError) as caught:
        check_object(*arguments)
    return caught.value


@pytest.fixture
def image():
    return series_datasets()[0]


@pytest.mark.parametrize("make", [lambda: series_datasets()[0], enhanced_dataset])
def test_an_image_becomes_a_file(make):
    dataset = make()
    received = check(dataset)
    assert received.study_uid == dataset.StudyInstanceUID
    again = pydicom.dcmread(BytesIO(received.content))
    assert again == dataset
    assert again.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_masks_reports_and_own_results_are_left_out(image):
    source = series_datasets()
    assert check(segmentation(source, {"gland": gland()})).content is None
    report = item(SOPInstanceUID="1.2", StudyInstanceUID="1.3", SeriesInstanceUID="1.4", Modality="SR")
    report.file_meta = image.file_meta
    assert check(report).content is None
    image.Manufacturer = "Prostate distillation"
    assert check(image).content is None


def test_a_deflated_image_is_kept_inflated(image):
    plain = encoded(image)
    squeezed = zlib.compress(plain, wbits=-15)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    received = check_object(squeezed, image.file_meta, MOST)
    assert received.content.endswith(plain)
    assert pydicom.dcmread(BytesIO(received.content)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    bomb = zlib.compress(plain + bytes(5 * MOST), wbits=-15)
    assert len(bomb) < MOST
    assert refusal(bomb, image.file_meta, MOST).reason == "an object is too large"
    assert refusal(b"no deflation", image.file_meta, MOST).reason == "the bytes of an object are damaged"


def test_sizes(image):
    needed = len(encoded(image))
    assert check(image, needed).content
    assert refusal(encoded(image), image.file_meta, needed - 1).reason == "an object is too large"
    image.Rows, image.Columns = 60_000, 60_000
    assert refusal(encoded(image), image.file_meta, MOST).reason == "an object is too large"


def test_pixels_that_are_cut_off_or_missing(image):
    image.PixelData = image.PixelData[:-2]
    error = refusal(encoded(image), image.file_meta, MOST)
    assert (error.reason, error.study_uid) == ("the pixels of an image are truncated", image.StudyInstanceUID)
    del image.PixelData
    assert refusal(encoded(image), image.file_meta, MOST).reason == "the pixels of an image are truncated"


@pytest.mark.parametrize("uid", ["../../evil", "1.2/3", "", "x", "1" * 65, ".."])
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "MediaStorageSOPInstanceUID"])
def test_uids_that_are_none(image, keyword, uid):
    place = image.file_meta if keyword.startswith("Media") else image
    with pydicom.config.disable_value_validation():
        place[keyword].value = uid
        error = refusal(encoded(image), image.file_meta, MOST)
    assert "UID" in error.reason
    assert uid not in error.reason or not uid


def test_random_damage_is_refused_or_kept(image):
    plain = encoded(image)
    rng = np.random.default_rng(0)
    outcomes = {True: 0, False: 0}
    for _ in range(300):
        damaged = bytearray(plain)
        for place in rng.integers(0, 700, rng.integers(1, 6)):
            damaged[place] = rng.integers(0, 256)
        damaged = bytes(damaged[: rng.integers(0, len(damaged))] if rng.random() < 0.3 else damaged)
        try:
            check_object(damaged, image.file_meta, MOST)
            outcomes[True] += 1
        except RefusedObjectError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 20
