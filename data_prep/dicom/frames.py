"""Conversion of enhanced multi-frame images: one flat header for each frame, as for a classic image.

Each attribute is read from the functional group that DICOM PS3.3 C.7.6.16.2 defines for it, as in GDCM and highdicom.
Private groups may hold the same attributes with other values (Philips: a second ImagePositionPatient), and these are
ignored.
"""

from collections.abc import Iterable, Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from custom_components.foundation.errors import InputError
from data_prep.dicom.b_values import b_value, vendor_b_value
from data_prep.dicom.values import number, parts

# Attributes of the position and of the values. Each of them is in one group only.
OWN_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FrameContentSequence": ("StackID",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}
# Attributes of the contrast. Converters and scanners write them into different public groups.
CONTRAST = (
    *("FrameType", "EchoTime", "EffectiveEchoTime", "RepetitionTime", "ScanningSequence", "EchoPulseSequence"),
    *("ScanOptions", "EchoPlanarPulseSequence", "InversionRecovery", "SpectrallySelectedSuppression"),
    "DiffusionBValue",
)
# Attributes for which a converter from classic images found no group.
UNASSIGNED = "UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"


def frames_of(dataset: Dataset) -> Iterator[Dataset]:
    """One flat header for each frame, from the frame's own functional groups, the shared groups and the image, in this
    order.

    Raises:
        InputError: if several frames have no functional groups, so that their positions are unknown.
    """
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    count = int(number(dataset, "NumberOfFrames") or 1)
    if count != len(groups) and (count > 1 or groups):
        raise InputError(f"has {count} frames, and functional groups for {len(groups)}", advice="export it again")
    if not groups:
        yield dataset
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    of_image = {element.tag: element for element in dataset if element.VR != "SQ"}
    for group in groups:
        frame = Dataset()
        frame.update({**of_image, **_elements_of((group, *shared))})
        _add_vendor_b_value(frame, (group, *shared))
        yield frame


def _elements_of(levels: Iterable[Dataset]) -> dict[BaseTag, DataElement]:
    """The elements of functional groups. If several groups hold the same element, the first group counts."""
    said: dict[BaseTag, DataElement] = {}
    for level in levels:
        for group in _groups(level, private=False):
            for keyword in (*OWN_GROUPS.get(group.keyword, ()), *CONTRAST):
                item = group.value[0]
                if parts(item, keyword):
                    said.setdefault(Tag(keyword), item[keyword])
    return said


def _add_vendor_b_value(frame: Dataset, levels: Iterable[Dataset]) -> None:
    """Add the b-value of a private group.

    Each group is read separately, because a private creator's name holds in one group only.
    """
    if b_value(frame) is not None:
        return
    for level in levels:
        unassigned = [group for group in _groups(level, private=False) if group.keyword in UNASSIGNED]
        for group in (*_groups(level, private=True), *unassigned):
            found = vendor_b_value(group.value[0])
            if found is not None:
                frame.DiffusionBValue = float(found)
                return


def _groups(level: Dataset, private: bool) -> list[DataElement]:
    return [one for one in level if one.VR == "SQ" and one.value and one.tag.is_private == private]
