"""The choice of a place, and the states of jobs that a cluster's queue tells."""

import argparse
import contextlib
import sys
import types

import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json
from custom_components.jobs import Standing, State, add_place_options, place_of, run_jobs
from custom_components.jobs.job import last_words, record_submission
from custom_components.jobs.local import LocalPlace
from custom_components.jobs.slurm import SlurmPlace
from custom_components.jobs.standing import standings


def chosen(*words: str):
    parser = argparse.ArgumentParser()
    add_place_options(parser, work="trainings")
    return place_of(parser.parse_args(words))


def test_this_machine_is_the_default():
    place = chosen()
    assert isinstance(place, LocalPlace)
    assert place.limit == 1
    assert chosen("--on", "local", "--jobs", "7").limit == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--jobs", "0"], "--jobs 0: give at least 1"),
        (["--jobs", "-3", "--on", "slurm"], "--jobs -3: give at least 1"),
        (["--cluster", "c.yaml"], "--cluster is for --on slurm; add it, or leave --cluster out"),
        (["--on", "slurm", "--cluster", "none.yaml"], "none.yaml: no such file; give"),
    ],
)
def test_options_that_do_not_fit_are_told(words, told):
    with pytest.raises(InputError, match=rf"\A{told}"):
        chosen(*words)


def test_slurm_without_submitit_or_away_from_a_cluster_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"\A--on slurm needs submitit: pip install -r integrations/slurm/require"):
        chosen("--on", "slurm")
    monkeypatch.setitem(sys.modules, "submitit", types.ModuleType("submitit"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"\A--on slurm: there is no sbatch here; start this command on a "):
        chosen("--on", "slurm")


class BrokenPlace(LocalPlace):
    """A place that is interrupted at its first look, and knows which jobs it has to cancel."""

    cancelled = ()

    def look(self, jobs):
        raise KeyboardInterrupt

    def cancel(self, jobs):
        self.cancelled = jobs


def test_an_interruption_of_the_first_look_cancels_the_jobs(job):
    place, jobs = BrokenPlace(1), [job("a", [0])]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(place, jobs)
    assert place.cancelled == jobs


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """``queue(lines)`` makes ``squeue`` print these lines; without lines it fails as without a controller."""

    def say(*lines: str) -> None:
        text = "\n".join(lines)
        script = tmp_path / "bin" / "squeue"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n" if lines else "#!/bin/sh\nexit 1\n")
        script.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return say


@pytest.fixture
def submitted(job):
    """Two jobs of an array, as they are after the submission."""
    jobs = [job("a", [0]), job("b", [0])]
    for index, one in enumerate(jobs):
        record_submission(one, "slurm", "77aa01bc", job_name="a.77aa01bc", index=index)
    return jobs


def attempt(one, **details):
    start = {"token": "77aa01bc", "id": "9_0", "step": "step0"}
    write_json(one.folder / "attempts.json", {"attempts": [start | details]})


def test_jobs_are_found_in_the_queue_by_the_name_of_their_submission(submitted, queue):
    folders = [one.folder for one in submitted]
    queue("8|other|RUNNING|None", "9_0|a.77aa01bc|RUNNING|None", "9_1|a.77aa01bc|PENDING|Resources")
    attempt(submitted[0])
    assert standings(folders) == [
        Standing(State.RUNNING, "slurm", "9_0", "step0"),
        Standing(State.WAITING, "slurm", "9_1", reason="Resources"),
    ]
    queue("8|other|RUNNING|None")
    assert [one.state for one in standings(folders)] == [State.LOST, State.LOST]
    queue()
    assert [(one.state, one.reason) for one in standings(folders)] == [(State.WAITING, "Slurm does not answer")] * 2


def test_a_job_that_leaves_the_queue_during_a_look_is_done_and_not_lost(submitted, queue, tmp_path):
    attempt(submitted[0], ended=1, code=0)
    (submitted[0].folder / "attempts.json").rename(tmp_path / "ended.json")
    attempt(submitted[0])
    queue("8|other|RUNNING|None")
    with (tmp_path / "bin" / "squeue").open("a") as script:
        script.write(f"mv {tmp_path / 'ended.json'} {submitted[0].folder / 'attempts.json'}\n")
    assert standings([submitted[0].folder])[0].state == State.DONE


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ({"ended": 1, "code": 0}, State.DONE),
        ({"ended": 1, "code": 2}, State.FAILED),
        ({"ended": 1, "code": -9}, State.LOST),
    ],
)
def test_the_files_of_a_job_tell_how_it_ended_while_slurm_still_lists_it(submitted, queue, end, state):
    queue("9_0|a.77aa01bc|COMPLETING|None")
    attempt(submitted[0], **end)
    assert standings([submitted[0].folder])[0].state == state


