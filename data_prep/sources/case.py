"""What every source gives: cases that can be read, what is wrong with the folder, and what was left aside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from custom_components.errors import InputError
from data_prep.findings import Finding
from data_prep.volumes import Volume


@dataclass(frozen=True)
class SourceCase:
    """One image and its mask as they lie in the imported folder; nothing of it is read before it is asked for.

    A case travels to worker processes: ``read_image`` and ``read_label`` are picklable (functools.partial of a function
    of a module).

    Attributes:
        site: the hospital or scanner it comes from.
        name: its name within the site, as the source has it.
        patient: whom it shows, as the source has it; cases of one patient of a site never part in a split.
        source: where it lies, relative to the imported folder, with '/'. It may identify the patient.
        image: the image's file, or the folder of its slices, for messages.
        label: the mask's file or folder, for messages; None when there is no mask.
        files: everything that is read for it; an import starts again when one of them changes.
        read_image: gives the image (H, W, D); raises InputError when it cannot be read.
        read_label: gives the mask (H, W, D) with the source's own labels; None when there is no mask.
        labels: every value that the mask may hold; 0 is background, all others are prostate.
    """

    site: str
    name: str
    patient: str
    source: str
    image: Path
    label: Path | None
    files: tuple[Path, ...]
    read_image: Callable[[], Volume]
    read_label: Callable[[], Volume] | None
    labels: frozenset[int] = frozenset({0, 1})


@dataclass(frozen=True)
class SourceOptions:
    """What a user can tell a source; a source takes what concerns it.

    Attributes:
        series: regular expression that a DICOM series' description or UID must match, where the rules alone tie.
        tie: of several DICOM series that fit, the one to take: ``finest`` or ``last``.
        masks: folder of the DICOM masks (SEG, RTSTRUCT) when they do not lie with their studies.
    """

    series: str | None = None
    tie: str | None = None
    masks: Path | None = None


@dataclass
class Listing:
    """What a source found.

    Attributes:
        cases: image by image, in the order of their names.
        findings: faults that leave no case to read, such as a mask without image.
        notes: what was seen and not taken, one line each, such as every series not picked and why.
        guessed_sites: sites that are nothing but names of folders, which may be those of patients.
    """

    cases: list[SourceCase] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    guessed_sites: set[str] = field(default_factory=set)


def require_site(folder: Path, site: str | None) -> str:
    """The site's name, for layouts that do not tell it.

    Raises:
        InputError: when there is none.
    """
    if not site:
        raise InputError(f"{folder}: nothing in it says which site it comes from; name it with --site")
    return site
