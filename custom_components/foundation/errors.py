"""Errors that a user can cause and mend; the user sees one line instead of a traceback."""

import sys
from types import TracebackType
from typing import Self

NO_SHARED_MEMORY = (
    "the workers that load the data need more shared memory than /dev/shm has; "
    "use --num_workers 0, or make /dev/shm larger (docker run --shm-size 2g)"
)
NO_MEMORY = "there is not enough memory; use a smaller --batch_size, or a smaller --image_size"
# torch raises RuntimeError for nearly everything; these words in its message say what the machine lacks.
LACKS = {
    "shared memory": NO_SHARED_MEMORY,
    "signal: Bus error": NO_SHARED_MEMORY,
    "signal: Killed": f"the system has killed a worker that loads the data: {NO_MEMORY}; or use --num_workers 0",
    "DefaultCPUAllocator: can't allocate memory": NO_MEMORY,
    "CUDA out of memory": NO_MEMORY,
    "PytorchStreamWriter failed": "a file of torch cannot be written: the disk is full, or the folder is read-only",
}


class OneLineError(Exception):
    """An error that ends the program with one line for the user: ``where: what (detail); advice``.

    Args:
        what: what is wrong; or the whole message, when nothing else is given.
        where: the file, folder or option.
        advice: what to do.
        detail: words of a library or of the file itself. They may hold a patient's name, which ``what`` and ``advice``
            must not hold when ``where`` is a file of a case.
    """

    def __init__(self, what: str, where: object = "", advice: str = "", detail: str = "") -> None:
        super().__init__(what, str(where), advice, detail)
        self.what, self.where, self.advice, self.detail = what, str(where), advice, detail

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        detail = f" ({self.detail})" if self.detail else ""
        advice = f"; {self.advice}" if self.advice else ""
        return where + self.what + detail + advice

    def at(self, where: object) -> Self:
        """The same error with its file, for a caller that knows the file when the raising function does not."""
        return type(self)(self.what, where, self.advice, self.detail)


class InputError(OneLineError):
    """A fault of the input, which a user can cause and mend."""


class WriteError(OneLineError):
    """A file that cannot be written, as on a full disk."""


class NotFiniteError(OneLineError):
    """A loss, or weights, with values that are NaN or infinite."""


class ParityError(OneLineError):
    """An exported network whose outputs differ from those of the bundle's network."""


def line_for(error: BaseException) -> str | None:
    """The line that a user sees for an error that ends the program; None for an error that only a programmer can mend.

    MONAI wraps an error of a config's component in several RuntimeErrors; this function takes the innermost error.
    """
    link: BaseException | None = error
    while link is not None and not isinstance(link, OneLineError):
        link = link.__cause__ or link.__context__
    if link is not None:
        return _of_worker(link)
    while isinstance(error, RuntimeError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RuntimeError):
        return next((line for words, line in LACKS.items() if words in str(error)), None)
    return None


def _of_worker(error: BaseException) -> str:
    """The error's message, without the traceback that a data-loading worker adds to it."""
    text = str(error)
    if not text.startswith(f"Caught {type(error).__name__} in DataLoader worker"):
        return text
    return text.strip().splitlines()[-1].partition(": ")[2]


def _of_system(error: OSError) -> str:
    if error.strerror is None:
        return f"a file cannot be read or written: {_of_worker(error)}"
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None and place.tb_frame.f_globals.get("__name__", "").startswith("multiprocessing."):
        return NO_SHARED_MEMORY
    return f"a file cannot be read or written: {error.strerror}"


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    line = line_for(error)
    if line is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        print(f"error: {line}", file=sys.stderr)


def report_input_errors_in_one_line() -> None:
    """Make every uncaught error that :func:`line_for` knows end the program with its line alone (exit code 1)."""
    sys.excepthook = _excepthook
