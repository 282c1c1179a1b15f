import itk
import numpy as np
import pytest
from dicom_studies import (
    LPS_TO_RAS,
    SAGITTAL,
    SHAPE,
    affine,
    gland,
    item,
    save,
    segmentation,
    series_datasets,
    structure_set,
)
from skimage.measure import find_contours

from custom_components.foundation.errors import InputError
from data_prep.dicom import read_series, scan_folder
from data_prep.dicom.masks import MaskFile, choose_mask, prostate_of, read_mask, read_mask_file


def series_and_mask(folder):
    scan = scan_folder(folder)
    series = next(series for study in scan.studies for series in study.series)
    mask = choose_mask(series, [read_mask_file(path) for path in scan.mask_files])
    return series, mask and read_mask(mask)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Polygons (column, row, slice) that run half a voxel outside of a mask, also around its holes."""
    return [
        np.column_stack([line, np.full(len(line), index)])
        for index in range(mask.shape[2])
        for line in find_contours(np.pad(mask[:, :, index], 1), 0.5)
        for line in [line[:-1] - 1]
    ]


def with_hole() -> np.ndarray:
    mask = gland()
    mask[7:10, 5:8, 2] = 0
    return mask


@pytest.mark.parametrize("mask", [gland(), with_hole()])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_segmentation_lands_where_it_was_drawn(tmp_path, mask, reverse):
    datasets = series_datasets()
    step = -1 if reverse else 1
    save(datasets, tmp_path / "t2")
    save([segmentation(datasets[::step], {"Prostate": mask[:, :, ::step]})], tmp_path / "seg")
    series, drawn = series_and_mask(tmp_path)
    np.testing.assert_array_equal(drawn.voxels, mask)
    np.testing.assert_array_equal(drawn.affine, read_series(series).affine)


@pytest.mark.parametrize("slices", [[2], [1, 4]])
@pytest.mark.parametrize("spacing_said", [True, False])
def test_frames_left_out_of_a_segmentation_are_empty(tmp_path, slices, spacing_said):
    datasets = series_datasets()
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:8, 3:7, slices] = 1
    dataset = segmentation(datasets, {"Prostate": mask})
    if not spacing_said:
        del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    save(datasets, tmp_path / "t2")
    save([dataset], tmp_path / "seg")
    np.testing.assert_array_equal(series_and_mask(tmp_path)[1].voxels, mask)


def test_zones_are_joined_and_other_segments_left_out(tmp_path):
    datasets = series_datasets()
    peripheral, transition = gland(), gland()
    peripheral[:8], transition[8:] = 0, 0
    lesion = 1 - gland()
    save(datasets, tmp_path / "t2")
    masks = {"Lesion": lesion, "Peripheral zone of prostate": peripheral, "TZ": transition}
    save([segmentation(datasets, masks)], tmp_path / "seg")
    np.testing.assert_array_equal(series_and_mask(tmp_path)[1].voxels, gland())


@pytest.mark.parametrize("mask", [gland(), with_hole()])
def test_contours_land_where_they_were_drawn(tmp_path, mask):
    datasets = series_datasets()
    save(datasets, tmp_path / "t2")
    save([structure_set(datasets, {"Bladder": outlines(1 - mask), "prostate": outlines(mask)})], tmp_path / "rt")
    np.testing.assert_array_equal(series_and_mask(tmp_path)[1].voxels, mask)


def test_a_nifti_mask_of_the_same_series_lands_in_the_same_voxels(tmp_path):
    """Each voxel centre of the NIfTI mask, in mm, is a voxel centre of the SEG, and the reverse."""
    datasets = series_datasets()
    save(datasets, tmp_path / "t2")
    save([segmentation(datasets, {"Prostate": gland()})], tmp_path / "seg")
    drawn = series_and_mask(tmp_path)[1]
    image = itk.image_from_array(np.ascontiguousarray(gland().T))
    lps = LPS_TO_RAS @ affine()
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(itk.matrix_from_array(lps[:3, :3] / spacing))
    image.SetOrigin(lps[:3, 3].tolist())
    itk.imwrite(image, str(tmp_path / "mask.nii.gz"))

    from custom_components.foundation.nifti import read_volume

    nifti = read_volume(tmp_path / "mask.nii.gz")
    for one, other in ((nifti, drawn), (drawn, nifti)):
        world = one.affine @ np.vstack([np.argwhere(one.voxels).T, np.ones(int(one.voxels.sum()))])
        index = np.linalg.solve(other.affine, world)[:3]
        assert np.abs(index - index.round()).max() < 1e-3
        assert other.voxels[tuple(index.round().astype(int))].all()


def test_a_mask_of_another_series_is_not_taken(tmp_path):
    save(series_datasets(number=4), tmp_path / "t2")
    other = series_datasets(number=5, orientation=SAGITTAL)
    save([segmentation(other, {"Prostate": gland()})], tmp_path / "seg")
    assert series_and_mask(tmp_path)[1] is None


def test_what_a_private_sequence_or_an_empty_element_refers_to_is_not_what_a_mask_was_drawn_on(tmp_path):
    datasets = series_datasets(number=4)
    save(datasets, tmp_path / "t2")
    dataset = segmentation(series_datasets(number=5, orientation=SAGITTAL), {"Prostate": gland()})
    series = item(SeriesInstanceUID=datasets[0].SeriesInstanceUID)
    dataset.ReferencedSeriesSequence[0].private_block(0x0019, "VENDOR", create=True).add_new(1, "SQ", [series])
    dataset.ReferencedSeriesSequence.append(item(SeriesInstanceUID=""))
    save([dataset], tmp_path / "seg")
    assert series_and_mask(tmp_path)[1] is None


@pytest.mark.parametrize("keyword", ["SpacingBetweenSlices", "SliceThickness"])
def test_a_segmentation_may_leave_its_measures_empty(tmp_path, keyword):
    datasets = series_datasets()
    dataset = segmentation(datasets, {"Prostate": gland()})
    setattr(dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], keyword, None)
    save(datasets, tmp_path / "t2")
    save([dataset], tmp_path / "seg")
    np.testing.assert_array_equal(series_and_mask(tmp_path)[1].voxels, gland())


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["Prostate"], [1]),
        (["Bladder", "prostate_whole gland", "Rectum"], [2]),
        (["Prostate Anatomical structure", "Seminal vesicles"], [1]),
        (["WholeGland"], [1]),
        (["PZ", "CG"], [1, 2]),
        (
            ["Peripheral zone of prostate", "Transition zone of prostate", "Distal prostatic urethra", "AFS"],
            [1, 2, 3, 4],
        ),
        (["Prostate", "PZ", "TZ"], [1]),
        (["PZ"], []),
        (["Prostate lesion"], []),
        (["Non-prostate"], []),
        (["Prostate bed"], []),
        (["PZ lesion", "TZ lesion"], []),
        ([""], []),
        ([], []),
    ],
)
def test_the_prostate_is_known_by_its_names(tmp_path, names, taken):
    file = MaskFile(tmp_path, "SEG", dict(enumerate(names, start=1)), frozenset())
    assert list(prostate_of(file)) == taken


def shifted():
    datasets = series_datasets()
    for dataset in datasets:
        dataset.ImagePositionPatient[0] += 0.3
    return datasets


def square(index: float) -> np.ndarray:
    return np.array([[3, 3, index], [9, 3, index], [9, 9, index], [3, 9, index]])


def without_data():
    dataset = structure_set(series_datasets(), {"Prostate": [square(2)]})
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourData
    return dataset


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: segmentation(shifted(), {"Prostate": gland()}), "does not lie on its image's slices"),
        (lambda: segmentation(series_datasets(), {"Lesion": gland()}), "outlines no prostate among its 1 segments"),
        (lambda: segmentation(series_datasets(), {"Prostate": gland() * 0}), "its prostate is empty"),
        (lambda: structure_set(series_datasets(), {"Bladder": []}), "outlines no prostate among its 1 segments"),
        (lambda: structure_set(series_datasets(), {"Prostate": []}), "its prostate is empty"),
        (lambda: structure_set(series_datasets(), {"prostate": [], "Prostate 2": []}), "has 2 segments named prostate"),
        (
            lambda: structure_set(series_datasets(), {"Prostate": [square(1.4)]}),
            "has a contour that lies in none of its image's slices",
        ),
        (
            lambda: structure_set(series_datasets(), {"Prostate": [square(9)]}),
            "has a contour that lies in none of its image's slices",
        ),
        (lambda: structure_set(series_datasets(), {"Prostate": [square(1), square(4)]}), "has no contour on 2 slice"),
        (without_data, r"cannot be read as RTSTRUCT \(AttributeError\)"),
    ],
)
def test_masks_that_cannot_be_used_are_named(tmp_path, make, message):
    save(series_datasets(), tmp_path / "t2")
    (path,) = save([make()], tmp_path / "mask")
    with pytest.raises(InputError, match=rf"\A{path}: {message}"):
        series_and_mask(tmp_path)


def test_two_masks_of_one_series_are_refused(tmp_path):
    datasets = series_datasets()
    save(datasets, tmp_path / "t2")
    save([segmentation(datasets, {"Prostate": gland()})], tmp_path / "seg")
    save([structure_set(datasets, {"Prostate": [square(2)]})], tmp_path / "rt")
    with pytest.raises(InputError, match=r"\A\S+/IM0000: is a second prostate mask of its series; keep one"):
        series_and_mask(tmp_path)
