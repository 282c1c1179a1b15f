import argparse
import itertools
import os
import signal
import time

import pytest

from data_prep.parallel import AHEAD, Late, add_arguments, in_processes


def square_or_die(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def fail(number):
    raise ValueError(f"no {number}")


def time_out(number):
    raise TimeoutError(f"of the network, for {number}")


def pid_of(_):
    return os.getpid()


def wait(seconds):
    time.sleep(seconds)
    return "waited"


def square_or_hang(number):
    if number == 1:
        while True:  # only a kill ends this loop, as with a loop in C
            pass
    if number == 2:
        time.sleep(600)
    return number**2


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_every_item_comes_back_in_order(jobs):
    numbers = [1, 2, 3, 4, 5]
    assert list(in_processes(abs, iter(numbers), jobs)) == [(number, number) for number in numbers]


def test_an_item_that_ends_its_process_ends_no_other():
    results = dict(in_processes(square_or_die, range(12), 2))
    assert results == {number: None if number == 7 else number**2 for number in range(12)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_item_that_hangs_stops_no_other(jobs):
    began = time.monotonic()
    results = dict(in_processes(square_or_hang, range(6), jobs, limit_s=1))
    assert results == {number: Late.LATE if number in (1, 2) else number**2 for number in range(6)}
    assert time.monotonic() - began < 60


def test_the_time_is_that_of_one_item_not_of_its_wait():
    assert [result for _, result in in_processes(wait, [0.4] * 4, 1, limit_s=1.5)] == ["waited"] * 4


def test_processes_that_all_die_while_they_wait_are_replaced():
    results = in_processes(pid_of, itertools.count(), 1)
    _, first = next(results)
    os.kill(first, signal.SIGKILL)
    time.sleep(0.5)
    pids = [pid for _, pid in itertools.islice(results, 3 * AHEAD)]
    assert pids[-1] not in (None, first)
    results.close()


def test_items_are_taken_only_as_they_are_needed():
    taken = []
    results = in_processes(abs, (taken.append(number) or number for number in range(100)), 2)
    next(results)
    assert len(taken) <= 2 * AHEAD
    results.close()


def test_an_error_of_the_function_is_the_callers():
    with pytest.raises(ValueError, match=r"\Ano 1\Z"):
        list(in_processes(fail, [1], 2))
    with pytest.raises(TimeoutError, match=r"\Aof the network, for 1"):
        list(in_processes(time_out, [1], 1, limit_s=60))


@pytest.mark.parametrize("arguments", [["--time-limit", "0"], ["--time-limit", "nan"], ["--jobs", "two"]])
def test_what_is_no_number_is_wrong_usage(arguments, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit, match=r"\A2\Z"):
        parser.parse_args(arguments)
    assert "is no number of" in capsys.readouterr().err
