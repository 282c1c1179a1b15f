"""DICOM files derived from a series: a SEG of a mask, and the headers that a SEG or a report needs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from highdicom.seg import Segmentation
from nibabel.affines import voxel_sizes
from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError
from data_prep.dicom.geometry import stack
from data_prep.dicom.headers import Slice, quietly, read_dataset
from data_prep.dicom.series import Series
from data_prep.dicom.values import text

REQUIRED = ("FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID")
# Elements of DICOM types 1 and 2 that de-identified studies may lack. Results must have them, even if they are empty.
EMPTY_IF_MISSING = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)


@contextmanager
def deriving_from(series: Series) -> Iterator[None]:
    """Turn every error into one line. highdicom raises many kinds of error for the headers that it copies from.

    Raises:
        InputError: for every error of the block.
    """
    try:
        with quietly():
            yield
    except InputError:
        raise
    except Exception as error:
        problem, detail = "no DICOM result can be made of its series' headers", f"{type(error).__name__}: {error}"
        raise InputError(problem, series.files[0], advice="export it again", detail=detail) from error


def read_source_images(series: Series) -> list[Dataset]:
    """The headers of a series' files, in the order of the slices, in the form that highdicom needs.

    A multi-frame header holds only the frames of this series, in the order of the slices. All headers have the same
    text for the orientation.

    Raises:
        InputError: if results cannot refer to the series, because a UID is missing or there are several multi-frame
            files.
    """
    slices, affine = stack(series)
    images = [read_dataset(path) for path in dict.fromkeys(piece.path for piece in slices)]
    if len(images) > 1 and any(image.get("PerFrameFunctionalGroupsSequence") for image in images):
        raise InputError("its series has several multi-frame files", series.files[0], advice="export it as one")
    spacing = f"{voxel_sizes(affine)[2]:.10g}"
    for image in images:
        for keyword in REQUIRED:
            if not text(image, keyword):
                raise InputError(f"its series has no {keyword}", series.files[0], advice="export it again")
        add_missing(image)
        if len(images) == 1:
            _keep_frames(image, slices, spacing)
        else:
            image.ImageOrientationPatient = list(slices[0].orientation)
            image.setdefault("SliceThickness", spacing)
    return images


def add_missing(image: Dataset) -> None:
    """Add the elements of types 1 and 2 that results copy from an image, empty, if the image lacks them."""
    for keyword in EMPTY_IF_MISSING:
        if keyword not in image:
            setattr(image, keyword, "")


def make_seg(mask: np.ndarray, series: Series, images: Sequence[Dataset], **options: object) -> Segmentation:
    """A binary SEG with a frame for every slice of the series.

    Args:
        mask: values 0 and 1 (columns, rows, slices), on the grid of ``read_series``.
        series: the series that the mask was drawn on.
        images: the series' headers, from :func:`read_source_images`.
        options: further arguments of highdicom's Segmentation.
    """
    seg = Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(mask.transpose(2, 1, 0), dtype=np.uint8),
        segmentation_type="BINARY",
        omit_empty_frames=False,
        **options,
    )
    if len(images) == 1:
        slices, _ = stack(series)
        for frame in seg.PerFrameFunctionalGroupsSequence:
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            source.ReferencedFrameNumber = slices[source.ReferencedFrameNumber - 1].frame + 1
    return seg


def _keep_frames(image: Dataset, slices: Sequence[Slice], spacing: str) -> None:
    frames = [image.PerFrameFunctionalGroupsSequence[piece.frame] for piece in slices]
    shared = (image.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        own = frames[0].get(keyword) or shared.get(keyword)
        setattr(shared, keyword, own)
    shared.PixelMeasuresSequence[0].setdefault("SliceThickness", spacing)
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = frames
    image.NumberOfFrames = len(frames)
