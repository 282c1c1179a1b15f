"""The made-up DICOM archive of the benchmarks."""

from io import BytesIO

import pydicom
import pytest

from benchmarks.archive import AXIAL, ROOT, SIDE, fill, make_template


@pytest.mark.parametrize("study", [0, 8888, 88_888, 7_777_777])
def test_every_study_has_its_own_number(study):
    content = fill(make_template(2, "t2_tse_tra", AXIAL), study, series=2, index=3) + bytes(2 * SIDE * SIDE)
    image = pydicom.dcmread(BytesIO(content))
    number = f"1{study:07d}"
    assert (image.PatientID, image.StudyInstanceUID) == (f"P{number}", f"{ROOT}{number}")
    assert image.SeriesInstanceUID == f"{ROOT}{number}.2"
    assert image.SOPInstanceUID == image.file_meta.MediaStorageSOPInstanceUID == f"{ROOT}{number}.1203"
    assert image.ImagePositionPatient[2] == 109
