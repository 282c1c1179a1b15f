"""Contact sheets: a tile for each case, at the slice with the largest gland, its mask outlined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reporting.slices import Slice, Stack, note, outline, show

ACROSS, DOWN = 7, 6
PER_SHEET = ACROSS * DOWN
TILE = 1.6  # inches
MASK_COLOUR, OUTLIER_COLOUR = "#FFD166", "#C1121F"


@dataclass(frozen=True)
class Tile:
    """One picture of a contact sheet; ``marks`` say in what the case stands out."""

    name: str
    colour: str
    image: Slice
    mask: Slice | None
    marks: Sequence[str]


def largest_slice(stack: Stack, mask: Stack | None) -> tuple[Slice, Slice | None]:
    """The slice with the largest area of gland, of image and mask; the middle one of an image without mask."""
    if mask is None:
        return _kept(stack[stack.pixels.shape[2] // 2]), None
    largest = int(np.argmax((mask.pixels > 0).sum(axis=(0, 1))))
    return _kept(stack[largest]), _kept(mask[largest])


def _kept(part: Slice) -> Slice:
    """A copy, so that a sheet does not hold on to the whole volume."""
    return Slice(part.pixels.copy(), part.pixel_mm)


def contact_sheet(tiles: Sequence[Tile]) -> Figure:
    """At most :data:`PER_SHEET` tiles in rows."""
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
