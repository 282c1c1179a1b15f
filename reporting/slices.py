"""Axial slices in the view that radiologists use, drawn in mm."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation


@dataclass(frozen=True)
class AxialSlice:
    """One axial slice of an image or mask, seen from the feet: front at the top, the patient's right at the left."""

    pixels: np.ndarray  # (rows, columns)
    pixel_mm: tuple[float, float]  # height and width


@dataclass(frozen=True)
class Stack:
    """The axial slices of a volume, in the order from the feet to the head."""

    pixels: np.ndarray  # (rows, columns, slices)
    pixel_mm: tuple[float, float]  # height and width
    slice_mm: float  # distance from one slice to the next

    def __getitem__(self, number: int) -> AxialSlice:
        return AxialSlice(self.pixels[:, :, number], self.pixel_mm)


def axial(voxels: np.ndarray, affine: np.ndarray) -> Stack:
    """The axial slices of a volume. An oblique volume is not resampled: each axis is taken as the nearest world axis.

    Args:
        voxels: (H, W, D); the axes may have any order and direction.
        affine: 4 x 4, from voxel indices to mm in right-anterior-superior world coordinates.
    """
    orientation = io_orientation(affine)
    canonical = apply_orientation(voxels, orientation)
    width, height, thickness = map(float, voxel_sizes(affine @ inv_ornt_aff(orientation, voxels.shape)))
    return Stack(canonical[::-1, ::-1].transpose(1, 0, 2), (height, width), thickness)


def show(axes: Axes, image: AxialSlice, view: tuple[float, float, float] | None = None) -> None:
    """Draws a slice.

    Args:
        axes: the axes to draw on.
        image: the slice.
        view: centre (row, column) and width, in mm, of the square to show; None shows the whole slice.
    """
    # An endorectal coil makes a few voxels so bright that they would leave the rest dark.
    low, high = np.percentile(image.pixels, (1, 98))
    extent = _extent(image)
    axes.imshow(image.pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")
    row, column, width = view or (extent[2] / 2, extent[1] / 2, max(extent))
    axes.set_xlim(column - width / 2, column + width / 2)
    axes.set_ylim(row + width / 2, row - width / 2)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def outline(axes: Axes, mask: AxialSlice, colour: str, width: float = 1.7) -> None:
    """Draws the border of a mask; ``width`` is the width of the line in points."""
    if (mask.pixels > 0).any():
        (rows, columns), (row_mm, column_mm) = mask.pixels.shape, mask.pixel_mm
        # A border of background closes the outline of a mask that touches the edge of the image.
        filled = np.pad((mask.pixels > 0).astype(float), 1)
        x, y = (np.arange(-1, columns + 1) + 0.5) * column_mm, (np.arange(-1, rows + 1) + 0.5) * row_mm
        axes.contour(x, y, filled, [0.5], colors=colour, linewidths=width)


def note(axes: Axes, text: str, side: str, colour: str = "black") -> None:
    """Writes a text on a coloured box in a left corner of a slice; ``side`` is "top" or "bottom"."""
    axes.text(
        0.03,
        0.03 if side == "bottom" else 0.97,
        text,
        transform=axes.transAxes,
        parse_math=False,  # a name may hold a $
        fontsize=7.5,
        color="white",
        va=side,
        bbox={"facecolor": colour, "alpha": 0.55 if colour == "black" else 0.9, "linewidth": 0, "pad": 2},
    )


def _extent(image: AxialSlice) -> tuple[float, float, float, float]:
    (rows, columns), (height, width) = image.pixels.shape, image.pixel_mm
    return 0, columns * width, rows * height, 0
