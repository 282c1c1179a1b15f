"""Broken DICOM folders. A row holds a name, the function that makes the folder, and words of the expected message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from dicom_studies import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    enhanced_dataset,
    gland,
    save,
    segmentation,
    series_datasets,
    structure_set,
)
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41


def study(change: Callable[[list[Dataset]], object]) -> Callable[[Path], None]:
    """Make a study of one T2w series whose slices ``change`` has changed."""

    def make(folder: Path) -> None:
        datasets = series_datasets()
        change(datasets)
        save(datasets, folder / "t2")

    return make


def other_series(**tags: object) -> Callable[[Path], None]:
    """Make a study of one series that is not an axial T2w series."""
    return lambda folder: save(series_datasets(**tags), folder / "other")


def with_mask(draw: Callable[[list[Dataset]], Dataset]) -> Callable[[Path], None]:
    """Make a T2w series without faults, and a mask."""

    def make(folder: Path) -> None:
        save(series_datasets(), folder / "t2")
        save([draw(series_datasets())], folder / "mask")

    return make


def enhanced(change: Callable[[Dataset], object]) -> Callable[[Path], None]:
    """Make an enhanced multi-frame image that ``change`` has changed."""

    def make(folder: Path) -> None:
        dataset = enhanced_dataset()
        change(dataset)
        save([dataset], folder / "enhanced")

    return make


def truncated(length: int, index: int = 2) -> Callable[[Path], None]:
    """Make a T2w series with one file of ``length`` bytes. A negative length cuts off as many bytes at the end."""

    def make(folder: Path) -> None:
        path = save(series_datasets(), folder / "t2")[index]
        path.write_bytes(path.read_bytes()[:length])

    return make


def damaged_header(folder: Path) -> None:
    path = save(series_datasets(), folder / "t2")[2]
    content = path.read_bytes()
    path.write_bytes(content.replace(b"DS\x08\x000.5\\", b"DS\x08\x00x.y\\"))


def two_t2(folder: Path) -> None:
    for number in (4, 9):
        save(series_datasets(number=number), folder / str(number))


def two_masks(folder: Path) -> None:
    datasets = series_datasets()
    save(datasets, folder / "t2")
    save([segmentation(datasets, {"Prostate": gland()})], folder / "seg")
    save([structure_set(datasets, {"Prostate": [square(2)]})], folder / "rt")


def move(index: int, direction: tuple[float, ...], distance_mm: float) -> Callable[[list[Dataset]], None]:
    def change(datasets: list[Dataset]) -> None:
        moved = np.array(datasets[index].ImagePositionPatient, float) + distance_mm * np.array(direction)
        datasets[index].ImagePositionPatient = moved.round(6).tolist()

    return change


def tilt(datasets: list[Dataset]) -> None:
    for index in range(len(datasets)):
        move(index, COLUMN, 0.4 * index)(datasets)


def video(datasets: list[Dataset]) -> None:
    datasets[0].PixelData = encapsulate([b"\0" * 64])
    datasets[0]["PixelData"].is_undefined_length = True
    datasets[0].file_meta.TransferSyntaxUID = MPEG4HP41


def set_on_first(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda datasets: setattr(datasets[0], keyword, value)


def set_on_all(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda datasets: [setattr(dataset, keyword, value) for dataset in datasets]


def square(index: float) -> np.ndarray:
    return np.array([[3, 3, index], [9, 3, index], [9, 9, index], [3, 9, index]])


def off_grid(datasets: list[Dataset]) -> Dataset:
    set_on_all("PixelSpacing", [0.7, 0.7])(datasets)
    return segmentation(datasets, {"Prostate": gland()})


COLUMN, NORMAL = tuple(AXIAL[3:]), tuple(np.cross(AXIAL[:3], AXIAL[3:]))

BROKEN_DICOM = [
    ("missing slice", study(lambda d: d.pop(2)), "has 1 missing slice(s), the first after slice 2"),
    ("doubled slice", study(move(3, NORMAL, -3)), "has 1 doubled slice(s)"),
    ("uneven slices", study(move(5, NORMAL, 0.7)), "slices at uneven distances, 3 to 3.7 mm"),
    ("tilted gantry", study(tilt), "is sheared by 2 mm (tilted gantry)"),
    ("mixed spacing", study(set_on_first("PixelSpacing", [0.7, 0.7])), "slices of different PixelSpacing"),
    ("mixed size", study(set_on_first("Rows", 30)), "slices of different Rows or Columns"),
    ("no position", study(lambda d: d[1].pop("ImagePositionPatient")), "without a usable ImagePositionPatient"),
    ("no spacing", study(lambda d: [one.pop("PixelSpacing") for one in d]), "without a usable PixelSpacing"),
    ("zero spacing", study(set_on_all("PixelSpacing", [0, 0])), "PixelSpacing of 0 or less"),
    ("no pixel data", study(lambda d: d[0].pop("PixelData")), "has no pixel data, or lost it"),
    ("pixels cut off", truncated(-500), "its pixels are truncated or damaged"),
    ("header cut off", truncated(500), "has no StudyInstanceUID"),
    ("only the preamble", truncated(132), "has no StudyInstanceUID"),
    ("last slice cut off", truncated(500, index=5), "its series may lack the damaged file beside it"),
    ("empty file", truncated(0), "is no DICOM file"),
    ("unreadable number", damaged_header, "its DICOM header is damaged (ValueError)"),
    ("unsupported transfer syntax", study(video), "not read here (MPEG-4 AVC/H.264 High Profile / Level 4.1)"),
    ("colour", study(set_on_all("SamplesPerPixel", 3)), "holds colour pixels"),
    ("too many pixels said", study(set_on_all("Rows", 5000)), "its pixels are truncated or damaged"),
    ("no series uid", study(lambda d: d[0].pop("SeriesInstanceUID")), "has no SeriesInstanceUID"),
    ("tie of two T2w", two_t2, "has 2 axial T2w series (numbers 4, 9)"),
    ("only sagittal", other_series(orientation=SAGITTAL), "has no axial T2w series (1 series)"),
    ("only coronal", other_series(orientation=CORONAL), "has no axial T2w series (1 series)"),
    ("only T1", other_series(EchoTime=11, RepetitionTime=520), "has no axial T2w series (1 series)"),
    ("only DWI", other_series(ScanningSequence="EP", DiffusionBValue=800.0), "has no axial T2w series (1 series)"),
    ("SEG off the grid", with_mask(off_grid), "does not lie on its image's slices"),
    ("SEG of a lesion", with_mask(lambda d: segmentation(d, {"Lesion": gland()})), "outlines no prostate among its 1"),
    ("empty SEG", with_mask(lambda d: segmentation(d, {"Prostate": gland() * 0})), "its prostate is empty"),
    ("RTSTRUCT without prostate", with_mask(lambda d: structure_set(d, {"Rectum": []})), "outlines no prostate"),
    ("RTSTRUCT between slices", with_mask(lambda d: structure_set(d, {"Prostate": [square(1.5)]})), "lies in none of"),
    (
        "RTSTRUCT with a gap",
        with_mask(lambda d: structure_set(d, {"Prostate": [square(1), square(4)]})),
        "has no contour on 2 slice(s) between others",
    ),
    (
        "RTSTRUCT with an open contour",
        with_mask(lambda d: structure_set(d, {"Prostate": [square(2), square(3)]}, ["CLOSED_PLANAR", "OPEN_PLANAR"])),
        "has a contour that bounds no area (OPEN_PLANAR); export closed planar contours",
    ),
    ("two values of a scale", study(set_on_first("RescaleSlope", [1, 2])), "has 2 values of RescaleSlope"),
    ("no samples per pixel", study(set_on_first("SamplesPerPixel", None)), "has no SamplesPerPixel"),
    ("two masks", two_masks, "is a second prostate mask of its series"),
    (
        "enhanced without functional groups",
        enhanced(lambda d: d.pop("PerFrameFunctionalGroupsSequence")),
        "has 6 frames, and functional groups for 0",
    ),
    ("enhanced with a frame too few", enhanced(lambda d: d.PerFrameFunctionalGroupsSequence.pop()), "groups for 5"),
    (
        "enhanced without positions",
        enhanced(lambda d: [group.pop("PlanePositionSequence") for group in d.PerFrameFunctionalGroupsSequence]),
        "has 6 slices without a usable ImagePositionPatient",
    ),
]
