"""The preprocessing of a run in words, for its model card."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custom_components.bundle.parsing import parse_config
from custom_components.data.describe import describe

Described = Mapping[str, Any]


def described_preprocessing(inference: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The preprocessing of ``inference.json`` as a provenance records it; ``inference`` is the content of this file."""
    parser = parse_config(inference, {})
    return describe(parser.get_parsed_content("preprocessing").transforms)


def in_words(transforms: Sequence[Described]) -> str:
    """The preprocessing of a volume in words, one step after the other.

    Args:
        transforms: as :func:`custom_components.data.describe.describe` gives them. A transform without words in this
            module is shown by its name and settings.

    >>> turned = {"transform": "Orientationd", "ornt_transform": {"axcodes": "LPS"}}
    >>> in_words([turned, {"transform": "Flipd", "axis": 0}])
    'turned to LPS, Flipd {"axis": 0}'
    """
    return ", ".join(filter(None, (WORDS.get(step["transform"], _by_its_settings)(step) for step in transforms)))


def window_mm(transforms: Sequence[Described]) -> float | None:
    """The side in mm of the square around the image's centre that the preprocessing keeps; None for the whole image."""
    steps = {step["transform"]: step for step in transforms}
    if not {"Spacingd", "ResizeWithPadOrCropd"} <= steps.keys():
        return None
    pixels = steps["ResizeWithPadOrCropd"]["padder"]["cropper"]["roi_size"][0]
    return round(pixels * steps["Spacingd"]["spacing_transform"]["pixdim"][0], 3)


def _nothing(step: Described) -> str:
    return ""


def _orientation(step: Described) -> str:
    return f"turned to {step['ornt_transform']['axcodes']}"


def _spacing(step: Described) -> str:
    return f"resampled in-plane to pixels of {step['spacing_transform']['pixdim'][0]:.3g} mm ({step['mode'][0]})"


def _crop(step: Described) -> str:
    height, width, *_ = step["padder"]["cropper"]["roi_size"]
    return f"cropped or padded around its centre to {height}x{width} pixels"


def _resize(step: Described) -> str:
    height, width, *_ = step["resizer"]["spatial_size"]
    anti_aliased = ", anti-aliased" if step["anti_aliasing"][0] else ""
    return f"each slice resized to {height}x{width} pixels ({step['mode'][0]}{anti_aliased})"


def _percentiles(step: Described) -> str:
    scaler = step["scaler"]
    done = "clipped at" if scaler["clip"] else "scaled by"
    return f"intensities {done} the volume's {_ordinal(scaler['lower'])} and {_ordinal(scaler['upper'])} percentile"


def _normalise(step: Described) -> str:
    settings = step["normalizer"]
    if settings["nonzero"] or settings["subtrahend"] is not None or settings["divisor"] is not None:
        return _by_its_settings(step)
    return "then normalised to mean 0 and standard deviation 1"


def _by_its_settings(step: Described) -> str:
    settings = {key: value for key, value in step.items() if key not in ("transform", "keys", "allow_missing_keys")}
    return f"{step['transform']} {json.dumps(settings)}"


def _ordinal(number: float) -> str:
    text = f"{number:g}"
    ending = "th" if text[-2:] in ("11", "12", "13") else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
    return text + ending


WORDS: dict[str, Callable[[Described], str]] = {
    "LoadImaged": _nothing,
    "EnsureChannelFirstd": _nothing,
    "Orientationd": _orientation,
    "Spacingd": _spacing,
    "ResizeWithPadOrCropd": _crop,
    "Resized": _resize,
    "ScaleIntensityRangePercentilesd": _percentiles,
    "NormalizeIntensityd": _normalise,
}
