"""The results of every source: cases that can be read, faults of the folder, and notes on ignored files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from data_prep.findings import Finding

# In an archive, a note on every series that was not picked would make thousands of lines.
MOST_NOTES = 20


@dataclass(frozen=True)
class SourceCase:
    """One image and its mask in the imported folder. The files are read only when the functions below are called.

    A case is sent to worker processes, so ``read_image`` and ``read_label`` are picklable (functools.partial of a
    function of a module).

    Attributes:
        site: the hospital or scanner of the case.
        name: the source's name of the case, unique within the site.
        patient: the source's name of the patient. A split keeps all cases of a patient of a site together.
        source: the path relative to the imported folder, with '/'. It may identify the patient.
        image: the image's file, or the folder of its slices, for messages.
        label: the mask's file or folder, for messages; None if there is no mask.
        files: all files that are read for the case; if one of them changes, the case is imported again.
        read_image: function that returns the image (H, W, D); it raises InputError if the image cannot be read.
        read_label: function that returns the mask (H, W, D) with the source's own labels; None if there is no mask.
        labels: all values that the mask may hold; 0 is background, all other values are prostate.
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
    """The user's options for a source; a source uses the options that concern it.

    Attributes:
        series: regular expression for a DICOM series' description or UID, used if the rules alone cannot decide.
        tie: the choice between several DICOM series that fit: ``finest`` or ``last``.
        masks: folder of the DICOM masks (SEG, RTSTRUCT), if they do not lie in the folders of the studies.
    """

    series: str | None = None
    tie: str | None = None
    masks: Path | None = None


@dataclass
class Listing:
    """The result of a source.

    Attributes:
        cases: the cases, one for each image. Those of an archive are read from a file, one by one.
        findings: faults of files that make no case, such as a mask without an image.
        notes: one line for each file or series that is not imported, such as the reason why a series was not picked.
        guessed_sites: sites whose names are only names of folders, which may be names of patients.
        untold: number of further notes, which are not kept.
    """

    cases: Sequence[SourceCase] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    guessed_sites: set[str] = field(default_factory=set)
    untold: int = 0

    def tell(self, notes: list[str]) -> None:
        """Add notes of a source that may have one for every study; only the first ones are kept."""
        room = max(0, MOST_NOTES - len(self.notes))
        self.notes += notes[:room]
        self.untold += len(notes[room:])


def require_site(folder: Path, site: str | None) -> str:
    """The site's name, for layouts that do not contain it.

    Raises:
        InputError: if no name is given.
    """
    if not site:
        raise InputError(f"{folder}: nothing in it says which site it comes from; name it with --site")
    return site
