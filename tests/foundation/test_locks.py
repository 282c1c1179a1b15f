"""A lock keeps out other processes, and ends with the process that holds it."""

import subprocess
import sys

import pytest

from custom_components.foundation.errors import InputError, WriteError
from custom_components.foundation.locks import locked

HOLD = """
import sys, time
from pathlib import Path
from custom_components.foundation.locks import locked
with locked(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_until_it_ends_in_whatever_way(tmp_path, repository):
    file = tmp_path / "made" / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, file], cwd=repository, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=r"\Aat work\Z"), locked(file, "at work"):
            pass
        holder.kill()
    with locked(file, "at work"):
        pass
    with locked(file, "at work"):  # the former holder has released the lock
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"\A.*/file: cannot be written \(.*\)\Z"), locked(tmp_path / "file" / "x", ""):
        pass
