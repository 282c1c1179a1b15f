"""A command line keeps every option: the run gets the values that the caller gave."""

import ast
import doctest
import json
from pathlib import Path

import pytest

from custom_components.bundle import run_command, running
from custom_components.forked_python import run_forked
from custom_components.options import as_meant, typed_options

NAMES = ["north", "it's #2", 'O"Brien', "a, b", "[x]", "C:\\new", "$HOME", "-v", "@seed", "Zürich", "two\nlines", "7"]


def test_the_example_of_the_docstring():
    assert doctest.testmod(running).failed == 0


def test_names_of_any_letters_are_read_as_they_were_given():
    words = run_command("training", "train.json", {"teachers": NAMES, "student": Path("/data/-x y")})
    typed = typed_options(words[3:])
    assert as_meant("teachers", None, typed) == NAMES
    assert as_meant("student", None, typed) == "/data/-x y"


@pytest.mark.parametrize("value", NAMES)
def test_one_name_is_one_word(value):
    typed = typed_options(run_command("training", "train.json", {"run_name": value, "student": "s"})[3:])
    assert typed == {"config_file": "train.json", "run_name": value, "student": "s"}


def test_what_a_run_gets_of_it(tmp_path):
    """MONAI's own command line reads the command."""
    given = {
        "student": "-7",
        "teachers": ["it's #2", "1e3"],
        "seed": -3,
        "rates": [0.5, True, None],
        "steps": ["print('a')", "b"],
        "resume": False,
    }
    config = dict.fromkeys(given)
    shown = ", ".join(f"'{key}': @{key}" for key in given)
    config |= {"imports": ["$import custom_components"], "run": [f"$print({{{shown}}})"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = run_command("run", tmp_path / "config.json", given)
    done = run_forked(command, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    assert ast.literal_eval(line) == given
