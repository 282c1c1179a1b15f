"""A report as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from reporting.content import Block, Facts, Finding, Heading, Note, Picture, Section
from reporting.plots import png
from reporting.table import Table

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def html_page(title: str, summary: str, sections: Sequence[Section]) -> str:
    """A report as HTML, its pictures within; ``summary`` is the line below the title."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
</header>
{"".join(map(_section, sections))}
</body>
</html>
"""


def _section(section: Section) -> str:
    return f"<section><h2>{escape(section.title)}</h2>{''.join(map(_block, section.blocks))}</section>\n"


def _block(block: Block) -> str:
    match block:
        case Finding(text):
            return f'<p class="finding">{escape(text)}</p>'
        case Note(text):
            return f'<p class="note">{escape(text)}</p>'
        case Heading(text):
            return f"<h3>{escape(text)}</h3>"
        case Picture():
            return _picture(block)
        case Facts(facts):
            lines = (
                f"<dt>{escape(_words(name))}</dt><dd>{escape(_words(value))}</dd>" for name, value in facts.items()
            )
            return f"<dl>{''.join(lines)}</dl>"
        case Table():
            return f'<div class="scroll">{block.as_html()}</div>'


def _picture(picture: Picture) -> str:
    data = base64.b64encode(png(picture.figure)).decode()
    width = round(96 * picture.figure.get_figwidth())  # CSS counts 96 pixels to the inch: letters keep their size
    return f'<img alt="{escape(picture.description)}" width="{width}" src="data:image/png;base64,{data}">'


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).replace("_", " ")
