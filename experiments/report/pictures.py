"""The picture grid of a report: slices with the ground truth and the predictions of the models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import read_volume
from experiments.report.run_record import RunRecord
from reporting.plots import as_written
from reporting.slices import AxialSlice, Stack, axial, note, outline, show

TRUTH_COLOUR = "#FFD166"
ROLE_COLOURS = {"baseline": "#FF7043", "student": "#4FC3F7"}
MARGIN_MM, SMALLEST_VIEW_MM = 15.0, 70.0


def chosen_cases(rows: Sequence[RunRecord]) -> dict[str, str]:
    """The cases with the last row's best, median and worst Dice, in this order; no case appears twice.

    Only cases that every row was evaluated on count. In a cross-validation under way, a row lacks the cases of the
    folds to come.
    """
    scores = rows[-1].cases
    shared = [case for case in scores if all(case in row.cases for row in rows)]
    ranked = sorted(shared, key=lambda case: (scores[case]["dice"], case), reverse=True)
    if not ranked:
        return {}
    places = {"best": 0, "median": (len(ranked) - 1) // 2, "worst": len(ranked) - 1}
    chosen: dict[str, str] = {}
    for rank, place in places.items():
        if ranked[place] not in chosen.values():
            chosen[rank] = ranked[place]
    return chosen


def case_files(dataset: Path, cases: Sequence[str]) -> dict[str, dict[str, str]]:
    """The items of cases in ``dataset.json``, with the paths of image and label below the dataset's folder.

    Raises:
        InputError: when ``dataset.json`` lacks a case.
    """
    file = dataset / "dataset.json"
    items = {item["case"]: item for item in read_json(file)["cases"]}
    if absent := [case for case in cases if case not in items]:
        raise InputError(f"{file}: has no case {absent[0]}, which a row of this study was evaluated on")
    return {case: items[case] for case in cases}


def picture_grid(rows: Sequence[RunRecord], dataset: Path) -> Figure:
    """Draws the :func:`chosen_cases` of rows that share at least one case, each at the slice with the most prostate.

    Args:
        rows: the evaluated rows; each gets a column, in this order.
        dataset: the canonical dataset that holds the images and the ground truth.

    Raises:
        InputError: when ``dataset.json`` lacks a case that the last row was evaluated on, or a volume cannot be read.
    """
    cases = chosen_cases(rows)
    files = case_files(dataset, list(cases.values()))
    columns = 2 + len(rows)
    figure = Figure(figsize=(2.35 * columns, 2.35 * len(cases) + 0.25), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.subplots(len(cases), columns, squeeze=False)
    for line, (rank, case) in zip(grid, cases.items(), strict=True):
        truth = read_stack(dataset / files[case]["label"])
        largest = int(np.argmax(truth.pixels.sum(axis=(0, 1))))
        image, mask = read_stack(dataset / files[case]["image"])[largest], truth[largest]
        predictions = [read_stack(row.prediction(case))[largest] for row in rows]
        view = enclosing_view([mask, *predictions])
        for axes in line:
            show(axes, image, view)
        outline(line[1], mask, TRUTH_COLOUR)
        for axes, row, prediction in zip(line[2:], rows, predictions, strict=True):
            outline(axes, mask, TRUTH_COLOUR, width=0.9)
            outline(axes, prediction, ROLE_COLOURS[row.role])
            note(axes, _score(row.cases[case]), "bottom")
        note(line[0], f"{rank}: {case}", "bottom")
    for axes, head in zip(grid[0], ["slice", "ground truth", *(row.label for row in rows)], strict=True):
        axes.set_title(as_written(head), fontsize=9, color="#334155", fontweight="bold", wrap=True)
    return figure


def _score(scores: dict[str, Any]) -> str:
    return "missed" if scores["missed"] else f"Dice {100 * scores['dice']:.1f}   HD95 {scores['hd95_mm']:.1f} mm"


def read_stack(path: Path) -> Stack:
    """The axial slices of an image or mask."""
    volume = read_volume(path)
    return axial(volume.voxels, volume.affine)


def enclosing_view(masks: list[AxialSlice]) -> tuple[float, float, float]:
    """Centre (row, column) and width, in mm, of a square that encloses all masks with a margin."""
    inside = np.argwhere(np.any([mask.pixels > 0 for mask in masks], axis=0))
    if not len(inside):
        inside = np.array([[0, 0], masks[0].pixels.shape])
    low, high = (corner * masks[0].pixel_mm for corner in (inside.min(axis=0), inside.max(axis=0) + 1))
    row, column = (low + high) / 2
    return row, column, max(SMALLEST_VIEW_MM, float((high - low).max()) + 2 * MARGIN_MM)
