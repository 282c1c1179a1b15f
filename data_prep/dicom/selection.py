"""Selection of a study's axial T2-weighted series, by rules on header values. Each rule gives its reason in words.

The rules follow the protocol of PI-RADS v2.1 (Turkbey et al. 2019, doi 10.1016/j.eururo.2019.02.033): T2-weighted fast
spin echo, axial or oblique axial to the prostate. Descriptions differ between hospitals, so they are used last, and
only if the header lacks the physical values.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError
from data_prep.dicom.series import Series, scan_folder

# T1 and proton density have shorter echo times; T2w protocols of public prostate datasets have 80 to 150 ms.
LEAST_ECHO_TIME_MS = 60
# 3-D fast spin echo (SPACE, CUBE, VISTA) has repetition times from about 1200 ms on; T1 spin echo is below 1000 ms.
LEAST_REPETITION_TIME_MS = 1000
LEAST_SLICES = 5
PLANES = ("sagittal", "coronal", "axial")
TIES = ("finest", "last")


@dataclass(frozen=True)
class SeriesChoice:
    """The user's choices for the selection.

    Attributes:
        match: regular expression for description, UID or ``stack <StackID>``. If several series match, the rules pick
            one of them. If only one series matches, it is picked without the rules.
        tie: the choice between several series that fit: the one with the ``finest`` pixels, or the ``last`` by number.
            None refuses to choose.
        names: the user's names for ``match`` and ``tie``, for messages.

    Raises:
        InputError: if ``match`` is not a regular expression, or ``tie`` is unknown.
    """

    match: str | None = None
    tie: str | None = None
    names: tuple[str, str] = ("--series", "--tie")

    def __post_init__(self):
        if self.tie not in (None, *TIES):
            raise InputError(f"{self.names[1]} {self.tie}: unknown; give {' or '.join(TIES)}")
        try:
            re.compile(self.match or "")
        except re.error as error:
            raise InputError(f"{self.names[0]} {self.match}: not a regular expression ({error})") from error

    @classmethod
    def from_environment(cls) -> "SeriesChoice":
        """The choice in the environment variables SERIES and TIE, for hosts, which lack ``--series`` and ``--tie``."""
        return cls(os.environ.get("SERIES") or None, os.environ.get("TIE") or None, ("SERIES", "TIE"))

    @property
    def advice(self) -> str:
        """Advice on how to make a choice."""
        return f"choose with {self.names[0]} or {self.names[1]}"


@dataclass(frozen=True)
class Selection:
    """The outcome for one study.

    Attributes:
        picked: the series, or None.
        problem: the reason why no series was picked, without words that may name the patient; empty if one was picked.
        reasons: for every series in order, the reason why it was or was not picked.
        fitting: the series that fit; one of them was picked if there is one only, or if the user's choice decided.
    """

    picked: Series | None
    problem: str
    reasons: tuple[tuple[Series, str], ...]
    fitting: tuple[Series, ...] = ()


def select_series(series: Sequence[Series], choice: SeriesChoice | None = None) -> Selection:
    """Pick the axial T2w series of a study.

    Args:
        series: all series of one study.
        choice: the user's choices, which overrule the rules.
    """
    choice = choice or SeriesChoice()
    objections = _objections(series, choice)
    fitting = [one for one, objection in zip(series, objections, strict=True) if not objection]
    picked = _untie(fitting, choice.tie)
    reasons = tuple(
        (one, objection or _verdict(one, picked, choice)) for one, objection in zip(series, objections, strict=True)
    )
    if picked:
        return Selection(picked, "", reasons, tuple(fitting))
    among = f" that {choice.names[0]} names" if choice.match else ""
    if not fitting:
        return Selection(None, f"has no axial T2w series{among} ({len(series)} series)", reasons)
    numbers = ", ".join(str(one.first.number) for one in fitting)
    problem = f"has {len(fitting)} axial T2w series{among} (numbers {numbers})"
    return Selection(None, problem, reasons, tuple(fitting))


def pick_series(folder: Path, choice: SeriesChoice, look: str = "") -> Series:
    """The axial T2w series of the only study below a folder.

    Args:
        folder: tree of DICOM files.
        choice: the user's choices.
        look: advice on how to see the study's series, for a message.

    Raises:
        InputError: if there is no study, or more than one; if no series is axial T2w, or more than one; or if a file is
            damaged.
    """
    scan = scan_folder(folder)
    if scan.findings:
        raise InputError(str(scan.findings[0]))
    if not scan.studies:
        raise InputError(f"{folder}: holds no DICOM image; check the path")
    if len(scan.studies) > 1:
        raise InputError(f"{folder}: holds {len(scan.studies)} studies; give the folder of one")
    selection = select_series(scan.studies[0].series, choice)
    if selection.picked is None:
        raise InputError(f"{folder}: its study {selection.problem}; {look}{choice.advice}")
    return selection.picked


def contrast(series: Series) -> str:
    """Plane, dimension, echo and repetition time and slices of a series, in words."""
    times = (("TE", series.first.echo_time_ms), ("TR", series.first.repetition_time_ms))
    shown = [f"{name} {value:g} ms" for name, value in times if value is not None]
    return ", ".join([plane(series) or "no plane", *shown, f"{len(series.slices)} slices"])


def plane(series: Series) -> str | None:
    """The plane nearest to the slices; None if they lie in different planes, or if no slice has an orientation."""
    orientations = {piece.orientation for piece in series.slices}
    if None in orientations:
        return None
    normals = [np.abs(np.cross(orientation[:3], orientation[3:])) for orientation in orientations]
    nearest = {PLANES[int(normal.argmax())] for normal in normals}
    return nearest.pop() if len(nearest) == 1 else None


def _objections(series: Sequence[Series], choice: SeriesChoice) -> list[str | None]:
    if choice.match is None:
        return [_objection(one) for one in series]
    texts = [f"{one.first.description}\n{one.first.series_uid}\nstack {one.first.stack}" for one in series]
    named = [re.search(choice.match, text, re.IGNORECASE) is not None for text in texts]
    rules_decide = sum(named) > 1
    return [
        f"not named by {choice.names[0]}" if not hit else _objection(one) if rules_decide else None
        for one, hit in zip(series, named, strict=True)
    ]


def _objection(series: Series) -> str | None:
    return next((objection for rule in RULES if (objection := rule(series))), None)


def _untie(fitting: list[Series], tie: str | None) -> Series | None:
    if len(fitting) == 1:
        return fitting[0]
    if fitting and tie == "last":
        # Stacks of one file, such as repetitions, have the same series number.
        places = [(one.first.number or 0, len(one.first.stack), one.first.stack) for one in fitting]
        return fitting[places.index(max(places))] if places.count(max(places)) == 1 else None
    if fitting and tie == "finest":
        pixel_mm = [max(one.first.spacing_mm or (np.inf,)) for one in fitting]
        return fitting[int(np.argmin(pixel_mm))] if pixel_mm.count(min(pixel_mm)) == 1 else None
    return None


def _verdict(series: Series, picked: Series | None, choice: SeriesChoice) -> str:
    if picked is None:
        return f"fits: {contrast(series)}"
    if series is picked:
        return f"picked: {contrast(series)}"
    return f"fits too, but {choice.names[1]} took {picked.first.number}"


def _no_image(series: Series) -> str | None:
    if series.first.modality != "MR":
        return f"{series.first.modality or 'no modality'}, not MR"
    return None if series.first.rows else "no image"


def _diffusion(series: Series) -> str | None:
    kinds = {kind.upper() for piece in series.slices for kind in piece.image_type}
    b_values = sorted({piece.b_value for piece in series.slices} - {None})
    if "ADC" in kinds or _described(series, r"\badc\b"):
        return "ADC map"
    if len(b_values) > 1 or max(b_values, default=0) > 0:
        return f"diffusion, b {', '.join(map(str, b_values))} s/mm²"
    if kinds & {"DIFFUSION", "TRACEW"} or _described(series, r"\bdwi|diff"):
        return "diffusion"
    return None


def _localizer(series: Series) -> str | None:
    if any("LOCALIZER" in piece.image_type for piece in series.slices) or _described(
        series, r"locali[sz]er|scout|survey"
    ):
        return "localizer"
    return None


def _derived(series: Series) -> str | None:
    kinds = series.first.image_type
    return "derived (" + "/".join(kinds[:3]) + ")" if {"DERIVED", "SECONDARY"} & set(kinds[:2]) else None


def _other_plane(series: Series) -> str | None:
    nearest = plane(series)
    return None if nearest == "axial" else nearest or "slices in several planes, or in none"


def _other_sequence(series: Series) -> str | None:
    kinds = series.first.sequence
    if "EP" in kinds:
        return "echo planar"
    if "GR" in kinds and "SE" not in kinds:
        return "gradient echo" + (" (proton density)" if _described(series, r"\bpd\b") else "")
    return "inversion recovery" if "IR" in kinds else None


def _other_contrast(series: Series) -> str | None:
    echo, repetition = series.first.echo_time_ms, series.first.repetition_time_ms
    echoes = {piece.echo_time_ms for piece in series.slices}
    if len(echoes) > 1:
        return f"{len(echoes)} echo times in one series"
    if repetition is not None and repetition < LEAST_REPETITION_TIME_MS:
        return f"T1-weighted (TR {repetition:g} ms)"
    if echo is not None and echo < LEAST_ECHO_TIME_MS:
        return f"proton density (TE {echo:g} ms)"
    if echo is None and not _described(series, "t2"):
        return "unknown contrast: no echo time, and no T2 in the description"
    return None


def _fat_suppressed(series: Series) -> str | None:
    suppressed = series.first.fat_suppressed or _described(series, r"fat ?sat|\bfs\b|stir|spair|spir\b|dixon")
    return "fat-suppressed" if suppressed else None


def _too_few(series: Series) -> str | None:
    return None if len(series.slices) >= LEAST_SLICES else f"only {len(series.slices)} slices"


def _described(series: Series, pattern: str) -> bool:
    return bool(re.search(pattern, series.first.description.replace("_", " "), re.IGNORECASE))


RULES: tuple[Callable[[Series], str | None], ...] = (
    _no_image,
    _localizer,
    _diffusion,
    _derived,
    _other_plane,
    _other_sequence,
    _other_contrast,
    _fat_suppressed,
    _too_few,
)
