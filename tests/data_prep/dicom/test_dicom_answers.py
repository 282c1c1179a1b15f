"""The report of a study that was not segmented, and the picture as a secondary capture."""

import numpy as np
import pytest
from dicom_studies import enhanced_dataset, gland, segmentation, series_datasets

from data_prep.dicom.answers import prostate_picture, refusal_report
from data_prep.dicom.results import Algorithm

ENET = Algorithm("ENet", "1.2")


@pytest.mark.parametrize("make", [series_datasets, lambda: [enhanced_dataset()]])
def test_a_report_says_why_and_refers_to_the_images(make):
    images = make()
    report = refusal_report("no axial series", images, ENET)
    assert (report.PatientID, report.StudyInstanceUID) == (images[0].get("PatientID"), images[0].StudyInstanceUID)
    *observer, status, comment = report.ContentSequence
    assert comment.TextValue == (
        "The prostate was not segmented: no axial series. Research use only, not for diagnosis."
    )
    assert [(code.CodeValue, code.CodingSchemeDesignator) for code in status.ConceptCodeSequence] == [("111225", "DCM")]
    assert any("ENet" in str(item) for item in observer)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
    assert referenced == {image.SOPInstanceUID for image in images}


def test_the_uid_depends_on_reason_and_images():
    images = series_datasets()
    uid = refusal_report("a", images, ENET).SOPInstanceUID
    assert refusal_report("a", images[::-1], ENET).SOPInstanceUID == uid
    others = (("b", images, ENET), ("a", images[1:], ENET), ("a", images, Algorithm("ENet", "2")))
    assert uid not in {refusal_report(*other).SOPInstanceUID for other in others}


def test_the_picture_keeps_its_pixels_and_belongs_to_the_study():
    (source, *_) = images = series_datasets()
    seg = segmentation(images, {"gland": gland()})
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    picture = prostate_picture(pixels, seg, source)
    np.testing.assert_array_equal(picture.pixel_array, pixels)
    assert (picture.PatientID, picture.StudyInstanceUID) == ("P1", source.StudyInstanceUID)
    assert (picture.SeriesDescription, picture.DerivationDescription) == (
        *("Prostate picture, research use", "Research use only, not for diagnosis"),
    )
    assert picture.SOPInstanceUID == prostate_picture(pixels, seg, source).SOPInstanceUID
