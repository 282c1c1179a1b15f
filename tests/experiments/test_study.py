"""A small but complete study with teacher, baseline and student, run by the commands that a user would type."""

import json
import os
import shutil
import signal
import sys
import time
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from custom_components.forked_python import ForkedPython
from custom_components.jobs import Standing, State
from custom_components.jobs.job import read_attempts, record_submission
from custom_components.jobs.standing import identity, is_alive
from experiments.__main__ import main
from experiments.lock import lock_study
from experiments.runner import StudyRunner, epochs_done

PLAN = """
title: Tiny study
image_size: 32
fractions: [50, 25, 25]
settings: {batch_size: 4, device: cpu, train::trainer::max_epochs: 1}
rows:
  - {name: big, label: MobileNetV2, role: teacher, bundle: mobilenetv2, group: 0}
  - {name: alone, label: ENet alone, role: baseline, bundle: enet}
  - name: distilled
    label: ENet distilled
    role: student
    bundle: enet
    teachers: [big]
    settings: {cache_teachers: true, augmentation_views: 2}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory, dataset_dir):
    folder = tmp_path_factory.mktemp("study")
    (folder / "plan.yaml").write_text(PLAN)
    shutil.copytree(dataset_dir, folder / "dataset", ignore=shutil.ignore_patterns("splits"))
    return folder


def run(study, *options: str) -> int:
    where = ["--plan", str(study / "plan.yaml"), "--dataset", str(study / "dataset"), "--out", str(study / "out")]
    return main(["run", *where, "--groups", "HK,UCL", "--jobs", "2", *options])


def test_a_study_runs_is_reused_grows_and_is_not_mixed_with_another(study, capsys):
    assert run(study, "--time-budget", "0s") == 0
    assert "the time is over; the same command goes on" in capsys.readouterr().out
    assert main(["status", "--out", str(study / "out")]) == 0
    assert capsys.readouterr().out.count("not started") == 3

    assert run(study, "--only", "alone") == 0
    assert main(["status", "--out", str(study / "out")]) == 0
    assert "1 of 3 rows done" in capsys.readouterr().out

    assert run(study) == 0
    printed = capsys.readouterr().out
    assert all(label in printed for label in ("MobileNetV2", "ENet alone", "ENet distilled"))
    assert (study / "out" / "report.html").is_file()
    bundles = study / "out" / "bundles"
    teacher = json.loads((bundles / "big" / "models" / "provenance.json").read_text())
    assert {case["site"] for case in teacher["cases"]["training"]} == {"HK", "UCL"}
    student = json.loads((bundles / "distilled" / "models" / "provenance.json").read_text())
    assert student["teachers"] == {"big": teacher["weights_sha256"]}
    assert json.loads((bundles / "distilled" / "configs" / "inference.json").read_text())["image_size"] == 32

    # A study that chooses settings takes over trained teachers, and scores them on the validation cases.
    (study / "validation.yaml").write_text(PLAN + "scored_on: validation\nfield_of_view: null\n")
    shutil.copytree(bundles / "big", study / "chosen" / "bundles" / "big")
    arguments = ["--plan", study / "validation.yaml", "--dataset", study / "dataset", "--out", study / "chosen"]
    assert main(["run", *map(str, arguments), "--groups", "HK,UCL", "--only", "big"]) == 0
    assert "afresh" not in capsys.readouterr().out
    copied = study / "chosen" / "bundles" / "big"
    assert (copied / "models" / "model.pt").read_bytes() == (bundles / "big" / "models" / "model.pt").read_bytes()
    assert json.loads((copied / "output" / "evaluation.json").read_text())["part"] == "validation"

    models = {model: model.stat().st_mtime_ns for model in bundles.glob("*/models/model.pt")}
    (bundles / "alone" / "output" / "done.json").unlink()  # as if the run had stopped after its training
    assert run(study) == 0
    assert {model: model.stat().st_mtime_ns for model in models} == models
    assert (bundles / "alone" / "output" / "done.json").is_file()

    for faulty in (["--jobs", "0"], ["--epochs", "0"], ["--size", "50"], ["--only", "nobody"]):
        assert run(study, *faulty) == 1
        assert faulty[0] in capsys.readouterr().err
    assert run(study, "--epochs", "2") == 1
    assert (
        "holds a study with other row big: settings::train::trainer::max_epochs (was 1, now 2)"
        in capsys.readouterr().err
    )
    assert {model: model.stat().st_mtime_ns for model in models} == models

    # After a mask was corrected, the study runs the rows that used it again, and does not print the old table.
    split = json.loads((study / "out" / "splits" / "all.json").read_text())
    case = next(case for case in split["training"] if case["site"] == "BMC")
    mask = nibabel.load(study / "dataset" / case["label"])
    corrected = nibabel.Nifti1Image(np.roll(np.asarray(mask.dataobj), 1, axis=0), mask.affine)
    nibabel.save(corrected, study / "dataset" / case["label"])
    assert run(study, "--time-budget", "0s") == 0
    told = capsys.readouterr().out
    assert f"alone: no longer done, since it was made with other mask of {case['case']} (was " in told
    assert "big: no longer done" not in told  # this teacher has not seen the site
    assert main(["status", "--out", str(study / "out")]) == 0
    assert "1 of 3 rows done" in capsys.readouterr().out
    assert run(study, "--only", "alone") == 0
    assert (
        f"alone: starts afresh, since it was begun with other mask of {case['case']} (was " in capsys.readouterr().out
    )
    assert (bundles / "alone" / "models" / "model.pt").stat().st_mtime_ns > models[
        bundles / "alone" / "models" / "model.pt"
    ]


def test_a_row_that_fails_is_told_in_one_line_with_its_log(study, dataset_dir, tmp_path, capsys):
    (tmp_path / "plan.yaml").write_text(PLAN.replace("batch_size: 4", "batch_size: 4, loss::dice_weight: -1"))
    shutil.copytree(study / "dataset", tmp_path / "dataset")
    output = tmp_path / "out" / "bundles" / "big" / "output"
    output.mkdir(parents=True)
    (output / "started.json").write_text('{"split": "another"}')  # former versions wrote this content
    (output / "last.pt").write_text("of another split")
    assert run(tmp_path, "--only", "big") == 1
    assert not (output / "last.pt").exists()
    told = capsys.readouterr()
    assert "big: starts afresh, since it was begun with other inputs, recorded by another version of" in told.out
    error = told.err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "training failed" in error
    assert "dice_weight" in error
    assert "training.log" in error


def test_a_budget_that_ends_within_a_training_leaves_a_checkpoint_and_no_process(study, tmp_path, monkeypatch, capsys):
    shutil.copytree(study / "dataset", tmp_path / "dataset")
    (tmp_path / "plan.yaml").write_text(PLAN)
    bundle = tmp_path / "out" / "bundles" / "alone"
    clock = SimpleNamespace(monotonic=lambda: 10 * (bundle / "output" / "last.pt").is_file(), sleep=time.sleep)
    monkeypatch.setattr("experiments.runner.time", clock)
    assert run(tmp_path, "--only", "alone", "--epochs", "500", "--time-budget", "9s") == 0
    assert "the time is over" in capsys.readouterr().out
    assert (bundle / "output" / "last.pt").is_file()
    assert 0 < epochs_done(bundle) < 500
    (attempt,) = read_attempts(bundle / "output")
    assert not is_alive(attempt)
    assert "ended" in attempt
    assert main(["status", "--out", str(tmp_path / "out")]) == 0
    assert f"alone      epoch {epochs_done(bundle)} of 500" in capsys.readouterr().out


def test_a_second_run_is_refused_while_one_is_at_work(study, capsys):
    with lock_study(study / "out"):
        assert run(study) == 1
    assert "another run is at work in this study" in capsys.readouterr().err


def test_a_plain_kill_stops_as_ctrl_c_does(study, monkeypatch, capsys):
    monkeypatch.setattr(StudyRunner, "run", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert run(study) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_a_killed_run_is_started_again_and_takes_over_its_training(study, tmp_path):
    shutil.copytree(study / "dataset", tmp_path / "dataset")
    (tmp_path / "plan.yaml").write_text(PLAN)
    where = ["--plan", str(tmp_path / "plan.yaml"), "--dataset", str(tmp_path / "dataset"), "--groups", "HK,UCL"]
    words = ["run", *where, "--out", str(tmp_path / "out"), "--only", "alone", "--epochs", "12"]
    output = tmp_path / "out" / "bundles" / "alone" / "output"
    with (tmp_path / "first.log").open("w") as log:
        first = ForkedPython([sys.executable, "-m", "experiments", *words], stdout=log, env=os.environ)
        while not (output / "training.csv").is_file():
            assert first.poll() is None, (tmp_path / "first.log").read_text()
            time.sleep(0.05)
        first.kill()
        first.wait(30)
    (attempt,) = read_attempts(output)
    assert is_alive(attempt)  # the training has outlived its program
    with (tmp_path / "second.log").open("w") as log:
        second = ForkedPython([sys.executable, "-m", "experiments", *words], stdout=log, env=os.environ)
        assert second.wait(120) == 0
    assert "alone: found its job (running)" in (tmp_path / "second.log").read_text()
    assert (output / "done.json").is_file()
    (attempt,) = read_attempts(output)  # nothing was started twice
    assert attempt["code"] == 0
    assert epochs_done(tmp_path / "out" / "bundles" / "alone") == 12


class LosingPlace:
    """A cluster that loses every job."""

    name = "local"
    pause = 0
    attempts = 3

    def __init__(self) -> None:
        self.submitted = []

    def submit(self, jobs, after=()) -> None:
        self.submitted += jobs

    def look(self, jobs):
        return [Standing(State.LOST, self.name, "7") for _ in jobs]

    def cancel(self, jobs) -> None:
        pass


def test_a_lost_job_is_submitted_whole_and_three_times_at_most(study, tmp_path, monkeypatch, capsys):
    shutil.copytree(study / "dataset", tmp_path / "dataset")
    (tmp_path / "plan.yaml").write_text(PLAN)
    place = LosingPlace()
    monkeypatch.setattr("experiments.__main__.place_of", lambda options: place)
    assert run(tmp_path, "--only", "alone") == 1
    told = capsys.readouterr()
    assert told.out.count("alone: its job 7 was lost, and is queued again") == 2
    assert "error: alone: its start failed: it was killed (log: " in told.err
    assert len(place.submitted) == 3
    # A job of a killed run, too, that is lost after it was taken over.
    (job, *_) = place.submitted
    record_submission(job, "local", "token", owner=identity())
    place.submitted.clear()
    assert run(tmp_path, "--only", "alone") == 1
    assert "alone: found its job (waiting)" in capsys.readouterr().out
    assert [[step.name for step in one.steps] for one in place.submitted] == [["training", "evaluating"]] * 2
    # At another place, the run does not start it a second time.
    record_submission(job, "local", "token", owner=identity())
    place.name = "slurm"
    assert run(tmp_path, "--only", "alone") == 1
    assert f"alone is at work in a job on local; use --on local, or stop that job and remove {job.folder}" in (
        capsys.readouterr().err
    )
