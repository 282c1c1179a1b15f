"""What every source gives: cases that can be read, and the files it left aside."""

from dataclasses import dataclass, field
from pathlib import Path

from data_prep.findings import Finding
from data_prep.volumes import Volume, read_volume


@dataclass(frozen=True)
class SourceCase:
    """One image and its mask as they lie in the raw folder; a source of another format overrides the readers.

    Attributes:
        site: the folder, scanner or hospital it comes from.
        name: its name within the site.
        patient: whom it shows; cases of one patient never part in a split.
        source: the image's place in the raw folder, with '/'.
        image: the image file.
        label: the mask file, None when it is missing.
    """

    site: str
    name: str
    patient: str
    source: str
    image: Path
    label: Path | None

    @property
    def case(self) -> str:
        """The name that is unique in the dataset."""
        return f"{self.site}_{self.name}"

    def read_image(self) -> Volume:
        """The image (H, W, D); InputError when it cannot be read."""
        return read_volume(self.image)

    def read_label(self) -> Volume:
        """The mask (H, W, D) with the source's own labels; InputError when it cannot be read."""
        return read_volume(self.label)


@dataclass
class Listing:
    """What a source found: cases, files it ignores on purpose, and files that make no case."""

    cases: list[SourceCase] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
