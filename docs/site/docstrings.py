"""The docstrings as Markdown: an example gets a fence, and a role of Sphinx becomes code."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n\n(?!>>> )|\Z)", re.DOTALL | re.MULTILINE)
ROLE = re.compile(r":\w+:`~?([^`]+)`")


class AsMarkdown(griffe.Extension):
    """Prepares each docstring before mkdocstrings renders it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """A docstring with Markdown in place of Sphinx's roles.

    >>> print(as_markdown("See :class:`int`.\\n\\n>>> 1 + 1\\n2"))
    See `int`.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    """
    return EXAMPLE.sub("```pycon\n\\g<0>\n```", ROLE.sub(r"`\1`", docstring))
