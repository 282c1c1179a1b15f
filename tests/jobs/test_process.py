"""The process of a job, in the process of the test."""

import os
import signal

import pytest

from custom_components.jobs import State
from custom_components.jobs.job import read_attempts, record_submission, typed
from custom_components.jobs.process import STOPS, run_job
from custom_components.jobs.standing import identity, standings


@pytest.fixture
def own_handlers():
    handlers = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_just_before_a_step_starts_is_not_lost(job, monkeypatch, own_handlers, stop):
    one = job("one", [0, 0])
    record_submission(one, "local", "77aa01bc", owner=identity())

    def stopped(command):
        os.kill(os.getpid(), stop)
        return typed(command)

    monkeypatch.setattr("custom_components.jobs.process.typed", stopped)
    run_job(one.folder)
    assert not (one.folder / "starts").exists()
    assert [end["code"] for end in read_attempts(one.folder)] == [None]
    assert standings([one.folder])[0].state == State.LOST
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(STOPS)
