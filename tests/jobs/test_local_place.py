"""Jobs on this machine: their order, their devices and threads, and what is left of them after a kill."""

import os
import signal
import time

import psutil
import pytest

from custom_components.forked_python import ForkedPython
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json
from custom_components.jobs import State, run_jobs
from custom_components.jobs.job import read_attempts, read_submission, record_submission
from custom_components.jobs.local import LocalPlace
from custom_components.jobs.standing import identity, is_alive, standings


def wait_for(place, job, state, step=""):
    end = time.monotonic() + 60
    while (found := place.look([job])[0]).state != state or found.step < step:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def wait_until_it_prints(job):
    end = time.monotonic() + 60
    while "WORD=" not in job.steps[0].log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_steps_run_one_after_the_other_with_their_own_logs(job):
    one = job("one", [0, 0])
    (ended,) = run_jobs(LocalPlace(1), [one])
    assert (ended.state, ended.place, ended.step, ended.code) == (State.DONE, "local", "step1", 0)
    for step in one.steps:
        command, printed = step.log.read_text().splitlines()
        assert command.startswith("$ ")
        assert command.endswith(f"-m sleeper {one.folder / 'starts'} 0 0")
        assert printed.endswith("WORD=two words")
    (attempt,) = read_attempts(one.folder)
    assert attempt["started"] < attempt["ended"]


def test_a_step_that_fails_ends_its_job_and_cancels_the_others(job):
    bad, long = job("bad", [1, 0], codes=[4, 0]), job("long", [60])
    with pytest.raises(InputError, match=rf"\Abad: step0 failed: refused \(log: {bad.folder}/step0.log\)\Z"):
        run_jobs(LocalPlace(2), [bad, long])
    assert not bad.steps[1].log.exists()
    assert not is_alive(read_attempts(long.folder)[0])
    assert standings([bad.folder])[0].state == State.FAILED
    assert standings([long.folder])[0].state == State.LOST


def test_good_codes_of_a_job_are_no_failure(job):
    (ended,) = run_jobs(LocalPlace(1), [job("findings", [0], codes=[3], good_codes=(0, 3))])
    assert (ended.state, ended.code) == (State.DONE, 3)


def test_long_jobs_start_first_and_a_dependent_job_last(job):
    place = LocalPlace(1)
    jobs = [job("short", [0], seconds=1), job("long", [0], seconds=9)]
    merge = job("merge", [0], seconds=100)
    place.submit(jobs)
    place.submit([merge], after=jobs)
    assert [one.state for one in place.look([*jobs, merge])] == [State.WAITING, State.RUNNING, State.WAITING]
    for one in (*jobs, merge):
        wait_for(place, one, State.DONE)
    started = [read_attempts(one.folder)[0]["started"] for one in (jobs[1], jobs[0], merge)]
    assert started == sorted(started)


def test_each_job_gets_the_least_loaded_device_and_one_without_need_gets_none(job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    place = LocalPlace(4)
    jobs = [job(name, [1.5], uses_gpu=True) for name in "abc"] + [job("import", [0])]
    run_jobs(place, jobs)
    seen = [one.steps[0].log.read_text().split("CUDA_VISIBLE_DEVICES=")[1].split()[0] for one in jobs]
    assert seen == ["4", "GPU-7", "4", "4,GPU-7"]
    assert read_attempts(jobs[1].folder)[0]["gpu"] == "GPU-7"


def test_without_a_gpu_nothing_is_set(job, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("custom_components.jobs.devices.QUERY", ("no-such-program",))
    one = job("one", [0], uses_gpu=True)
    run_jobs(LocalPlace(1), [one])
    assert "CUDA_VISIBLE_DEVICES=None" in one.steps[0].log.read_text()


def test_jobs_side_by_side_share_the_cores_and_the_last_one_has_them_all(job, monkeypatch):
    monkeypatch.setattr("custom_components.jobs.local.usable_cores", lambda: 5)
    sent, send = [], ForkedPython.send_signal
    monkeypatch.setattr(ForkedPython, "send_signal", lambda one, number: (sent.append(number), send(one, number)))
    place = LocalPlace(3)
    jobs = [job(name, [seconds]) for name, seconds in (("a", 60), ("b", 60), ("c", 60))]
    granted = []
    for number in range(3):
        place.submit([jobs[number]])
        place.look(jobs)
        granted.append((jobs[0].folder / "threads.txt").read_text())
    place.cancel(jobs[:2])
    place.look(jobs)
    granted.append((jobs[2].folder / "threads.txt").read_text())
    place.cancel(jobs)
    assert granted == ["5", "2", "1", "5"]
    assert set(sent) == {signal.SIGINT}  # jobs that have just started end by themselves too, and are not killed


def test_a_job_outlives_its_program_and_is_found_by_the_next(job):
    one = job("one", [60])
    first = LocalPlace(1)
    first.submit([one])
    wait_for(first, one, State.RUNNING, step="step0")
    # The next program knows the folder alone.
    second = LocalPlace(1)
    assert second.look([one])[0].state == State.RUNNING
    other = job("other", [0])
    second.submit([other])
    assert second.look([one, other])[1].state == State.WAITING  # the found job counts
    wait_until_it_prints(one)
    second.cancel([one])
    assert "interrupted" in one.steps[0].log.read_text()
    wait_for(second, other, State.DONE)


@pytest.mark.parametrize("victim", ["job", "step"])
def test_a_killed_job_is_lost_and_leaves_no_step_behind(job, victim):
    one = job("one", [60])
    place = LocalPlace(1)
    place.submit([one])
    wait_for(place, one, State.RUNNING, step="step0")
    wait_until_it_prints(one)
    process = psutil.Process(read_attempts(one.folder)[0]["pid"])
    (step,) = process.children()
    (process if victim == "job" else step).send_signal(signal.SIGKILL)
    found = wait_for(place, one, State.LOST)
    assert found.code == (None if victim == "job" else -9)
    psutil.wait_procs([step], timeout=10)
    assert not step.is_running() or step.status() == psutil.STATUS_ZOMBIE


def test_a_job_that_ends_during_a_look_is_done_and_not_lost(job, monkeypatch):
    one = job("one", [0])
    record_submission(one, "local", "77aa01bc", owner=identity())
    at_work = {"token": "77aa01bc", "gpu": "", "id": "", "step": "step0", **identity()}
    write_json(one.folder / "attempts.json", {"attempts": [at_work]})

    def ends(process):
        write_json(one.folder / "attempts.json", {"attempts": [at_work | {"ended": 1, "code": 0}]})
        return False

    monkeypatch.setattr("custom_components.jobs.standing.is_alive", ends)
    assert LocalPlace(1).look([one])[0].state == State.DONE


def test_a_number_that_another_process_has_now_is_not_taken_for_the_job(job):
    one = job("one", [0])
    place = LocalPlace(1)
    run_jobs(place, [one])
    attempt = read_attempts(one.folder)[0]
    del attempt["ended"], attempt["code"]
    attempt["pid"] = os.getpid()
    write_json(one.folder / "attempts.json", {"attempts": [attempt]})
    assert standings([one.folder])[0].state == State.LOST
    assert read_submission(one.folder)["place"] == "local"


def test_jobs_that_have_ended_well_are_not_run_again(job):
    jobs = [job("a", [0]), job("b", [0])]
    run_jobs(LocalPlace(2), jobs[:1])
    run_jobs(LocalPlace(2), jobs)
    assert [len(read_attempts(one.folder)) for one in jobs] == [1, 1]
