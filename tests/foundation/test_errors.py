import errno
import os
import pickle
import sys
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from custom_components.foundation.errors import InputError, NotFiniteError, ParityError, WriteError


def shown_for(error: Exception, capsys) -> str:
    try:
        raise error
    except Exception as raised:
        sys.excepthook(type(raised), raised, raised.__traceback__)
    return capsys.readouterr().err


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_the_line_at_the_root_is_shown_alone(capsys, link):
    wrapper = RuntimeError("Failed to instantiate component")
    middle = RuntimeError("again")
    setattr(wrapper, link, middle)
    setattr(middle, link, InputError("split.json: no such split"))
    assert shown_for(wrapper, capsys) == "error: split.json: no such split\n"


def test_a_fault_of_the_program_keeps_its_traceback(capsys):
    shown = shown_for(RuntimeError("a bug"), capsys)
    assert shown.startswith("Traceback")
    assert "RuntimeError: a bug" in shown


def test_an_error_has_its_parts_and_comes_whole_through_a_pickle():
    error = WriteError("cannot be written", Path("/a/b"), "free some space")
    again = pickle.loads(pickle.dumps(error))
    assert (again.where, again.what, again.advice) == ("/a/b", "cannot be written", "free some space")
    assert str(again) == str(error) == "/a/b: cannot be written; free some space"
    assert str(InputError("split.json: no such split")) == "split.json: no such split"


@pytest.mark.parametrize("kind", [InputError, WriteError, NotFiniteError, ParityError])
def test_every_kind_is_one_line_and_none_is_a_programmers(capsys, kind):
    assert shown_for_cause(kind("spoilt", "file"), capsys) == "error: file: spoilt\n"
    assert not issubclass(kind, ValueError | OSError)


class Faulty:
    """A dataset that cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        raise self.error


def shown_for_cause(error: Exception, capsys) -> str:
    """The line that is shown for an error, after MONAI has wrapped it as it wraps errors of a config's component."""
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("Failed to instantiate") from cause
    except RuntimeError as wrapper:
        return shown_for(wrapper, capsys)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/log"), "/full/log: No space left on device"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "a file cannot be read or written: No space left on device"),
        (OSError("12 requested and 3 written"), "a file cannot be read or written: 12 requested and 3 written"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x"), "x: Permission denied"),
        (MemoryError(), "there is not enough memory; use a smaller --batch_size, or a smaller --image_size"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "there is not enough memory; use a smaller --batch_size, or a smaller --image_size",
        ),
    ],
)
def test_what_the_machine_lacks_is_one_line(capsys, error, line):
    assert shown_for_cause(error, capsys) == f"error: {line}\n"


@pytest.mark.parametrize(
    "words",
    [
        "unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)",
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that …",
    ],
)
def test_little_shared_memory_is_told_with_the_way_on(capsys, words):
    assert "/dev/shm has; use --num_workers 0, or make" in shown_for_cause(RuntimeError(words), capsys)


def test_no_room_for_a_semaphore_is_little_shared_memory(capsys):
    module = {"__name__": "multiprocessing.synchronize"}
    exec("def lock(): raise OSError(28, 'No space left on device')", module)
    with pytest.raises(OSError, match=r"\A\[Errno 28\] No space left") as caught:
        module["lock"]()
    assert "/dev/shm has; use --num_workers 0, or make" in shown_for(caught.value, capsys)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("case 3: damaged"), "case 3: damaged"),
        (OSError("3 read"), "a file cannot be read or written: 3 read"),
    ],
)
def test_the_line_alone_comes_from_a_process_that_loads_data(capsys, error, line):
    with pytest.raises(type(error)) as caught:
        next(iter(DataLoader(Faulty(error), num_workers=1)))
    assert shown_for(caught.value, capsys) == f"error: {line}\n"


def test_an_error_of_the_system_that_was_dealt_with_hides_no_fault_of_the_program(capsys):
    fault = KeyError("a bug")
    fault.__context__ = FileNotFoundError(errno.ENOENT, "no such file", "x")
    assert "KeyError: 'a bug'" in shown_for(fault, capsys)
