import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reporting.plots import as_written, png


def drawn(text, **options):
    """The pixels of a small figure with a text as its title."""
    figure = Figure(figsize=(3, 1))
    figure.text(0.1, 0.5, text, **options)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("name", ["HK", "a$b", "$x$", r"$\nonsense$", r"a\$b"])
def test_a_name_is_drawn_letter_by_letter(name):
    assert np.array_equal(drawn(as_written(name)), drawn(name, parse_math=False))
    assert drawn(as_written(name), wrap=True).min() == 0


def test_letters_that_the_font_lacks_are_no_warning():
    figure = Figure(figsize=(3, 1))
    figure.text(0.1, 0.5, "前列腺")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png(figure).startswith(b"\x89PNG")
