"""Enhanced images: the functional group that counts, compared with the results of highdicom and GDCM."""

import highdicom
import itk
import numpy as np
import pytest
from dicom_studies import (
    AXIAL,
    LPS_TO_RAS,
    affine,
    complete,
    enhanced_dataset,
    item,
    save,
    series_datasets,
    uid,
    voxels,
)
from highdicom.legacy import LegacyConvertedEnhancedMRImage

from data_prep.dicom import find_series, read_series, select_series
from data_prep.dicom.headers import quietly

# Philips repeats these attributes in private groups. Here all of these values are wrong.
OTHER = {
    "ImagePositionPatient": [1.0, 2.0, 3.0],
    "ImageOrientationPatient": [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    "PixelSpacing": [9, 9],
    "RescaleSlope": 7,
    "RescaleIntercept": 3,
    "StackID": "77",
    "EchoTime": 5,
    "EffectiveEchoTime": 5.0,
    "RepetitionTime": 3,
    "FrameType": ["DERIVED", "SECONDARY"],
    "DiffusionBValue": 500.0,
    "Rows": 3,
    "PatientID": "other",
    "SOPInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.4",
}


def add_private(group, number=0x0F, **elements):
    block = group.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
    block.add_new(number, "SQ", [item(**elements)])


def with_private_groups(dataset, where):
    if where == "shared":
        add_private(dataset.SharedFunctionalGroupsSequence[0], **OTHER)
    elif where == "image":
        add_private(dataset, **OTHER)
    else:
        for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            moved = [number + 0.3 for number in group.PlanePositionSequence[0].ImagePositionPatient]
            add_private(group, **OTHER, **{"InstanceNumber": index})
            add_private(group, 0x0E, **{**OTHER, "ImagePositionPatient": moved})
    return dataset


def in_every_frame(dataset):
    """Move the shared groups into every frame, as Siemens writes them."""
    (shared,) = dataset.SharedFunctionalGroupsSequence
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.update(shared)
    dataset.SharedFunctionalGroupsSequence = []
    return dataset


def picked(folder):
    (series,) = find_series(folder)
    selection = select_series([series])
    assert selection.picked, selection.reasons
    return series


def assert_is_the_phantom(folder):
    series = picked(folder)
    volume = read_series(series)
    np.testing.assert_array_equal(volume.voxels, voxels(4))
    np.testing.assert_allclose(volume.affine, affine(), atol=1e-6)
    return series


@pytest.mark.parametrize("where", ["frame", "shared", "image"])
def test_a_private_group_decides_nothing(tmp_path, where):
    (path,) = save([with_private_groups(enhanced_dataset(), where)], tmp_path)
    series = assert_is_the_phantom(tmp_path)
    assert (series.first.patient_id, series.first.stack) == ("P1", "1")
    assert series.first.uid == enhanced_dataset().SOPInstanceUID

    seen = highdicom.image.imread(path).get_volume()
    geometry = highdicom.VolumeGeometry(
        affine()[:, [2, 1, 0, 3]], voxels().shape[::-1], "PATIENT", from_reference_convention="RAS"
    )
    np.testing.assert_array_equal(seen.match_geometry(geometry).array.T, voxels(4))

    image = itk.imread(str(path), itk.F)
    direction = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    lps = LPS_TO_RAS @ affine()
    np.testing.assert_allclose(direction, lps[:3, :3], atol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), lps[:3, 3], atol=1e-6)
    np.testing.assert_array_equal(itk.array_from_image(image).T, voxels(4))


def test_groups_in_every_frame_count_as_shared_ones_do(tmp_path):
    save([in_every_frame(enhanced_dataset())], tmp_path)
    series = assert_is_the_phantom(tmp_path)
    assert (series.first.echo_time_ms, series.first.repetition_time_ms) == (104, 5660)


def test_a_group_of_the_frame_wins_and_an_empty_value_in_it_does_not(tmp_path):
    dataset = enhanced_dataset()
    dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [
        item(RescaleSlope=2, RescaleIntercept=5)
    ]
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        slope = None if index < 3 else 4
        group.PixelValueTransformationSequence = [item(RescaleSlope=slope, RescaleIntercept=None)]
        group.PixelMeasuresSequence = [item(PixelSpacing=None, SliceThickness=None)]
        group.PlaneOrientationSequence = []
    save([dataset], tmp_path)
    volume = read_series(picked(tmp_path))
    np.testing.assert_array_equal(volume.voxels, voxels(4) * np.float32([2, 2, 2, 4, 4, 4]) + 5)
    np.testing.assert_allclose(volume.affine, affine(), atol=1e-6)


def test_only_the_group_of_an_attribute_says_where_a_frame_lies(tmp_path):
    """A converter's group of leftovers, references and real-world values hold the same attributes with other values."""
    dataset = enhanced_dataset()
    for group in dataset.PerFrameFunctionalGroupsSequence:
        leftovers = {keyword: OTHER[keyword] for keyword in OTHER if keyword not in ("FrameType", "DiffusionBValue")}
        for keyword in ("EchoTime", "EffectiveEchoTime", "RepetitionTime"):
            del leftovers[keyword]
        group.UnassignedPerFrameConvertedAttributesSequence = [item(**leftovers)]
        group.ReferencedImageSequence = [item(SOPInstanceUID="1.2.5", ImagePositionPatient=[0, 0, 0])]
        group.RealWorldValueMappingSequence = [item(RealWorldValueSlope=9.0, RealWorldValueIntercept=1.0)]
    save([dataset], tmp_path)
    assert assert_is_the_phantom(tmp_path).first.uid == dataset.SOPInstanceUID


@pytest.mark.parametrize("b_value", [None, 0, 800])
def test_an_image_converted_from_its_classic_series_is_that_series(tmp_path, b_value):
    """highdicom converts the series. It puts contrast and private elements into the group of leftovers."""
    datasets = [complete(one) for one in series_datasets(voxels(4))]
    for dataset in datasets:
        dataset.ReferringPhysicianName, dataset.AcquisitionDate = "", "20110707"
        if b_value is not None:
            dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(b_value))
    identity = {"series_instance_uid": uid("converted"), "sop_instance_uid": uid("converted", 1)}
    with quietly():
        converted = LegacyConvertedEnhancedMRImage(datasets, series_number=9, instance_number=1, **identity)
    save([converted], tmp_path)
    if b_value:
        ((_, said),) = select_series(find_series(tmp_path)).reasons
        assert said == "diffusion, b 800 s/mm²"
    else:
        assert assert_is_the_phantom(tmp_path).first.echo_time_ms == 104


def test_a_vendors_b_value_in_a_private_group_is_known(tmp_path):
    dataset = enhanced_dataset()
    for group in dataset.PerFrameFunctionalGroupsSequence:
        inner = item()
        inner.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", 800.0)
        other = item()
        other.private_block(0x2001, "ANOTHER", create=True).add_new(0x03, "FL", 50.0)
        block = group.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", [inner])
        block.add_new(0x10, "SQ", [other])
    save([dataset], tmp_path)
    ((_, said),) = select_series(find_series(tmp_path)).reasons
    assert said == "diffusion, b 800 s/mm²"


def test_a_position_that_nothing_but_a_private_group_says_is_none(tmp_path):
    dataset = with_private_groups(enhanced_dataset(), "frame")
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    save([dataset], tmp_path)
    (series,) = find_series(tmp_path)
    assert series.first.position_mm is None
    assert series.first.orientation == AXIAL
