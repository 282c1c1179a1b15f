"""Plots of the quantities of a dataset: one point for each case, one row for each site."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from data_prep.fingerprint.measuring import Case, Quantity, known
from data_prep.fingerprint.outliers import Outlier
from reporting.plots import COLOURS, INK, styled

PANEL_WIDTH = 3.5  # inches
MARK_COLOUR = "#C1121F"


def site_colours(sites: Sequence[str]) -> dict[str, str]:
    """A colour for each site; with more sites than colours, the colours repeat."""
    return {site: COLOURS[place % len(COLOURS)] for place, site in enumerate(sites)}


def spread_plots(
    sites: Mapping[str, Sequence[Case]], quantities: Sequence[Quantity], outliers: Sequence[Outlier]
) -> Figure:
    """One panel for each quantity: a point for each case, a bar at the median of each site, a ring around outliers."""
    figure = Figure(figsize=(PANEL_WIDTH * len(quantities), 0.26 * len(sites) + 0.9), layout="constrained")
    panels = figure.subplots(1, len(quantities), squeeze=False, sharey=True)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        _draw(axes, sites, quantity, {outlier.case for outlier in outliers if outlier.quantity == quantity})
    panels[0].set_yticks(range(len(sites)), sites, parse_math=False)
    panels[0].set_ylim(len(sites) - 0.5, -0.5)
    return figure


def _draw(axes: Axes, sites: Mapping[str, Sequence[Case]], quantity: Quantity, marked: set[str]) -> None:
    styled(axes, "", "")
    axes.set_title(quantity.title, fontsize=9, loc="left", color=INK, fontweight="bold")
    values = known([case for cases in sites.values() for case in cases], quantity)
    if quantity.skewed and values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    random = np.random.default_rng(0)
    for place, (site, colour) in enumerate(site_colours(list(sites)).items()):
        cases = [case for case in sites[site] if case.values[quantity.key] is not None]
        if not cases:
            continue
        x = np.array([case.values[quantity.key] for case in cases])
        y = place + random.uniform(-0.22, 0.22, len(cases))
        axes.scatter(x, y, s=11, color=colour, alpha=0.6, linewidths=0, zorder=3)
        axes.plot([np.median(x)] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.6, zorder=2)
        rings = [case.name in marked for case in cases]
        axes.scatter(x[rings], y[rings], s=48, facecolors="none", edgecolors=MARK_COLOUR, linewidths=1.3, zorder=4)
    axes.margins(x=0.08)
