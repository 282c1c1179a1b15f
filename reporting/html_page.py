"""A report as one HTML file that loads no other file.

``templates/report.html.jinja`` holds the markup, ``templates/report.css`` the style and ``templates/report.js`` the
sorting of tables. The page is complete without JavaScript. Jinja escapes every text.
"""

import base64
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from reporting.blocks import Block, Section
from reporting.plots import png

CSS_PIXELS_PER_INCH = 96  # CSS defines this; it gives the letters of a picture the size in which they were drawn


def html_page(title: str, summary: str, sections: Sequence[Section], sortable: bool = False) -> str:
    """A report as HTML that holds its pictures.

    Args:
        title: title of the report.
        summary: the line below the title.
        sections: the parts of the report, in their order.
        sortable: whether a reader can sort the tables; the page then holds a script.
    """
    template = _environment().get_template("report.html.jinja")
    return template.render(title=title, summary=summary, sections=sections, sortable=sortable)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"class_name": _class_name, "base64_png": _base64_png, "css_width": _css_width}
    return environment


def _class_name(block: Block) -> str:
    return type(block).__name__


def _base64_png(figure: Figure) -> str:
    return base64.b64encode(png(figure)).decode()


def _css_width(figure: Figure) -> int:
    return round(CSS_PIXELS_PER_INCH * figure.get_figwidth())
