import pytest

from integrations.flare.simulation import FAULT

# Lines that FLARE 2.7.3 writes into its log, and the reason in each line.
LINES = [
    ("custom_components.foundation.errors.InputError: a.nii.gz: damaged\n", "a.nii.gz: damaged"),
    (
        "\x1b[31m- ERROR - Exception in model controller run: InputError: no answer from north\x1b[0m\n",
        "no answer from north",
    ),
    ("\x1b[31m- ERROR - Exception in model controller run: KeyError: 'epoch'\x1b[0m\n", "KeyError: 'epoch'"),
]


@pytest.mark.parametrize(("line", "reason"), LINES)
def test_the_reason_is_found_in_the_log(line, reason):
    assert FAULT.search("INFO - epoch 1/1: loss 0.4\n" + line)[1] == reason
    assert not FAULT.search("INFO - epoch 1/1: loss 0.4\n")
