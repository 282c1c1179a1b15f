"""The cases of a model from the worst Dice up: pictures of the first ones, and a table of all."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from custom_components.foundation.errors import InputError
from experiments.report.pictures import ROLE_COLOURS, TRUTH_COLOUR, case_files, enclosing_view, read_stack
from experiments.report.run_record import RunRecord
from experiments.report.study import Model
from reporting.blocks import Gallery, Picture
from reporting.slices import outline, show
from reporting.table import Line, Table

SHOWN = 8  # two rows of four pictures in a wide window
SIDE = 3.0  # inches


def worst_first(model: Model) -> list[str]:
    """The names of a model's cases, from the lowest Dice (its mean over the seeds) up."""
    dice = dict(zip(model.cases, model.mean_dice([*model.cases]), strict=True))
    return sorted(model.cases, key=lambda case: (dice[case], case))


def worst_pictures(model: Model, dataset: Path) -> Gallery:
    """The worst cases, each at the slice with the most wrong voxels; of several seeds, the seed with the lowest Dice.

    Raises:
        InputError: when ``dataset.json`` lacks one of the cases, a volume cannot be read, or a prediction has another
            size than the ground truth.
    """
    shown = worst_first(model)[:SHOWN]
    return Gallery([_picture(case, model, dataset, files) for case, files in case_files(dataset, shown).items()])


def case_table(model: Model) -> Table:
    """The scores of every case, the worst first; each is the mean over the seeds."""
    lines = []
    for case in worst_first(model):
        own = [row.cases[case] for row in model.rows]
        dice, hd95, truth, predicted = (
            float(np.mean([scores[key] for scores in own])) for key in ("dice", "hd95_mm", "truth_ml", "prediction_ml")
        )
        figures = [f"{100 * dice:.1f}", f"{hd95:.1f}", f"{truth:.1f}", f"{predicted:.1f}"]
        lines.append(Line([case, model.cases[case], "yes" if model.missed(case) else "no", *figures]))
    return Table(["case", "site", "missed", "Dice %", "HD95 mm", "prostate ml", "segmented ml"], lines, texts=3)


def _picture(case: str, model: Model, dataset: Path, files: Mapping[str, str]) -> Picture:
    row = min(model.rows, key=lambda row: row.cases[case]["dice"])
    truth, prediction = read_stack(dataset / files["label"]), read_stack(row.prediction(case))
    if truth.pixels.shape != prediction.pixels.shape:
        raise InputError(f"{row.prediction(case)}: has another size than {files['label']}; evaluate this row again")
    wrong = (truth.pixels > 0) != (prediction.pixels > 0)
    number = int(np.argmax((wrong if wrong.any() else truth.pixels).sum(axis=(0, 1))))
    figure = Figure(figsize=(SIDE, SIDE))
    axes = figure.add_axes((0, 0, 1, 1))
    mask, predicted = truth[number], prediction[number]
    show(axes, read_stack(dataset / files["image"])[number], enclosing_view([mask, predicted]))
    outline(axes, mask, TRUTH_COLOUR)
    outline(axes, predicted, ROLE_COLOURS["student"])
    shown = f"slice {number + 1} of {truth.pixels.shape[2]}"
    return Picture(
        figure,
        f"{case}, {shown}: the ground truth in yellow and the segmentation in blue",
        [f"{case} ({model.cases[case]}): {_score(case, row)}", f"{_volumes(case, row)}; {_of_seed(row, model)}{shown}"],
    )


def _score(case: str, row: RunRecord) -> str:
    scores = row.cases[case]
    return "missed" if scores["missed"] else f"Dice {100 * scores['dice']:.1f}, HD95 {scores['hd95_mm']:.1f} mm"


def _volumes(case: str, row: RunRecord) -> str:
    scores = row.cases[case]
    return f"segmented {scores['prediction_ml']:.0f} ml, the prostate has {scores['truth_ml']:.0f} ml"


def _of_seed(row: RunRecord, model: Model) -> str:
    return f"seed {row.seed}, " if len(model.rows) > 1 else ""
