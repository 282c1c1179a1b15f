"""What every report shares: its blocks, the page without a server, the look of plots and of slices."""

from reporting.content import Block, Facts, Finding, Heading, Note, Picture, Section
from reporting.page import html_page
from reporting.table import NOTHING, Line, Table

__all__ = [
    "NOTHING",
    "Block",
    "Facts",
    "Finding",
    "Heading",
    "Line",
    "Note",
    "Picture",
    "Section",
    "Table",
    "html_page",
]
