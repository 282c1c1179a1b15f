"""Output that no name of a file can end: names are bytes, and a terminal shows only some of them."""

import io
import sys


def show_any_text() -> None:
    """From now on stdout and stderr write what they cannot encode as ``\\xe9`` or ``\\udce9``, and never raise for it.

    A name in Latin-1 on a UTF-8 terminal, or any umlaut on an ASCII one, would otherwise end a program after its work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
