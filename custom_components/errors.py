"""One line instead of a traceback for what a user can cause and mend."""

import sys
from types import TracebackType


class InputError(ValueError):
    """A fault of the input. The message says what is wrong, in which file or key, and what to do."""


def _cause(error: BaseException | None) -> InputError | None:
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """MONAI wraps what a config's component raises in RuntimeErrors; the user is shown the line at their root."""
    fault = _cause(error)
    if fault is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        print(f"error: {fault}", file=sys.stderr)


def report_input_errors_in_one_line() -> None:
    """From now on an uncaught :class:`InputError` ends the program with its message alone (exit code 1)."""
    sys.excepthook = _excepthook
