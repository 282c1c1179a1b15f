import struct
from pathlib import Path

import numpy as np
import pytest
from dicom_studies import SHAPE, enhanced_dataset, save, segmentation, series_datasets, voxels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from custom_components.foundation.errors import InputError
from data_prep.dicom import find_series, read_series, scan_folder
from data_prep.folder_tree import read_tree
from data_prep.sources import dicom


def test_names_and_places_of_files_do_not_matter(tmp_path):
    for number in (4, 9):
        for index, path in enumerate(save(series_datasets(number=number), tmp_path / "new")):
            (tmp_path / f"{index % 2}").mkdir(exist_ok=True)
            path.rename(tmp_path / f"{index % 2}" / f"{number}{path.name}.x")
    series = find_series(tmp_path)
    assert [one.name for one in series] == ["4 t2_tse_tra", "9 t2_tse_tra"]
    assert [read_series(one).voxels.shape for one in series] == [SHAPE, SHAPE]


def test_other_files_are_passed_over_and_damaged_ones_named(tmp_path):
    save(series_datasets(), tmp_path)
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "slice.dcm").write_bytes(b"no DICOM at all")
    scan = scan_folder(tmp_path)
    assert scan.others == [tmp_path / "notes.txt"]
    assert [str(finding) for finding in scan.findings] == [f"{tmp_path}/slice.dcm: is no DICOM file; export it again"]
    with pytest.raises(InputError, match=r"\A\S+/slice.dcm: is no DICOM file"):
        find_series(tmp_path)


def strip(path: Path, keep_meta: bool) -> None:
    """Remove the preamble and the mark of a file and, without ``keep_meta``, also its file description."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[140:144])  # length of the rest of the file description
    path.write_bytes(content[132:] if keep_meta else content[144 + length :])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("keep_meta", [True, False])
def test_files_without_preamble_and_suffix_are_read(tmp_path, syntax, keep_meta):
    datasets = series_datasets(voxels())
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
            dataset["PixelData"].VR = "OW"
    for path in save(datasets, tmp_path):
        strip(path, keep_meta)
    assert dicom.recognises(read_tree(tmp_path))
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read_series(series).voxels, voxels())


@pytest.mark.parametrize(
    "content", [b"\x08\x00\xff\xff" + bytes(200), b"\x08\x00", b"", bytes(300), b"\x02\x00\x77\x77abcd"]
)
def test_what_only_begins_a_bit_like_dicom_is_none(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert not dicom.recognises(read_tree(tmp_path))
    scan = scan_folder(tmp_path)
    assert (scan.studies, len(scan.others) + len(scan.findings)) == ([], 1)


def test_a_folder_without_dicom_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\A\S+: holds no DICOM image"):
        find_series(tmp_path)


def test_masks_are_told_from_images(tmp_path):
    datasets = series_datasets()
    save(datasets, tmp_path / "t2")
    (path,) = save([segmentation(datasets, {"Prostate": np.ones(SHAPE, np.uint8)})], tmp_path / "seg")
    scan = scan_folder(tmp_path)
    assert scan.mask_files == [path]
    assert [len(study.series) for study in scan.studies] == [1]


def test_the_stacks_of_an_enhanced_image_are_series_of_their_own(tmp_path):
    dataset = enhanced_dataset()
    for group in dataset.PerFrameFunctionalGroupsSequence[:2]:
        group.FrameContentSequence[0].StackID = "2"
    save([dataset], tmp_path)
    assert {one.first.stack: len(one.slices) for one in find_series(tmp_path)} == {"1": 4, "2": 2}
