"""Names of files as text: they are bytes, of which a terminal, a font or a library takes only some."""

import io
import os
import sys


def show_any_text() -> None:
    """From now on stdout and stderr write what they cannot encode as ``\\xe9`` or ``\\udce9``, and never raise for it.

    A name in Latin-1 on a UTF-8 terminal, or any umlaut on an ASCII one, would otherwise end a program after its work.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def as_text(name: str) -> str:
    """A name as Python has it from the system, made text that everything can show: bytes that are no UTF-8 are Latin-1.

    Python keeps such bytes as lone surrogates, which can be neither written nor drawn.
    """
    return name if is_text(name) else os.fsencode(name).decode("latin-1")


def is_text(name: str) -> bool:
    """Whether a name has no bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
