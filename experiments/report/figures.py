"""The curves of a report: validation Dice, loss terms, adaptive weights and calibration."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from custom_components.loss_terms import DISTILLING, SUPERVISED
from experiments.report.run_record import RunRecord
from reporting.plots import COLOURS, INK, as_written, styled

PANEL_WIDTH, PANEL_HEIGHT = 3.5, 2.3  # inches

Draw = Callable[[Axes, Any], None]  # a function that draws a panel's content on axes


def validation_dice(rows: Sequence[RunRecord]) -> Figure:
    """The validation Dice (%) over the epochs: a panel for the teachers, and one for each student network."""
    groups: dict[str, list[RunRecord]] = {}
    for row in rows:
        if np.isfinite(row.training.get("val_mean_dice", [nan])).any():
            groups.setdefault("teachers" if row.role == "teacher" else row.network, []).append(row)
    figure = Figure(figsize=(10, 2.9 * max(1, len(groups))), layout="constrained")
    for axes, (title, group) in zip(
        figure.subplots(max(1, len(groups)), squeeze=False)[:, 0], groups.items(), strict=False
    ):
        styled(axes, "epoch", "validation Dice %")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(as_written(title), fontsize=9, loc="left", color=INK, fontweight="bold")
        labels = list(dict.fromkeys(row.label for row in group))
        for row in group:
            scores = 100 * np.asarray(row.training["val_mean_dice"])
            known = np.isfinite(scores)
            first = next(other for other in group if other.label == row.label) is row
            axes.plot(
                np.asarray(row.training["epoch"])[known],
                scores[known],
                "--" if row.role == "baseline" else "-",
                color=COLOURS[labels.index(row.label) % len(COLOURS)],
                linewidth=1.6,
                label=as_written(row.label) if first else None,
            )
        axes.set_ylim(0, 100)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, labelcolor=INK)
    return figure


def segmentation_losses(rows: Sequence[RunRecord]) -> Figure:
    """The unweighted segmentation terms over the epochs: a panel for each run."""
    figure = _panels(_trainings(rows), _draw_terms(tuple(SUPERVISED), log=False), "loss term")
    # The panels share their scale. A limit that is set before the last panel is drawn would cut off larger values.
    figure.axes[0].set_ylim(bottom=0)
    return figure


def distillation_losses(rows: Sequence[RunRecord]) -> Figure:
    """The unweighted distillation terms over the epochs, on a log axis: a panel for each distilled run."""
    return _panels(_trainings(rows), _draw_terms(tuple(DISTILLING), log=True), "loss term")


def reliability(rows: Sequence[RunRecord]) -> Figure:
    """Observed frequency over predicted probability (both in %): a panel for each row; larger dots are more voxels."""

    def draw(axes: Axes, bins: Sequence[Mapping[str, float]]) -> None:
        voxels = np.array([bin["voxels"] for bin in bins])
        probability, frequency = (100 * np.array([bin[key] for bin in bins]) for key in ("probability", "frequency"))
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":")
        axes.plot(probability, frequency, color=COLOURS[0], linewidth=1.2)
        axes.scatter(probability, frequency, s=4 + 60 * voxels / voxels.max(), color=COLOURS[0])

    panels = {}
    for row in rows:
        calibration = row.evaluation["calibration"]
        panels[f"{_name(row, rows)}, ECE {100 * calibration['ece']:.1f} %"] = calibration["bins"]
    return _panels(panels, draw, "prostate %", "probability %")


def adaptive_weights(rows: Sequence[RunRecord]) -> Figure:
    """The weight of each teacher over the epochs: a panel for each distilled run, or for each of its sites.

    A run has a panel for each site when its weights were logged by site. The dotted line marks equal weights.
    """

    def draw(axes: Axes, weights: Mapping[str, Sequence[float]]) -> None:
        for (teacher, values), colour in zip(weights.items(), _cycle(COLOURS, len(weights)), strict=True):
            axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.8, label=as_written(teacher))
        axes.axhline(1 / len(weights), color=INK, linewidth=0.8, linestyle=":")

    panels = {}
    for row in rows:
        for site, weights in weights_by_site(row.training).items():
            panels[f"{_name(row, rows)}, {site}" if site else _name(row, rows)] = weights
    return _panels(panels, draw, "weight")


def weights_by_site(training: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Sequence[float]]]:
    """The weights of each teacher over the epochs, by site. The only key is "" when they were not logged by site."""
    sites: dict[str, dict[str, Sequence[float]]] = {}
    for column, values in training.items():
        if column.startswith("weight_"):
            teacher, _, site = column.removeprefix("weight_").partition("/")
            sites.setdefault(site, {})[teacher] = values
    return {site: weights for site, weights in sites.items() if site or len(sites) == 1}


def has_distillation_terms(row: RunRecord) -> bool:
    """Whether a run logged a distillation term."""
    return any(term in row.training for term in DISTILLING)


def _trainings(rows: Sequence[RunRecord]) -> dict[str, Mapping[str, Sequence[float]]]:
    return {_name(row, rows): row.training for row in rows}


def _draw_terms(terms: Sequence[str], log: bool) -> Draw:
    def draw(axes: Axes, training: Mapping[str, Sequence[float]]) -> None:
        for term, colour in zip(terms, _cycle(COLOURS, len(terms)), strict=True):
            values = np.asarray(training.get(term, []), dtype=float)
            if log:
                values = np.where(values > 0, values, np.nan)  # a log axis has no zero
            if np.isfinite(values).any():
                label = term.replace("_", " ")
                axes.plot(training["epoch"], values, color=colour, linewidth=1.8, label=label)
        if log and axes.lines:
            axes.set_yscale("log")

    return draw


def _panels(panels: Mapping[str, Any], draw: Draw, ylabel: str, xlabel: str = "epoch") -> Figure:
    """Titled panels on one scale, three in a row, with one legend above; ``draw`` puts the content on each panel."""
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(PANEL_WIDTH * across, PANEL_HEIGHT * down + 0.35), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    labels = {}
    for place, (axes, (title, content)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        styled(axes, xlabel if place + across >= len(panels) else "", ylabel if place % across == 0 else "")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(as_written(title), fontsize=9, loc="left", color=INK, fontweight="bold")
        draw(axes, content)
        handles, names = axes.get_legend_handles_labels()
        labels.update(zip(names, handles, strict=True))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    if labels:
        figure.legend(
            labels.values(), labels.keys(), loc="outside upper left", ncols=6, frameon=False, fontsize=8, labelcolor=INK
        )
    return figure


def _name(row: RunRecord, rows: Sequence[RunRecord]) -> str:
    """A row's label, with its seed where several rows share the label."""
    shared = sum(other.label == row.label for other in rows) > 1
    return f"{row.label}, seed {row.seed}" if shared else row.label


def _cycle(colours: Sequence[str], count: int) -> list[str]:
    return [colours[place % len(colours)] for place in range(count)]
