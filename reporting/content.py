"""What a report is made of, whatever it is written in: sections of text, tables, pictures and facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from reporting.table import Table


@dataclass(frozen=True)
class Finding:
    """A sentence that the reader came for."""

    text: str


@dataclass(frozen=True)
class Note:
    """How to read what stands above."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure with a description for those who cannot see it."""

    figure: Figure
    description: str


@dataclass(frozen=True)
class Facts:
    """Names with what they are."""

    facts: Mapping[str, Any]


Block = Finding | Note | Heading | Picture | Facts | Table


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    blocks: list[Block]
