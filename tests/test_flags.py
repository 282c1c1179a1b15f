import pytest

from custom_components import flag
from custom_components.errors import InputError


@pytest.mark.parametrize("value", [True, "True", "true", 1, "1", "yes", "YES"])
def test_on(value):
    assert flag("resume", value) is True


@pytest.mark.parametrize("value", [False, "False", "false", 0, "0", "no"])
def test_off(value):
    assert flag("resume", value) is False


@pytest.mark.parametrize("value", ["on please", "", None, 2, "ture"])
def test_what_may_mean_either_is_refused(value):
    with pytest.raises(InputError, match=f"--resume {value}: neither True nor False"):
        flag("resume", value)
