"""A forked command has the same exit code and the same output as a command in a new interpreter."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from custom_components.forked_python import ForkedPython, run_forked

COMMAND = """
import os, sys
print(__name__, sys.argv[1:], os.getcwd(), sys.path[0], os.environ["MINE"])
print("a warning", file=sys.stderr)
{ending}
"""


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "sys.exit('error: refused')", "raise ValueError('spoilt')"])
def test_output_and_exit_code_are_those_of_the_command(tmp_path, ending):
    (tmp_path / "command.py").write_text(COMMAND.format(ending=ending))
    command = [sys.executable, "-m", "command", "two words", "--option=1"]
    environment = {**os.environ, "MINE": "set"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    own = subprocess.run(command, cwd=tmp_path, env=environment, **streams)
    fork = run_forked(command, tmp_path, environment)
    assert fork.returncode == own.returncode
    # A traceback also names the lines of Python that started the command, which are others.
    said, expected = ([line for line in done.stdout.splitlines() if not line.startswith(" ")] for done in (fork, own))
    assert said == expected


def test_a_lock_is_held_as_long_as_the_command_runs(tmp_path):
    (tmp_path / "command.py").write_text("import time; time.sleep(60)")
    with (tmp_path / "lock").open("w") as lock, (tmp_path / "output").open("w") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = [sys.executable, "-m", "command"]
        command = ForkedPython(line, stdout=output, cwd=tmp_path, env=os.environ, pass_fds=[lock.fileno()])
    try:
        with (tmp_path / "lock").open("w") as again, pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=30) == -signal.SIGTERM
        with (tmp_path / "lock").open("w") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        command.kill()
    command.send_signal(signal.SIGTERM)  # an ended command is left alone
