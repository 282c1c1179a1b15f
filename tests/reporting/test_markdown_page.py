from matplotlib.figure import Figure

from reporting.blocks import Conclusion, Facts, Folded, Gallery, Heading, Headline, Note, Picture, Section
from reporting.markdown_page import markdown_page
from reporting.table import Line, Table

PICTURE = Picture(Figure(), "a picture")


def test_a_page_holds_every_block_but_pictures():
    sections = [
        Section("Result", [Conclusion("Good."), PICTURE, Table(["model", "n"], [Line(["A", "1"])]), Note("Read it.")]),
        Section("Pictures", [Heading("One"), PICTURE, Gallery([PICTURE]), Note("Yellow.")]),
        Section("Answers", [Headline("Yes.", "Surely."), Gallery([PICTURE]), Folded("More", [PICTURE, Note("Blue.")])]),
        Section("Settings", [Heading("All"), Facts({"image_size": 96, "sites": ["A", "B"]})]),
    ]
    assert markdown_page("Title", "summary", sections) == (
        "# Title\n\nsummary\n\n"
        "## Result\n\n**Good.**\n\n| model | n |\n| --- | ---: |\n| A | 1 |\n\nRead it.\n\n"
        "## Answers\n\n**Yes.** Surely.\n\n### More\n\nBlue.\n\n"
        "## Settings\n\n### All\n\n- image size: 96\n- sites: A, B\n"
    )
