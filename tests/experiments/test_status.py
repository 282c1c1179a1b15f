import json

from custom_components.foundation.files import write_json
from custom_components.jobs import Job, Step
from custom_components.jobs.job import record_submission
from custom_components.jobs.standing import identity
from experiments.status import render_status


def test_each_row_has_its_state_and_its_best_score(tmp_path):
    shared = {"role": "baseline", "network": "enet", "sites": [], "teachers": [], "seed": 0}
    settings = {"train::trainer::max_epochs": 4}
    names = ("done", "half_way", "new")
    rows = [{**shared, "name": name, "label": name, "settings": settings} for name in names]
    split = {"name": "all", "sha256": "abc"}
    study = {"title": "T", "dataset": "d", "split": split, "machine": {}, "settings": {"scored_on": "test"}}
    (tmp_path / "study.json").write_text(json.dumps({**study, "rows": rows}))
    for name in names[:2]:
        output = tmp_path / "bundles" / name / "output"
        output.mkdir(parents=True)
        (output / "training.csv").write_text("epoch,val_mean_dice\n1,0.5\n2,0.875\n3,\n")
    done = tmp_path / "bundles" / "done" / "output"
    (done / "evaluation.json").write_text(json.dumps({"split": split, "part": "test", "cases": []}))
    (done / "done.json").write_text("{}")
    assert render_status(tmp_path).splitlines() == [
        "done      done          validation Dice 87.5 %",
        "half_way  epoch 3 of 4  validation Dice 87.5 %",
        "new       not started",
        "1 of 3 rows done",
    ]


def test_jobs_that_wait_run_were_killed_or_failed_say_so(tmp_path, monkeypatch):
    script = tmp_path / "squeue"
    queue = ("118|run.tok|RUNNING|None", "119|wait.tok|PENDING|Resources", "121|score.tok|RUNNING|None")
    script.write_text("\n".join(["#!/bin/sh", *(f"echo '{line}'" for line in queue)]))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    names = ("run", "score", "wait", "here", "gone", "bad")
    shared = {"role": "baseline", "network": "enet", "sites": [], "teachers": [], "seed": 0}
    rows = [{**shared, "name": name, "label": name, "settings": {"train::trainer::max_epochs": 8}} for name in names]
    study = {"title": "T", "dataset": "d", "split": {}, "machine": {}, "settings": {"scored_on": "test"}}
    (tmp_path / "study.json").write_text(json.dumps({**study, "rows": rows}))
    for name in names:
        output = tmp_path / "bundles" / name / "output"
        output.mkdir(parents=True)
        steps = [Step(step, ["python"], output / f"{step}.log") for step in ("training", "evaluating")]
        local = {"owner": identity()} if name in ("here", "bad") else {"job_name": f"{name}.tok", "index": None}
        record_submission(Job(name, output, steps), "local" if "owner" in local else "slurm", "tok", **local)
    epochs = {name: tmp_path / "bundles" / name / "output" / "training.csv" for name in ("run", "gone")}
    for file in epochs.values():
        file.write_text("epoch,val_mean_dice\n1,0.5\n2,0.875\n3,\n")
    attempts = {"run": {"step": "training"}, "score": {"step": "evaluating"}, "gone": {"step": "training"}}
    attempts["bad"] = {"step": "training", "ended": 5, "code": 1}
    for name, attempt in attempts.items():
        started = {"token": "tok", "id": "", **attempt}
        write_json(tmp_path / "bundles" / name / "output" / "attempts.json", {"attempts": [started]})
    log = tmp_path / "bundles" / "bad" / "output" / "training.log"
    log.write_text("$ python\nerror: there is not enough memory\n\n")
    assert render_status(tmp_path).splitlines() == [
        "run    running, job 118, epoch 3 of 8             validation Dice 87.5 %",
        "score  running, job 121, evaluating",
        "wait   waiting, job 119 (Resources)",
        "here   waiting",
        "gone   killed, epoch 3 of 8                       validation Dice 87.5 %",
        "bad    failed: error: there is not enough memory",
        "0 of 6 rows done",
    ]
