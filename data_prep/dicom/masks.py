"""Choice and reading of the DICOM mask (SEG or RTSTRUCT) of a series, and of the segments that make up the prostate."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from data_prep.dicom.contours import rasterise
from data_prep.dicom.geometry import stack
from data_prep.dicom.headers import parsing, quietly, read_dataset
from data_prep.dicom.segments import place_segments
from data_prep.dicom.series import Series
from data_prep.dicom.values import text

# The elements that name segments and references, without pixels and contours.
TAGS = [
    *("Modality", "SegmentSequence", "StructureSetROISequence", "ReferencedSeriesSequence"),
    *("ReferencedFrameOfReferenceSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
REFERENCES = ("SeriesInstanceUID", "ReferencedSOPInstanceUID")
PROSTATE = {"prostate", "prostata"}
WHOLE = {"whole", "gland", "entire", "wg"}
PERIPHERAL = {"peripheral", "pz"}
CENTRAL = {"central", "cg", "cz", "transition", "transitional", "tz"}
# Parts of the gland that some annotators draw as a third zone, beside the two.
BETWEEN = {"fibromuscular", "stroma", "afs", "afms", "urethra"}
PLAIN = {"of", "the", "organ", "anatomical", "structure", "mask", "segment", "segmentation", "contour", "roi", "tissue"}
ZONE_WORDS = {"zone", "gland", "left", "right", "anterior", "distal", "prostatic"}


@dataclass(frozen=True)
class MaskFile:
    """A DICOM SEG or RTSTRUCT.

    Attributes:
        names: label and type of each segment or ROI, by number.
        references: UIDs of the series and images that the mask was drawn on.
    """

    path: Path
    modality: str
    names: dict[int, str]
    references: frozenset[str]

    def is_of(self, series: Series) -> bool:
        """Whether the mask was drawn on the series, according to the UIDs of the series or its images."""
        return not self.references.isdisjoint({series.first.series_uid, *(piece.uid for piece in series.slices)})


@dataclass(frozen=True)
class Mask:
    """The segments of a file that together make up the prostate of a series."""

    path: Path
    modality: str
    segments: tuple[int, ...]
    series: Series


def read_mask_file(path: Path) -> MaskFile:
    """Read the names and the references in a SEG or RTSTRUCT.

    Raises:
        InputError: if the header is damaged.
    """
    dataset = read_dataset(path, tags=TAGS)
    with parsing(path):
        return MaskFile(path, text(dataset, "Modality"), _names(dataset), frozenset(_references(dataset)))


def choose_mask(series: Series, files: Iterable[MaskFile]) -> Mask | None:
    """The prostate mask of a series; None if no file was drawn on the series.

    Raises:
        InputError: if files were drawn on the series, but none of them or several of them outline the prostate.
    """
    drawn = [file for file in files if file.is_of(series)]
    masks = [Mask(file.path, file.modality, found, series) for file in drawn if (found := prostate_of(file))]
    if len(masks) > 1:
        raise InputError("is a second prostate mask of its series", masks[1].path, advice="keep one")
    if drawn and not masks:
        advice = "name one segment Prostate, or two Peripheral zone and Transition zone"
        raise InputError(f"outlines no prostate among its {len(drawn[0].names)} segments", drawn[0].path, advice=advice)
    return masks[0] if masks else None


def prostate_of(file: MaskFile) -> tuple[int, ...]:
    """The numbers of the segments that make up the whole gland: one segment or two zones; empty if there are none.

    Raises:
        InputError: if several segments are the whole gland.
    """
    words = {number: _words(name) for number, name in file.names.items()}
    whole = [n for n, said in words.items() if said & (PROSTATE | WHOLE) and said <= PROSTATE | WHOLE | PLAIN]
    if len(whole) > 1:
        raise InputError(f"has {len(whole)} segments named prostate", file.path, advice="keep one")
    allowed = PROSTATE | PERIPHERAL | CENTRAL | BETWEEN | ZONE_WORDS | PLAIN
    zones = {n: said for n, said in words.items() if said <= allowed and said & (PERIPHERAL | CENTRAL | BETWEEN)}
    both = all(any(said & kind for said in zones.values()) for kind in (PERIPHERAL, CENTRAL))
    return tuple(whole) or (tuple(zones) if both else ())


def read_mask(mask: Mask) -> Volume:
    """Read the mask on the grid of its series: uint8 0/1 (columns, rows, slices) and the affine of ``read_series``.

    Raises:
        InputError: if the mask does not lie on that grid, is empty, or cannot be read.
    """
    slices, affine = stack(mask.series)
    shape = (slices[0].columns, slices[0].rows, len(slices))
    dataset = read_dataset(mask.path, pixels=True)
    draw = place_segments if mask.modality == "SEG" else rasterise
    try:
        with quietly():
            voxels = draw(dataset, mask.segments, affine, shape)
    except InputError as error:
        raise error.at(mask.path) from error
    except Exception as error:  # both formats hold many references, and any of them may be broken
        problem, detail = f"cannot be read as {mask.modality}", type(error).__name__
        raise InputError(problem, mask.path, advice="export it again", detail=detail) from error
    if not voxels.any():
        raise InputError("its prostate is empty", mask.path, advice="draw it or take the mask out")
    return Volume(voxels, affine)


def _references(dataset: Dataset) -> Iterator[str]:
    """All UIDs in the public elements; a vendor's private sequences are ignored."""
    for element in dataset:
        if element.VR == "SQ" and not element.tag.is_private:
            for item in element.value:
                yield from _references(item)
        elif element.keyword in REFERENCES and text(dataset, element.keyword):
            yield text(dataset, element.keyword)


def _names(dataset: Dataset) -> dict[int, str]:
    names = {}
    for segment in dataset.get("SegmentSequence") or []:
        kinds = segment.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
        names[int(segment.SegmentNumber)] = f"{text(segment, 'SegmentLabel')} {text(kinds[0], 'CodeMeaning')}"
    for structure in dataset.get("StructureSetROISequence") or []:
        names[int(structure.ROINumber)] = text(structure, "ROIName")
    return names


def _words(name: str) -> set[str]:
    """The words of a name in small letters: 'Prostate_WholeGland 2' gives {'prostate', 'whole', 'gland'}."""
    return set(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
