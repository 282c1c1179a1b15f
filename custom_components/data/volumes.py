"""The volumes to evaluate or to segment, as a pipeline of MONAI takes them."""

from collections.abc import Iterable, Mapping
from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.foundation.volumes import check_volumes


def volumes_to_segment(paths: Iterable[str]) -> list[dict[str, str]]:
    """Volumes as a pipeline of MONAI takes them: ``image`` is the path."""
    return [{"image": path} for path in paths]


def volumes_to_score(cases: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cases as an evaluation takes them: the mask is called ``truth``, so that the preprocessing, which looks for
    ``label``, leaves it on its own grid.

    Args:
        cases: as :func:`load_datalist` gives them.
    """
    return [
        {"image": case["image"], "truth": case["label"], "case": case["case"], "site": case["site"]} for case in cases
    ]


def check_cases(cases: Iterable[Mapping[str, Any]]) -> None:
    """:func:`check_volumes` of the image and the mask of every case.

    Args:
        cases: as :func:`load_datalist` gives them.

    Raises:
        InputError: as :func:`check_volumes`, if there is no case, or if a case has no mask.
    """
    cases = list(cases)
    if not cases:
        raise InputError(
            "no case to score in this part of the split; give another --part, or draw masks and split again"
        )
    if without := [case for case in cases if not case.get("label")]:
        raise InputError(f"{without[0]['image']}: has no mask to score with; give another --part")
    check_volumes(case[key] for case in cases for key in ("image", "label"))
