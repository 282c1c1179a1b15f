import json

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
