"""The picture grid of a report: slice, ground truth, and what the models drew on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from custom_components.errors import InputError
from custom_components.files import read_json
from experiments.report.study import Row

TRUTH_COLOUR = "#FFD166"
ROLE_COLOURS = {"baseline": "#FF7043", "student": "#4FC3F7"}
MARGIN_MM, SMALLEST_VIEW_MM = 15.0, 70.0


@dataclass(frozen=True)
class Slice:
    """One axial slice of an image or mask, seen from the feet: the patient's front above, his right on the left."""

    pixels: np.ndarray  # (rows, columns)
    pixel_mm: tuple[float, float]  # height and width


def chosen_cases(row: Row) -> dict[str, str]:
    """The best, median and worst test case of a row by Dice, worst last; fewer where there are fewer cases."""
    ranked = sorted(row.cases, key=lambda case: (row.cases[case]["dice"], case), reverse=True)
    places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
    chosen: dict[str, str] = {}
    for rank, place in places.items():
        if ranked[place] not in chosen.values():
            chosen[rank] = ranked[place]
    return chosen


def picture_grid(rows: list[Row], dataset: Path) -> Figure:
    """Draws the best, median and worst case of the last row, each at the slice with most prostate.

    Args:
        rows: the evaluated rows that get a column, in this order, baselines before students.
        dataset: the canonical dataset that holds the images and the ground truth.
    """
    files = {case["case"]: case for case in read_json(dataset / "dataset.json")["cases"]}
    cases = chosen_cases(rows[-1])
    columns = 2 + len(rows)
    figure = Figure(figsize=(2.35 * columns, 2.35 * len(cases) + 0.25), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.subplots(len(cases), columns, squeeze=False)
    for line, (rank, case) in zip(grid, cases.items(), strict=True):
        if case not in files:
            raise InputError(f"{dataset / 'dataset.json'}: has no case {case}, which {rows[-1].name} was evaluated on")
        truth = _axial(dataset / files[case]["label"])
        largest = int(np.argmax(truth[0].sum(axis=(0, 1))))
        image, mask = _slice(_axial(dataset / files[case]["image"]), largest), _slice(truth, largest)
        predictions = [_slice(_axial(row.prediction(case)), largest) for row in rows]
        view = _view([mask, *predictions])
        for axes in line:
            _show(axes, image, view)
        _outline(line[1], mask, TRUTH_COLOUR)
        for axes, row, prediction in zip(line[2:], rows, predictions, strict=True):
            _outline(axes, mask, TRUTH_COLOUR, thin=True)
            _outline(axes, prediction, ROLE_COLOURS[row.role])
            _note(axes, _score(row.cases[case]), "bottom")
        _note(line[0], f"{rank}: {case}", "bottom")
    for axes, head in zip(grid[0], ["slice", "ground truth", *(row.label for row in rows)], strict=True):
        axes.set_title(head, fontsize=9, color="#334155", fontweight="bold", wrap=True)
    return figure


def _score(scores: dict[str, Any]) -> str:
    return "missed" if scores["missed"] else f"Dice {100 * scores['dice']:.1f}   HD95 {scores['hd95_mm']:.1f} mm"


def _axial(path: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """A volume as (rows, columns, slices) of a radiologist's view, and its pixels' height and width in mm."""
    try:
        volume = nib.as_closest_canonical(nib.load(path))
    except (OSError, nib.filebasedimages.ImageFileError) as error:
        raise InputError(
            f"{path}: cannot be read for the picture grid ({error}); restore it or evaluate again"
        ) from None
    width, height, _ = (float(length) for length in volume.header.get_zooms()[:3])
    return np.asarray(volume.dataobj)[::-1, ::-1].transpose(1, 0, 2), (height, width)


def _slice(volume: tuple[np.ndarray, tuple[float, float]], number: int) -> Slice:
    return Slice(volume[0][:, :, number], volume[1])


def _view(masks: list[Slice]) -> tuple[float, float, float]:
    """Centre (row, column) and width, all in mm, of a square that holds what any mask marks, and a margin."""
    inside = np.argwhere(np.any([mask.pixels > 0 for mask in masks], axis=0))
    if not len(inside):
        inside = np.array([[0, 0], masks[0].pixels.shape])
    low, high = (corner * masks[0].pixel_mm for corner in (inside.min(axis=0), inside.max(axis=0) + 1))
    row, column = (low + high) / 2
    return row, column, max(SMALLEST_VIEW_MM, float((high - low).max()) + 2 * MARGIN_MM)


def _show(axes: Axes, image: Slice, view: tuple[float, float, float]) -> None:
    row, column, width = view
    low, high = np.percentile(image.pixels, (1, 98))  # the near field of an endorectal coil would darken the rest
    axes.imshow(image.pixels, cmap="gray", vmin=low, vmax=high, extent=_extent(image), interpolation="bilinear")
    axes.set_xlim(column - width / 2, column + width / 2)
    axes.set_ylim(row + width / 2, row - width / 2)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _extent(image: Slice) -> tuple[float, float, float, float]:
    (rows, columns), (height, width) = image.pixels.shape, image.pixel_mm
    return 0, columns * width, rows * height, 0


def _outline(axes: Axes, mask: Slice, colour: str, thin: bool = False) -> None:
    if (mask.pixels > 0).any():
        (rows, columns), (height, width) = mask.pixels.shape, mask.pixel_mm
        # A border of background closes the outline of what touches the image's edge.
        filled = np.pad((mask.pixels > 0).astype(float), 1)
        x, y = (np.arange(-1, columns + 1) + 0.5) * width, (np.arange(-1, rows + 1) + 0.5) * height
        axes.contour(x, y, filled, [0.5], colors=colour, linewidths=0.9 if thin else 1.7)


def _note(axes: Axes, text: str, side: str) -> None:
    axes.text(
        0.03,
        0.03 if side == "bottom" else 0.97,
        text,
        transform=axes.transAxes,
        fontsize=7.5,
        color="white",
        va=side,
        bbox={"facecolor": "black", "alpha": 0.55, "linewidth": 0, "pad": 2},
    )
