import itk
import numpy as np
import pytest
from dicom_studies import AXIAL, CORONAL, LPS_TO_RAS, ORIGIN_MM, SAGITTAL, affine, save, series_datasets, voxels

from custom_components.foundation.errors import InputError
from data_prep.dicom import find_series, read_series, select_series


def read_with_itk(folder) -> tuple[np.ndarray, np.ndarray]:
    """Read the only series of a folder with GDCM: voxels (x, y, z) and RAS affine."""
    names = itk.GDCMSeriesFileNames.New()
    names.SetDirectory(str(folder))
    (uid,) = names.GetSeriesUIDs()
    image = itk.imread(list(names.GetFileNames(uid)), itk.F)
    lps = np.eye(4)
    lps[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return itk.array_from_image(image).T, LPS_TO_RAS @ lps


def assert_agrees_with_itk(series, folder) -> None:
    volume = read_series(series)
    itk_voxels, itk_affine = read_with_itk(folder)
    np.testing.assert_array_equal(volume.voxels, itk_voxels)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in itk_voxels.shape])).reshape(3, -1)
    offset_mm = (volume.affine - itk_affine) @ np.vstack([corners, np.ones(8)])
    assert np.abs(offset_mm).max() < 1e-3


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL])
@pytest.mark.parametrize("decimals", [4, 9])
@pytest.mark.parametrize("first", ["foot", "head"])
def test_a_series_agrees_with_itk_in_the_world(tmp_path, orientation, decimals, first):
    datasets = series_datasets(orientation=orientation)
    if first == "head":  # the instance numbers are reversed, but the positions are not
        for dataset in datasets:
            dataset.InstanceNumber = 7 - dataset.InstanceNumber
    for dataset in datasets:
        dataset.ImageOrientationPatient = np.round(orientation, decimals).tolist()
        dataset.ImagePositionPatient = np.round(dataset.ImagePositionPatient, decimals).tolist()
    save(datasets, tmp_path)
    (series,) = find_series(tmp_path)
    assert_agrees_with_itk(series, tmp_path)


def test_the_affine_is_what_the_header_says(tmp_path):
    save(series_datasets(voxels(3)), tmp_path)
    volume = read_series(find_series(tmp_path)[0])
    np.testing.assert_array_equal(volume.voxels, voxels(3))
    np.testing.assert_allclose(volume.affine, affine(), atol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 3], ORIGIN_MM * [-1, -1, 1], atol=1e-6)
    assert volume.spacing_mm == [0.6, 0.5, 3.0]


def test_real_series_agree_with_itk(real_data):
    folders = sorted(real_data.glob("dicom_prostate3t/*/")) + sorted(real_data.glob("dicom_prostatex/*/*/4*/"))
    assert len(folders) == 5
    for folder in folders:
        series = find_series(folder)
        assert select_series(series).picked == series[0]
        assert_agrees_with_itk(series[0], folder)


def shift(datasets, index, vector) -> None:
    position = np.array(datasets[index].ImagePositionPatient, float) + vector
    datasets[index].ImagePositionPatient = position.round(6).tolist()


NORMAL = np.cross(AXIAL[:3], AXIAL[3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop(2), r"has 1 missing slice\(s\), the first after slice 2"),
        (lambda d: (d.pop(4), d.pop(1)), r"has 2 missing slice\(s\), the first after slice 1"),
        (lambda d: shift(d, 3, -3.0 * NORMAL), r"has 1 doubled slice\(s\)"),
        (lambda d: shift(d, 5, 0.7 * NORMAL), "has slices at uneven distances, 3 to 3.7 mm"),
        (lambda d: [shift(d, i, 0.4 * i * np.array(AXIAL[3:])) for i in range(6)], "is sheared by 2 mm"),
        (lambda d: shift(d, 2, 0.5 * np.array(AXIAL[:3])), "is sheared by 0.5 mm"),
        (
            lambda d: setattr(d[0], "ImageOrientationPatient", list(CORONAL)),
            "has slices of different ImageOrientationPatient",
        ),
        (lambda d: setattr(d[0], "PixelSpacing", [0.7, 0.7]), "has slices of different PixelSpacing"),
        (lambda d: setattr(d[0], "Rows", 8), "has slices of different Rows or Columns"),
        (
            lambda d: [setattr(one, "PixelSpacing", [0, 0]) for one in d],
            "has Rows, Columns or PixelSpacing of 0 or less",
        ),
        (lambda d: delattr(d[0], "ImagePositionPatient"), "has 1 slices without a usable ImagePositionPatient"),
        (lambda d: setattr(d[0], "ImagePositionPatient", [0, 0, 1e300]), "has 1 slices without a usable"),
        (
            lambda d: [setattr(one, "ImageOrientationPatient", [1, 0, 0, 0, 2, 0]) for one in d],
            "has an ImageOrientationPatient of length 2",
        ),
        (
            lambda d: [setattr(one, "ImageOrientationPatient", [1, 0, 0, 0.6, 0.8, 0]) for one in d],
            "has rows and columns that are not at right angles",
        ),
        (lambda d: [d.pop() for _ in range(5)], "has one slice only"),
    ],
)
def test_what_is_no_even_upright_stack_is_refused(tmp_path, change, message):
    datasets = series_datasets()
    change(datasets)
    save(datasets, tmp_path)
    (series,) = find_series(tmp_path)
    with pytest.raises(InputError, match=rf"\A{tmp_path}/IM0000: its series {message}"):
        read_series(series)
