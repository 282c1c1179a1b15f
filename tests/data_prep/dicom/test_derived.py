"""SEGs of series whose headers highdicom alone would refuse: their masks and their references to frames."""

import numpy as np
import pytest
from dicom_studies import AXIAL, SAGITTAL, enhanced_dataset, gland, item, save, series_datasets, uid, voxels
from highdicom.seg import SegmentDescription
from pydicom.sr.codedict import codes

from custom_components.foundation.errors import InputError
from data_prep.dicom import find_series, read_series, select_series
from data_prep.dicom.derived import deriving_from, make_seg, read_source_images
from data_prep.dicom.headers import quietly
from data_prep.dicom.masks import choose_mask, read_mask, read_mask_file


def two_stacks(order):
    """An enhanced image of an axial and a sagittal stack, with its twelve frames in the given order."""
    axial, sagittal = enhanced_dataset(), enhanced_dataset(orientation=SAGITTAL)
    groups = []
    for stack, dataset, orientation in (("1", axial, AXIAL), ("2", sagittal, SAGITTAL)):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            group.PlaneOrientationSequence = [item(ImageOrientationPatient=list(orientation))]
            group.FrameContentSequence[0].StackID = stack
            groups.append(group)
    frames = np.concatenate([axial.pixel_array, sagittal.pixel_array])[order]
    del axial.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    axial.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
    axial.NumberOfFrames, axial.PixelData = len(order), frames.tobytes()
    return [axial]


def nothing_shared():
    dataset = enhanced_dataset()
    (shared,) = dataset.SharedFunctionalGroupsSequence
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.update(shared)
    dataset.SharedFunctionalGroupsSequence = []
    return [dataset]


def rounded_otherwise():
    datasets = series_datasets(voxels(4))
    for index, dataset in enumerate(datasets):
        dataset.ImageOrientationPatient = [round(number + 1e-6 * index, 9) for number in AXIAL]
    return datasets


def blank(**elements):
    with quietly():
        return series_datasets(voxels(4), **elements)


def draw(folder):
    series = select_series(find_series(folder)).picked
    with deriving_from(series):
        segment = SegmentDescription(1, "Prostate", codes.SCT.AnatomicalStructure, codes.SCT.Prostate, "MANUAL")
        identity = {"series_instance_uid": uid("seg"), "sop_instance_uid": uid("seg", 1), "instance_number": 1}
        device = {"manufacturer": "none", "manufacturer_model_name": "none", "device_serial_number": "1"}
        options = {"segment_descriptions": [segment], "series_number": 9, "software_versions": "1"}
        return series, make_seg(gland(), series, read_source_images(series), **identity, **device, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: series_datasets(voxels(4)),
        lambda: [enhanced_dataset()],
        lambda: two_stacks(range(12)),
        lambda: two_stacks(np.random.default_rng(1).permutation(12)),
        nothing_shared,
        rounded_otherwise,
        lambda: blank(SliceThickness=None, SpacingBetweenSlices="\\", SpecificCharacterSet=""),
        lambda: blank(PatientName="\\", PatientSex="\\", PatientBirthDate=None, StudyTime=" "),
    ],
)
def test_a_mask_comes_back_from_its_seg_and_each_frame_names_its_source(tmp_path, make):
    save(make(), tmp_path / "t2")
    series, seg = draw(tmp_path / "t2")
    seg.save_as(tmp_path / "seg.dcm")
    mask = read_mask(choose_mask(series, [read_mask_file(tmp_path / "seg.dcm")]))
    np.testing.assert_array_equal(mask.voxels, gland())
    np.testing.assert_array_equal(read_series(series).voxels, voxels(4))

    assert seg.NumberOfFrames == 6
    places = {(piece.uid, piece.frame + 1): piece.position_mm for piece in series.slices}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        place = places.pop((source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber", 1)))
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, place, atol=1e-4)
    assert not places


def frame_by_frame():
    """An enhanced image that is split into one file for each frame."""
    datasets = [enhanced_dataset() for _ in range(6)]
    for index, dataset in enumerate(datasets):
        dataset.PixelData = dataset.pixel_array[index].tobytes()
        dataset.NumberOfFrames = 1
        dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[index : index + 1]
    return datasets


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: blank(FrameOfReferenceUID=None), "its series has no FrameOfReferenceUID; export it again"),
        (lambda: blank(SOPClassUID=" "), "its series has no SOPClassUID; export it again"),
        (lambda: blank(PatientSex="W"), r"no DICOM result can be made of its series' headers \(ValueError: .*'W'"),
        (frame_by_frame, "its series has several multi-frame files; export it as one"),
    ],
)
def test_a_series_that_no_seg_can_refer_to_is_named(tmp_path, make, message):
    save(make(), tmp_path)
    with pytest.raises(InputError, match=rf"\A{tmp_path}/IM0000: {message}"):
        draw(tmp_path)
