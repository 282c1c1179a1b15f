import sys

import pytest

from custom_components.errors import InputError


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
