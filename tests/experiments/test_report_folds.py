import json

import pytest
from sample_study import ROWS, change, write_run

from custom_components.foundation.errors import InputError
from custom_components.metrics import summarise
from experiments.report import load_study, write_report
from experiments.report.pictures import chosen_cases
from experiments.report.runs import run_table


def in_two_folds(study, rows):
    """Make the study a cross-validation of two folds, which have two of the four cases each; return its split."""
    runs, hashes = [], {"fold1": "a" * 64, "fold2": "b" * 64}
    for row in rows:
        for place, fold in enumerate(hashes):
            name = f"{row['name']}_{fold}"
            write_run(study / "bundles" / name, row)
            file = study / "bundles" / name / "output" / "evaluation.json"
            cases = json.loads(file.read_text())["cases"][2 * place : 2 * place + 2]
            change(file, cases=cases, summary=summarise(cases), split={"name": "all", "sha256": hashes[fold]})
            shared = {"seed": 0, "sites": [], "settings": {}}
            teachers = [f"{teacher}_{fold}" for teacher in row.get("teachers", [])]
            runs.append({**shared, **row, "name": name, "fold": fold, "teachers": teachers})
    split = {"name": "2 folds", "sha256": "c" * 64, "counts": {"test": 4}, "folds": hashes}
    change(study / "study.json", rows=runs, split=split)
    return split


def test_the_folds_of_a_model_are_one_row_of_all_cases(small):
    """Two folds of two cases each make one row with the scores of all four."""
    whole = load_study(small)
    split = in_two_folds(small, ROWS[1:3])
    study = load_study(small)
    assert [row.name for row in study.rows] == ["pspnet", "enet"]
    assert [run.name for run in study.runs] == ["pspnet_fold1", "pspnet_fold2", "enet_fold1", "enet_fold2"]
    for joined, former in zip(study.rows, whole.rows[:2], strict=True):
        assert joined.evaluation["summary"] == former.evaluation["summary"]
        assert joined.cases == former.cases
        # Both folds have the calibration of the former run, so it counts twice as many voxels.
        ours, before = joined.evaluation["calibration"]["bins"], former.evaluation["calibration"]["bins"]
        assert ours == [{"voxels": 4 * before[0]["voxels"], "probability": 0.1, "frequency": 0.2}]
    assert study.rows[1].prediction("HK_Case02").parts[-4] == "enet_fold2"
    assert len(run_table(study).lines) == 4
    page = write_report(small).read_text()
    assert "pspnet" in page
    assert "every fold has weights of its own, so train it once on all cases before you deploy it" in page
    # A fold that is scored on the cases of another one is refused.
    change(small / "study.json", split={**split, "folds": {**split["folds"], "fold2": "d" * 64}})
    with pytest.raises(InputError, match=r"\A\S*evaluation\.json: evaluated on another split than the study's"):
        load_study(small)


@pytest.mark.parametrize("ready", [("enet_fold1", "enet_fold2", "enet_kd_fold2"), ("enet_fold1", "enet_kd_fold2")])
def test_folds_under_way_show_cases_that_all_models_of_a_picture_have(small, ready):
    in_two_folds(small, [*ROWS[1:3], {**ROWS[3], "teachers": ["pspnet"]}])
    for row in ("enet", "enet_kd"):
        for fold in ("fold1", "fold2"):
            if f"{row}_{fold}" not in ready:
                (small / "bundles" / f"{row}_{fold}" / "output/done.json").unlink()
    _, baseline, student = load_study(small).rows
    shared = set(baseline.cases) & set(student.cases)
    assert set(chosen_cases([baseline, student]).values()) == shared
    assert ("Segmentations by enet" in write_report(small).read_text()) == bool(shared)
