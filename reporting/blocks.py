"""The blocks of a report, such as notes, pictures and tables, independent of the format of its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from reporting.table import Table


@dataclass(frozen=True)
class Conclusion:
    """A sentence that states a result; the HTML page highlights it."""

    text: str


@dataclass(frozen=True)
class Headline:
    """The answer to a question that the section asks, with a text that says how sure it is."""

    text: str
    detail: str


@dataclass(frozen=True)
class Note:
    """A text that explains how to read the block above it."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure, with a description for readers who cannot see it, and lines of text below it."""

    figure: Figure
    description: str
    caption: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery:
    """Small pictures with captions, side by side as far as the window is wide."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Facts:
    """Named values, such as the settings of a study."""

    facts: Mapping[str, Any]

    def as_texts(self) -> dict[str, str]:
        """The names without underscores, each with its value as text; the items of a list are joined by commas."""
        return {
            name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in self.facts.items()
        }


@dataclass(frozen=True)
class Folded:
    """Blocks below a title, which a reader of the HTML page opens with a click or a key."""

    title: str
    blocks: "Sequence[Block]"


Block = Conclusion | Headline | Note | Heading | Picture | Gallery | Facts | Folded | Table


@dataclass(frozen=True)
class Section:
    """A titled part of a report."""

    title: str
    blocks: list[Block]
