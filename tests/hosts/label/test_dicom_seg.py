"""Writing of a mask as DICOM SEG, without a server and a PACS."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from monailabel.config import settings

from custom_components.foundation.errors import InputError
from data_prep.dicom.derived import read_source_images
from data_prep.dicom.masks import choose_mask, read_mask, read_mask_file
from data_prep.dicom.results import Algorithm, prostate_seg
from integrations.monai_label.dicom_seg import nifti_to_dicom_seg, read_one_series

sys.path.append(str(Path(__file__).resolve().parents[2] / "data_prep"))
import dicom_studies


@pytest.fixture
def label(tmp_path):
    nibabel.save(nibabel.Nifti1Image(dicom_studies.gland(), dicom_studies.affine()), tmp_path / "label.nii.gz")
    return tmp_path / "label.nii.gz"


def stacks(*orientations):
    """An enhanced image with a stack for each orientation."""
    datasets = [dicom_studies.enhanced_dataset(orientation=orientation) for orientation in orientations]
    groups = []
    for number, dataset in enumerate(datasets, start=1):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            group.update(dataset.SharedFunctionalGroupsSequence[0])
            group.FrameContentSequence[0].StackID = str(number)
            groups.append(group)
    datasets[0].PixelData = b"".join(dataset.PixelData for dataset in datasets)
    datasets[0].NumberOfFrames = len(groups)
    datasets[0].PerFrameFunctionalGroupsSequence = groups
    return datasets[0]


def test_the_seg_of_an_image_with_several_stacks_is_that_of_its_axial_one(tmp_path, label):
    dicom_studies.save([stacks(dicom_studies.SAGITTAL, dicom_studies.AXIAL)], tmp_path / "t2")
    file = nifti_to_dicom_seg(str(tmp_path / "t2"), str(label), [{"model_name": "enet"}])
    series = read_one_series(tmp_path / "t2")
    assert series.first.stack == "2"
    mask = read_mask(choose_mask(series, [read_mask_file(Path(file))]))
    np.testing.assert_array_equal(mask.voxels, dicom_studies.gland())
    frames = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for frame in pydicom.dcmread(file).PerFrameFunctionalGroupsSequence
    }
    assert frames == {7, 8, 9, 10, 11, 12}


def test_a_bundles_mask_is_the_instance_that_another_host_makes_of_it(tmp_path, label, monkeypatch, repository):
    dicom_studies.save(dicom_studies.series_datasets(), tmp_path / "t2")
    monkeypatch.setattr(settings, "MONAI_LABEL_APP_CONF", {"models": {"mine": str(repository / "bundles" / "enet")}})
    made = pydicom.dcmread(nifti_to_dicom_seg(str(tmp_path / "t2"), str(label), [{"model_name": "mine"}]))
    series = read_one_series(tmp_path / "t2")
    enet = Algorithm("Prostate MRI student: ENet", "0.1.0")
    other_host = prostate_seg(dicom_studies.gland(), series, read_source_images(series), enet)
    assert made.SOPInstanceUID == other_host.SOPInstanceUID
    assert made.SegmentSequence[0].TrackingUID == other_host.SegmentSequence[0].TrackingUID

    unknown = pydicom.dcmread(nifti_to_dicom_seg(str(tmp_path / "t2"), str(label), [{"model_name": "another"}]))
    (algorithm,) = unknown.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("another", "unknown")


def test_stacks_that_tie_are_refused_until_a_variable_decides(tmp_path, label, monkeypatch):
    dicom_studies.save([stacks(dicom_studies.AXIAL, dicom_studies.AXIAL)], tmp_path / "t2")
    with pytest.raises(InputError, match=r"has 2 axial T2w series \(numbers 4, 4\); choose with SERIES or TIE"):
        nifti_to_dicom_seg(str(tmp_path / "t2"), str(label))
    monkeypatch.setenv("TIE", "last")
    assert read_one_series(tmp_path / "t2").first.stack == "2"
    monkeypatch.setenv("TIE", "")
    monkeypatch.setenv("SERIES", "stack 1")
    assert read_one_series(tmp_path / "t2").first.stack == "1"


def test_a_series_without_frame_of_reference_is_one_line(tmp_path, label):
    dicom_studies.save(dicom_studies.series_datasets(FrameOfReferenceUID=None), tmp_path / "t2")
    with pytest.raises(InputError, match="its series has no FrameOfReferenceUID; export it again"):
        nifti_to_dicom_seg(str(tmp_path / "t2"), str(label))
