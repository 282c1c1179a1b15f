"""A forked command has the same exit code and the same output as a command in a new interpreter."""

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


def test_a_signal_ends_a_command_and_an_ended_command_is_left_alone(tmp_path):
    (tmp_path / "command.py").write_text("import time; time.sleep(60)")
    with (tmp_path / "output").open("w") as output:
        line = [sys.executable, "-m", "command"]
        command = ForkedPython(line, stdout=output, cwd=tmp_path, env=os.environ)
    try:
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=30) == -signal.SIGTERM
    finally:
        command.kill()
    command.send_signal(signal.SIGTERM)
