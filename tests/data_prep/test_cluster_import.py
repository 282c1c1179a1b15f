"""The import by jobs, here as processes of this machine: they are the jobs of a cluster, but for the queue."""

import argparse

import pytest
from raw_cases import files_of, read_cases

from custom_components.foundation.errors import InputError
from custom_components.jobs import Standing, State
from custom_components.jobs.job import new_token, record_submission
from custom_components.jobs.local import LocalPlace
from data_prep import cluster_import
from data_prep.__main__ import main
from data_prep.importing import add_arguments

KEEP = ["--keep-ids"]


def import_by_jobs(raw, out, *flags, parts=2, place=None):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(raw), "--out", str(out), *flags])
    return cluster_import.import_in_jobs(options, place or LocalPlace(2), 0, parts)


class Queue:
    """A cluster's queue that runs its jobs in this process, one after each look.

    A job starts when the submissions that it waits for have ended, well or not, as with Slurm's ``afterany``.

    Args:
        killed: name of a job that is killed once; None for none.
        last: name of the job after which the command that looks is killed once; None for none.
        unable: name of a job that fails; None for none.
    """

    name, pause, attempts = "slurm", 0, 3

    def __init__(self, killed=None, last=None, unable=None):
        self.killed, self.last, self.unable = killed, last, unable
        self.ran, self.submissions, self.waiting = [], {}, []

    def submit(self, jobs, after=()):
        former = [self.submissions[job.folder] for job in after]
        for job in jobs:
            record_submission(job, "slurm", new_token())
            self.submissions[job.folder] = submission = {"state": State.WAITING}
            self.waiting.append((job, submission, former))

    def look(self, jobs):
        states = [self.submissions.get(job.folder, {"state": State.UNKNOWN})["state"] for job in jobs]
        for entry in self.waiting:
            job, submission, former = entry
            if all(one["state"].has_ended for one in former):
                self.waiting.remove(entry)
                submission["state"] = self.run(job)
                break
        return [Standing(state, self.name) for state in states]

    def cancel(self, jobs):
        self.waiting = [entry for entry in self.waiting if entry[0] not in jobs]

    def run(self, job):
        self.ran.append(job.name)
        if job.name == self.killed:
            self.killed = None
            return State.LOST
        if job.name == self.unable:
            return State.FAILED
        state = State.DONE if main(job.steps[0].command[3:]) in job.good_codes else State.FAILED
        if job.name == self.last:
            self.last = None
            self.submissions[job.folder]["state"] = state
            raise SystemExit
        return state


def test_a_command_that_was_killed_goes_on_after_the_end_of_its_jobs_too(raw_folder, tmp_path):
    queue = Queue(last="merge")
    with pytest.raises(SystemExit):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, place=queue)
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP, place=queue) == 0
    assert queue.ran == ["list", "import-1", "import-2", "merge"]
    assert len(read_cases(tmp_path / "set")) == 17
    assert not (tmp_path / ".set.jobs").exists()


def test_jobs_make_the_dataset_of_one_import(raw_folder, tmp_path, capsys):
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    main(["import", str(raw_folder), "--out", str(tmp_path / "whole" / "set"), *KEEP, "--jobs", "0"])
    capsys.readouterr()
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP) == 3
    assert "16 cases of 3 sites (1 findings in quarantine.json)" in capsys.readouterr().out
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    for file in files_of(tmp_path / "set"):
        assert (tmp_path / "set" / file).read_bytes() == (tmp_path / "whole" / "set" / file).read_bytes(), file
    assert sorted(path.name for path in tmp_path.iterdir() if "set" in path.name) == ["set"]


def test_a_job_that_fails_is_one_line_and_the_same_command_goes_on(raw_folder, tmp_path):
    moved = raw_folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"\Alist: list failed: \S+/raw: no such folder \(log: \S+/logs/list.log\)\Z"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)
    assert not (tmp_path / "set").exists()
    moved.rename(raw_folder)
    with pytest.raises(InputError, match=r"\.set\.jobs: holds an import with other options; remove it"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, "--n4")
    with pytest.raises(InputError, match=r"\.set\.jobs: holds an import with other options; remove it"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, parts=1)
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP) == 0
    assert len(read_cases(tmp_path / "set")) == 17
    with pytest.raises(InputError, match=r"/set: already exists; remove it or name another folder"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)
    assert not (tmp_path / ".set.jobs").exists()


@pytest.mark.parametrize("killed", ["list", "import-1", "merge"])
def test_a_job_that_is_killed_is_repeated_and_all_that_needs_it(raw_folder, tmp_path, killed):
    queue = Queue(killed)
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP, place=queue) == 0
    assert len(read_cases(tmp_path / "set")) == 17
    assert queue.ran.count(killed) == 2
    assert not (tmp_path / ".set.jobs").exists()


def test_a_job_that_fails_takes_those_after_it_out_of_the_queue(raw_folder, tmp_path):
    queue = Queue(unable="list")
    with pytest.raises(InputError, match=r"\Alist: "):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, place=queue)
    assert "merge" not in queue.ran
    assert queue.waiting == []


def test_a_cluster_that_takes_no_job_leaves_nothing(raw_folder, tmp_path, monkeypatch):
    def refuse(place, jobs, after=()):
        raise InputError("Slurm refuses list: Invalid partition name specified", advice="see --cluster")

    monkeypatch.setattr(LocalPlace, "submit", refuse)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"\ASlurm refuses list"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cluster", "c.yaml"], "--cluster is for --on slurm; add it, or leave --cluster out"),
        (["--on", "slurm", "--shard", "1/2"], "--on slurm: lists the folder and makes the parts itself"),
        (["--on", "slurm", "--jobs", "0"], "--on slurm --jobs 0: give at least 1"),
        (["--on", "slurm", "--cluster", "gone.yaml"], "gone.yaml: no such file"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(raw_folder, tmp_path, capsys, flags, message):
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set"), *KEEP, *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not (tmp_path / "set").exists()
