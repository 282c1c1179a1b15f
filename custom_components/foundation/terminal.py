"""File names as text. A file name may hold any bytes, but terminals, fonts and libraries accept only some of them."""

import io
import os
import sys


def show_any_text() -> None:
    """Make stdout and stderr write a character that they cannot encode as ``\\xe9`` or ``\\udce9``, without an error.

    Otherwise a name in Latin-1 on a UTF-8 terminal, or an umlaut on an ASCII terminal, would end a program with an
    error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def as_text(name: str) -> str:
    """Turn a file name of the system into text that every program can show: bytes that are not UTF-8 are read as
    Latin-1.

    Python keeps such bytes as lone surrogates, which cannot be written or drawn.

    >>> as_text("M\\udcfcller"), as_text("Müller")
    ('Müller', 'Müller')
    """
    return name if is_text(name) else os.fsencode(name).decode("latin-1")


def is_text(name: str) -> bool:
    """Whether all bytes of a name are UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
