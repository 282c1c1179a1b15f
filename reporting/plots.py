"""The style that all plots share: colours, axes, and the resolution of the PNG."""

import io
import warnings

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The palette of Okabe and Ito, which colour-blind readers can tell apart; Tol's wine replaces its pale yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
INK, GRID = "#334155", "#E5E9EF"


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes, at a resolution for screens with many pixels."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font lacks, such as Chinese ones. The page has them as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="png", dpi=160, facecolor="white")
    return stream.getvalue()


def styled(axes: Axes, xlabel: str, ylabel: str) -> Axes:
    """Gives the axes a thin grey grid and labels; returns the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#B6C0CC")
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel(xlabel, fontsize=8, color=INK)
    axes.set_ylabel(ylabel, fontsize=8, color=INK)
    return axes


def as_written(name: str) -> str:
    """A name as text for matplotlib, which would read a name with two ``$`` as a formula."""
    return name.replace("$", r"\$")
