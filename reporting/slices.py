"""Axial slices as a radiologist sees them, drawn in mm."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation


@dataclass(frozen=True)
class Slice:
    """One axial slice of an image or mask, seen from the feet: the patient's front above, his right on the left."""

    pixels: np.ndarray  # (rows, columns)
    pixel_mm: tuple[float, float]  # height and width


@dataclass(frozen=True)
class Stack:
    """The axial slices of a volume, from the feet up."""

    pixels: np.ndarray  # (rows, columns, slices)
    pixel_mm: tuple[float, float]  # height and width
    slice_mm: float  # from one slice to the next

    def __getitem__(self, number: int) -> Slice:
        return Slice(self.pixels[:, :, number], self.pixel_mm)


def axial(voxels: np.ndarray, affine: np.ndarray) -> Stack:
    """The slices of a volume; an oblique one is turned to the nearest axes, no voxel is resampled.

    Args:
        voxels: (H, W, D) in any order and direction.
        affine: 4 x 4, from voxel indices to mm in right-anterior-superior world coordinates.
    """
    orientation = io_orientation(affine)
    canonical = apply_orientation(voxels, orientation)
    width, height, thickness = map(float, voxel_sizes(affine @ inv_ornt_aff(orientation, voxels.shape)))
    return Stack(canonical[::-1, ::-1].transpose(1, 0, 2), (height, width), thickness)


def show(axes: Axes, image: Slice, view: tuple[float, float, float] | None = None) -> None:
    """Draw a slice; ``view`` is the centre (row, column) and the width, in mm, of the square to see, else all."""
    low, high = np.percentile(image.pixels, (1, 98))  # the near field of an endorectal coil would darken the rest
    extent = _extent(image)
    axes.imshow(image.pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")
    row, column, width = view or (extent[2] / 2, extent[1] / 2, max(extent))
    axes.set_xlim(column - width / 2, column + width / 2)
    axes.set_ylim(row + width / 2, row - width / 2)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def outline(axes: Axes, mask: Slice, colour: str, width: float = 1.7) -> None:
    """Draw the border of a mask in a colour."""
    if (mask.pixels > 0).any():
        (rows, columns), (height, width) = mask.pixels.shape, mask.pixel_mm
        # A border of background closes the outline of what touches the image's edge.
        filled = np.pad((mask.pixels > 0).astype(float), 1)
        x, y = (np.arange(-1, columns + 1) + 0.5) * width, (np.arange(-1, rows + 1) + 0.5) * height
        axes.contour(x, y, filled, [0.5], colors=colour, linewidths=width)


def note(axes: Axes, text: str, side: str, colour: str = "black") -> None:
    """Write on a colour at the "top" or "bottom" left of a slice."""
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


def _extent(image: Slice) -> tuple[float, float, float, float]:
    (rows, columns), (height, width) = image.pixels.shape, image.pixel_mm
    return 0, columns * width, rows * height, 0
