import json
from dataclasses import replace

import pytest

from experiments import describe
from experiments.plan import Plan, Row


@pytest.fixture
def plan(tmp_path):
    split = {"name": "all", "sha256": "abc", "training": [1, 2], "validation": [], "test": [3]}
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "all.json").write_text(json.dumps(split))
    rows = tuple(Row(name, name, "baseline", "enet", seed=seed) for seed, name in enumerate(["enet", "enet_seed1"]))
    return Plan("Small", 32, None, (50, 25, 25), 0, "test", None, (), rows)


def test_rows_that_a_later_call_leaves_out_stay_in_the_study(plan, tmp_path):
    describe.keep_description(plan, tmp_path, tmp_path, tmp_path / "splits")
    more = Row("espnet", "ESPNet", "baseline", "espnet")
    describe.keep_description(replace(plan, rows=(more, plan.rows[0])), tmp_path, tmp_path, tmp_path / "splits")
    kept = json.loads((tmp_path / "study.json").read_text())
    assert [row["name"] for row in kept["rows"]] == ["espnet", "enet", "enet_seed1"]


def test_a_study_names_every_machine_that_it_ran_on(plan, tmp_path, monkeypatch):
    for machine in ({"cores": 2, "torch": "2"}, {"cores": 16, "torch": "2", "gpu": "H"}, {"cores": 2, "torch": "2"}):
        monkeypatch.setattr(describe, "machine", lambda machine=machine: machine)
        describe.keep_description(plan, tmp_path, tmp_path, tmp_path / "splits")
    kept = json.loads((tmp_path / "study.json").read_text())
    assert kept["machine"] == {"cores": "2 / 16", "torch": "2", "gpu": "H"}


def test_a_cross_validation_names_the_split_of_each_fold(plan, tmp_path):
    for number in (1, 2):
        split = {"name": "all", "sha256": f"abc{number}", "training": [1], "validation": [], "test": [number, 3]}
        (tmp_path / "splits" / f"fold{number}").mkdir()
        (tmp_path / "splits" / f"fold{number}" / "all.json").write_text(json.dumps(split))
    folds = ("fold1", "fold2")
    rows = tuple(replace(plan.rows[0], name=f"enet_{fold}", fold=fold) for fold in folds)
    describe.keep_description(replace(plan, rows=rows, folds=folds), tmp_path, tmp_path, tmp_path / "splits")
    kept = json.loads((tmp_path / "study.json").read_text())
    assert kept["split"]["folds"] == {"fold1": "abc1", "fold2": "abc2"}
    assert kept["split"]["counts"] == {"test": 4}
    assert [row.fold for row in describe.former_rows(tmp_path)] == list(folds)
