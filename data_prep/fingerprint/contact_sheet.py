"""Contact sheets: one tile for each case, with its largest slice of gland and the outline of the mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.slices import AxialSlice, Stack, note, outline, show

ACROSS, DOWN = 7, 6
PER_SHEET = ACROSS * DOWN
TILE = 1.6  # inches
MASK_COLOUR, OUTLIER_COLOUR = "#FFD166", "#C1121F"


@dataclass(frozen=True)
class Tile:
    """One picture of a contact sheet.

    Attributes:
        name: name of the case.
        colour: colour of the label with the name; each site has a colour.
        image: the slice to show.
        mask: the mask of that slice; None for a case without mask.
        marks: names of the groups of quantities in which the case is an outlier.
    """

    name: str
    colour: str
    image: AxialSlice
    mask: AxialSlice | None
    marks: Sequence[str]


def largest_slice(stack: Stack, mask: Stack | None) -> tuple[AxialSlice, AxialSlice | None]:
    """The slice of the image, and of its mask, with the largest area of gland; the middle slice without a mask."""
    if mask is None:
        return _kept(stack[stack.pixels.shape[2] // 2]), None
    largest = int(np.argmax((mask.pixels > 0).sum(axis=(0, 1))))
    return _kept(stack[largest]), _kept(mask[largest])


def _kept(part: AxialSlice) -> AxialSlice:
    """A copy of the slice; a view would keep the whole volume in memory."""
    return AxialSlice(part.pixels.copy(), part.pixel_mm)


def contact_sheet(tiles: Sequence[Tile]) -> Figure:
    """Draws at most :data:`PER_SHEET` tiles, in rows."""
    across, down = min(ACROSS, len(tiles)), -(-len(tiles) // ACROSS)
    figure = Figure(figsize=(TILE * across, TILE * down), facecolor="white")
    grid = figure.subplots(down, across, squeeze=False, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    figure.subplots_adjust(0, 0, 1, 1)
    for axes in grid.flat[len(tiles) :]:
        axes.set_visible(False)
    for axes, tile in zip(grid.flat, tiles, strict=False):
        _draw(axes, tile)
    return figure


def _draw(axes: Axes, tile: Tile) -> None:
    show(axes, tile.image)
    if tile.mask is not None:
        outline(axes, tile.mask, MASK_COLOUR, width=0.9)
    note(axes, tile.name if tile.mask is not None else f"{tile.name}, no mask", "bottom", tile.colour)
    if tile.marks:
        note(axes, ", ".join(tile.marks), "top", OUTLIER_COLOUR)
