import os
import signal

import pytest

from data_prep.parallel import AHEAD, in_processes


def square_or_die(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def fail(number):
    raise ValueError(f"no {number}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_back_in_order(jobs):
    numbers = [1, 2, 3, 4, 5]
    assert list(in_processes(abs, iter(numbers), jobs)) == [(number, number) for number in numbers]


def test_an_item_that_ends_its_process_ends_no_other():
    results = dict(in_processes(square_or_die, range(12), 2))
    assert results == {number: None if number == 7 else number**2 for number in range(12)}


def test_items_are_taken_only_as_they_are_needed():
    taken = []
    results = in_processes(abs, (taken.append(number) or number for number in range(100)), 2)
    next(results)
    assert len(taken) <= 2 * AHEAD
    results.close()


def test_an_error_of_the_function_is_the_callers():
    with pytest.raises(ValueError, match="no 1"):
        list(in_processes(fail, [1], 2))
