import pytest
from dicom_studies import item

from data_prep.dicom.headers import quietly
from data_prep.dicom.values import drop_blanks, number, numbers, parts, text, texts

BLANKS = [None, "", " ", "\\", " \\ ", ["", ""]]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_value_is_none(blank):
    with quietly():
        header = item(EchoTime=blank, ImageType=blank, StackID=blank)
        for keyword in ("EchoTime", "ImageType", "StackID", "Rows"):
            assert (parts(header, keyword), texts(header, keyword), text(header, keyword)) == ([], (), "")
        assert (number(header, "EchoTime"), numbers(header, "EchoTime", 2)) == (None, None)


def test_values_and_their_parts():
    header = item(ImageType=["ORIGINAL", "", "M"], EchoTime=["", "104"], PixelSpacing=[0.5, 0.6], Rows=0)
    assert texts(header, "ImageType") == ("ORIGINAL", "", "M")
    assert text(header, "ImageType") == "ORIGINAL\\\\M"
    assert number(header, "EchoTime") == 104
    assert number(header, "Rows") == 0
    assert numbers(header, "PixelSpacing", 2) == (0.5, 0.6)
    assert numbers(header, "PixelSpacing", 3) is None


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_elements_go_and_zeros_private_ones_and_other_sequences_stay(blank):
    with quietly():
        inner = item(SliceThickness=blank, PixelSpacing=[1, 1])
        group = item(PixelMeasuresSequence=[inner])
        header = item(
            EchoTime=blank,
            Rows=0,
            SharedFunctionalGroupsSequence=[group],
            ReferencedImageSequence=[item(StackID=blank)],
        )
        header.private_block(0x0019, "VENDOR", create=True).add_new(1, "LO", "")
        drop_blanks(header)
    assert "EchoTime" not in header
    assert header.Rows == 0
    assert (0x0019, 0x1001) in header
    assert "SliceThickness" not in inner
    assert inner.PixelSpacing == [1, 1]
    assert "StackID" in header.ReferencedImageSequence[0]
