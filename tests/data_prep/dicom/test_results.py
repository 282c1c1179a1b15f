"""The SEG and the report that every host writes: the author of the mask, the series, and the UIDs."""

import highdicom
import numpy as np
import pytest
from dicom_studies import gland, save, series_datasets
from pydicom.sr.codedict import codes

from data_prep.dicom import find_series
from data_prep.dicom.derived import read_source_images
from data_prep.dicom.masks import choose_mask, read_mask, read_mask_file
from data_prep.dicom.results import Algorithm, prostate_seg, volume_report

ENET = Algorithm("Prostate MRI student: ENet", "0.1.0")


@pytest.fixture
def series(tmp_path):
    save(series_datasets(), tmp_path / "t2")
    (series,) = find_series(tmp_path / "t2")
    return series


@pytest.fixture
def draw(series):
    return lambda algorithm, mask=None: prostate_seg(
        gland() if mask is None else mask, series, read_source_images(series), algorithm
    )


def uids(seg):
    return seg.SOPInstanceUID, seg.SeriesInstanceUID, seg.SegmentSequence[0].TrackingUID


def test_the_result_of_an_algorithm_names_it_and_is_the_same_each_time(draw, series, tmp_path):
    seg = draw(ENET)
    assert (seg.Manufacturer, seg.ManufacturerModelName, seg.SoftwareVersions) == (
        "Prostate distillation",
        "Prostate MRI student: ENet",
        "0.1.0",
    )
    assert (seg.SeriesNumber, seg.SeriesDescription) == (9001, "Prostate segmentation, research use")
    (segment,) = seg.SegmentSequence
    assert (segment.SegmentLabel, segment.TrackingID) == ("Prostate", "prostate")
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Prostate MRI student: ENet", "0.1.0")
    assert uids(draw(ENET)) == uids(seg)
    others = [draw(Algorithm("ESPNet", "0.1.0")), draw(Algorithm(ENET.name, "0.2.0")), draw(ENET, 1 - gland())]
    assert len({uid for one in (seg, *others) for uid in uids(one)}) == 12
    seg.save_as(tmp_path / "seg.dcm")
    mask = read_mask(choose_mask(series, [read_mask_file(tmp_path / "seg.dcm")]))
    np.testing.assert_array_equal(mask.voxels, gland())


def test_an_annotators_mask_is_manual_and_a_new_one_each_time(draw):
    seg = draw(None)
    assert (seg.Manufacturer, seg.SeriesNumber) == ("Prostate distillation", 9001)
    (segment,) = seg.SegmentSequence
    assert (segment.SegmentAlgorithmType, segment.TrackingID) == ("MANUAL", "prostate")
    assert "SegmentationAlgorithmIdentificationSequence" not in segment
    assert not set(uids(draw(None))) & set(uids(seg))


def test_the_report_is_of_the_segment_and_in_a_series_of_its_own(draw, series, tmp_path):
    seg, sources = draw(ENET), read_source_images(series)
    report = volume_report(40.0, 6.0, seg, sources, ENET)
    assert (report.SeriesNumber, report.Manufacturer) == (9002, "Prostate distillation")
    assert report.SeriesInstanceUID != seg.SeriesInstanceUID
    report.save_as(tmp_path / "report.dcm")
    (group,) = highdicom.sr.srread(tmp_path / "report.dcm").content.get_volumetric_roi_measurement_groups()
    assert group.tracking_uid == seg.SegmentSequence[0].TrackingUID
    assert {one.name.value: one.value for one in group.get_measurements()} == {
        codes.SCT.Volume.value: 40.0,
        codes.LN.ProstateCancerAntigen.value: 6.0,
        codes.LN.ProstateSpecificAntigenDensity.value: 0.15,
    }
    assert volume_report(40.0, 6.0, seg, sources, ENET).SOPInstanceUID == report.SOPInstanceUID
    assert volume_report(40.0, None, seg, sources, ENET).SOPInstanceUID != report.SOPInstanceUID