def test_an_interrupted_job_goes_on_if_slurm_has_put_it_back_into_its_queue(submitted, queue):
    one = submitted[0]
    attempt(one, ended=1, code=None)
    queue("9_0|a.77aa01bc|COMPLETING|None")
    assert standings([one.folder]) == [Standing(State.RUNNING, "slurm", "9_0", "step0")]
    queue("9_0|a.77aa01bc|PENDING|BeginTime")
    assert standings([one.folder]) == [Standing(State.WAITING, "slurm", "9_0", "step0", reason="BeginTime")]
    queue()
    assert standings([one.folder])[0].reason == "Slurm does not answer"
    queue("8|other|RUNNING|None")  # scancel removes it
    assert standings([one.folder]) == [Standing(State.LOST, "slurm", step="step0")]


def test_an_attempt_of_a_former_submission_does_not_count(submitted, queue):
    queue("9_0|a.77aa01bc|PENDING|Priority")
    write_json(submitted[0].folder / "attempts.json", {"attempts": [{"token": "former", "ended": 1, "code": 0}]})
    assert standings([submitted[0].folder]) == [Standing(State.WAITING, "slurm", "9_0", reason="Priority")]


def test_a_job_that_was_not_submitted_has_no_state(tmp_path):
    assert standings([tmp_path]) == [Standing(State.UNKNOWN)]


def test_a_job_that_could_not_start_names_the_log_of_the_cluster(submitted):
    log = submitted[0].folder / "slurm" / "9_0_0_log.out"
    log.parent.mkdir()
    log.write_text("module: command not found\n")
    told = last_words(submitted[0].folder, Standing(State.LOST, "slurm"))
    assert told == f"its start failed: it was killed (log: {log})"


@pytest.fixture
def cluster(monkeypatch):
    """A place on a cluster whose submitit only keeps the parameters of the scripts, in ``cluster.scripts``."""
    scripts = []

    class Executor:
        def __init__(self, folder, max_num_timeout):
            self.folder = folder

        def update_parameters(self, **parameters):
            scripts.append(parameters)

        def submit_array(self, functions):
            pass

    def nothing(**variables):
        return contextlib.nullcontext()

    utils = {"FailedJobError": OSError, "FailedSubmissionError": OSError, "environment_variables": nothing}
    for name, content in {
        "submitit": {"SlurmExecutor": Executor},
        "submitit.core": {},
        "submitit.core.utils": utils,
        "submitit.helpers": {"clean_env": nothing},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("custom_components.jobs.slurm.shutil.which", lambda command: command)
    place = chosen("--on", "slurm")
    place.scripts = scripts
    return place


def test_a_job_after_others_waits_for_an_answer_of_the_queue_that_tells_their_ids(
    cluster, submitted, queue, job, tmp_path
):
    merge = job("merge", [0])
    cluster.submit([merge], after=submitted)
    queue("9_0|a.77aa01bc|RUNNING|None", "9_1|a.77aa01bc|PENDING|Resources")
    script = tmp_path / "bin" / "squeue"
    script.write_text(script.read_text() + f"printf '#!/bin/sh\\nexit 1\\n' > {script}\n")  # it answers once
    cluster.look([*submitted, merge])
    assert cluster.scripts == []
    assert not (merge.folder / "job.json").exists()
    queue("9_0|a.77aa01bc|RUNNING|None", "9_1|a.77aa01bc|PENDING|Resources")
    cluster.look([*submitted, merge])
    assert [one["dependency"] for one in cluster.scripts] == ["afterany:9_0:9_1"]


def test_a_job_that_has_left_the_queue_runs_until_its_files_can_have_arrived(submitted, queue, monkeypatch):
    monkeypatch.setattr("custom_components.jobs.slurm.shutil.which", lambda command: command)
    monkeypatch.setitem(sys.modules, "submitit", types.ModuleType("submitit"))
    clock = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr("custom_components.jobs.slurm.time", types.SimpleNamespace(monotonic=lambda: clock.now))
    place = chosen("--on", "slurm")
    assert isinstance(place, SlurmPlace)
    queue("8|other|RUNNING|None")
    assert place.look(submitted[:1])[0].state == State.RUNNING
    clock.now += 9
    assert place.look(submitted[:1])[0].state == State.RUNNING
    clock.now += 2
    assert place.look(submitted[:1])[0].state == State.LOST
