"""A study runs a row again when one of the row's inputs has changed, and names the input. These tests train nothing."""

import json
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from experiments import commands
from experiments.describe import keep_description
from experiments.inputs import Inputs, what_changed
from experiments.plan import Plan, Row
from experiments.runner import StudyRunner
from experiments.splits import new_splits

EPOCHS = "train::trainer::max_epochs"
ROWS = (
    Row("big", "Big", "teacher", "mobilenetv2", sites=("HK", "UCL"), settings={EPOCHS: 1}),
    Row("alone", "Alone", "baseline", "enet", settings={EPOCHS: 1, "loss::dice_weight": 0.2}),
    Row("distilled", "Distilled", "student", "enet", teachers=("big",), settings={EPOCHS: 1}),
)
PLAN = Plan("Tiny", 32, None, (50, 25, 25), 0, "test", None, (("HK", "UCL"),), ROWS)


@pytest.fixture
def dataset(dataset_dir, tmp_path):
    return shutil.copytree(dataset_dir, tmp_path / "dataset", ignore=shutil.ignore_patterns("splits", "prepared"))


@pytest.fixture
def out(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    with new_splits(PLAN, dataset, tmp_path / "out"):
        pass
    model = tmp_path / "out" / "bundles" / "big" / "models" / "model.pt"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    return tmp_path / "out"


def of(row, dataset, out, plan=PLAN):
    return Inputs(plan, dataset, out, plan.rows).of(row)


def correct_mask(dataset, out, part, site=None):
    """Change the first mask of a part, and return the name of its case."""
    cases = read_json(out / "splits" / "all.json")[part]
    case = next(case for case in cases if site in (None, case["site"]))
    mask = nibabel.load(dataset / case["label"])
    voxels = np.roll(np.asarray(mask.dataobj), 1, axis=0)
    nibabel.save(nibabel.Nifti1Image(voxels, mask.affine), dataset / case["label"])
    return case["case"]


def test_the_same_files_give_the_same_inputs_wherever_they_are(dataset, out, tmp_path):
    before = {row.name: of(row, dataset, out) for row in ROWS}
    assert json.loads(json.dumps(before)) == before
    moved, elsewhere = (shutil.move(folder, tmp_path / "moved" / folder.name) for folder in (dataset, out))
    for row in ROWS:
        assert what_changed(before[row.name], of(row, moved, elsewhere)) == ""


def test_a_corrected_mask_concerns_the_rows_that_learn_from_it(dataset, out):
    before = {row.name: of(row, dataset, out) for row in ROWS}
    case = correct_mask(dataset, out, "training", site="BMC")
    changed = {row.name: what_changed(before[row.name], of(row, dataset, out)) for row in ROWS}
    assert changed["big"] == ""  # this teacher has not seen the site
    assert changed["alone"].startswith(f"mask of {case} (was ")
    assert changed["alone"] == changed["distilled"]


def test_a_corrected_test_mask_asks_for_scores_and_for_no_training(dataset, out):
    before = of(ROWS[1], dataset, out)
    case = correct_mask(dataset, out, "test")
    now = of(ROWS[1], dataset, out)
    assert what_changed(before, now, kinds=["trained"]) == ""
    assert what_changed(before, now).startswith(f"mask of {case} (was ")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss::dice_weight": "0.20"}, ""),
        ({"loss::dice_weight": 0.3}, "loss::dice_weight (was 0.2, now 0.3)"),
        ({"optimizer::weight_decay": 0.1}, "optimizer::weight_decay (was not set, now 0.1)"),
        ({"tracking": "mlflow", "num_workers": 2}, ""),
        ({EPOCHS: 2}, "epochs (was 1, now 2)"),
    ],
)
def test_settings_are_compared_by_their_meaning(dataset, out, settings, words):
    row = replace(ROWS[1], settings={**ROWS[1].settings, **settings})
    assert what_changed(of(ROWS[1], dataset, out), of(row, dataset, out)) == words


def test_teachers_weights_seed_and_part_are_inputs(dataset, out):
    before = of(ROWS[2], dataset, out)
    (out / "bundles" / "big" / "models" / "model.pt").write_bytes(b"others")
    assert what_changed(before, of(ROWS[2], dataset, out)).startswith("teachers::big::weights_sha256 (was ")
    before = of(ROWS[1], dataset, out)
    assert what_changed(before, of(replace(ROWS[1], seed=1), dataset, out)) == "seed (was 0, now 1)"
    validation = of(ROWS[1], dataset, out, replace(PLAN, scored_on="validation"))
    assert what_changed(before, validation).startswith("part (was test, now validation)")
    assert what_changed(before, validation, kinds=["trained"]) == ""


def test_images_without_masks_are_inputs_of_the_rows_that_use_them(dataset, out):
    split = read_json(out / "splits" / "all.json")
    case = split["training"].pop()
    split["unlabeled"] = [{key: case[key] for key in case if not key.startswith("label")}]
    write_json(out / "splits" / "all.json", split)
    row = replace(ROWS[2], settings={**ROWS[2].settings, "unlabeled": True})
    before = of(row, dataset, out)
    assert [hashes[2] for hashes in before["trained"]["cases"]["unlabeled"]] == [None]
    assert "unlabeled" not in of(ROWS[2], dataset, out)["trained"]["cases"]
    image = nibabel.load(dataset / case["image"])
    nibabel.save(nibabel.Nifti1Image(image.get_fdata() + 1, image.affine), dataset / case["image"])
    assert what_changed(before, of(row, dataset, out)).startswith(f"image of {case['case']} (was ")


def test_a_folder_of_predictions_is_an_input_by_its_content(dataset, out, tmp_path):
    folder = tmp_path / "nnunet"
    folder.mkdir()
    (folder / "Case00.npz").write_bytes(b"probabilities")
    table = {"predictions": str(folder), "classes": {"prostate": [1]}}
    row = replace(ROWS[2], teachers=(), predictions=(table,))
    before = of(row, dataset, out)
    moved = shutil.move(folder, tmp_path / "moved")
    same = replace(row, predictions=({**table, "predictions": str(moved)},))
    assert what_changed(before, of(same, dataset, out)) == ""
    other_classes = replace(same, predictions=({**same.predictions[0], "classes": {"prostate": [2]}},))
    assert what_changed(before, of(other_classes, dataset, out)).startswith("teachers::0::classes::prostate (was [1]")
    (tmp_path / "moved" / "Case00.npz").write_bytes(b"others")
    assert what_changed(before, of(same, dataset, out)).startswith("teachers::0::files_sha256 (was ")
    words = commands.training(same, out / "bundles", dataset, out / "splits" / "all.json")
    assert f"--config_file={out}/bundles/distillation/configs/train.json" in words
    assert f"--teachers=[{same.predictions[0]!r}]" in words


@pytest.mark.parametrize("former", [{}, {"split": "abc"}, {"trained": {"version": 0}}])
def test_what_another_version_recorded_is_not_taken_for_the_same(dataset, out, former):
    assert what_changed(former, of(ROWS[1], dataset, out)) == "inputs, recorded by another version of this project"


def test_a_stale_result_is_none_even_where_its_row_is_not_asked_for(dataset, out, capsys):
    keep_description(PLAN, dataset, out, out / "splits")
    study = StudyRunner(replace(PLAN, rows=ROWS[:1]), dataset, out)
    done = {row.name: out / "bundles" / row.name / "output" / "done.json" for row in ROWS}
    for row in ROWS:
        write_json(done[row.name], study.inputs.of(row))
    study._forget_stale_results()
    assert all(file.is_file() for file in done.values())
    case = correct_mask(dataset, out, "training", site="HK")
    study = StudyRunner(replace(PLAN, rows=ROWS[:1]), dataset, out)
    study._forget_stale_results()
    assert not any(file.is_file() for file in done.values())
    assert f"alone: no longer done, since it was made with other mask of {case} (was " in capsys.readouterr().out


def test_a_student_is_not_done_while_its_teacher_is_not(dataset, out):
    study = StudyRunner(PLAN, dataset, out)
    for name in ("big", "distilled"):
        write_json(out / "bundles" / name / "output" / "done.json", study.inputs.of(study.rows[name]))
    assert study._done(ROWS[2])
    (out / "bundles" / "big" / "output" / "done.json").unlink()
    assert not study._done(ROWS[2])


def test_a_study_keeps_its_split_of_the_cases_and_takes_corrected_masks(dataset, out):
    before = read_json(out / "splits" / "all.json")
    correct_mask(dataset, out, "test")
    with new_splits(PLAN, dataset, out):
        pass
    after = read_json(out / "splits" / "all.json")
    assert [case["case"] for case in after["test"]] == [case["case"] for case in before["test"]]
    with (
        pytest.raises(
            InputError, match=r"\A\S+ holds a study with another split; choose another folder, or delete it\Z"
        ),
        new_splits(replace(PLAN, split_seed=5), dataset, out),
    ):
        pass
    assert read_json(out / "splits" / "all.json") == after
    assert sorted(file.name for file in (out / "splits").iterdir()) == ["HK+UCL.json", "all.json"]


def test_a_refused_study_leaves_the_split_files_of_the_former_one(dataset, out):
    """A file all.json more would make rows of a study of folds, or of new sites, look for other cases."""
    keep_description(PLAN, dataset, out, out / "splits")
    before = sorted(file.relative_to(out) for file in out.rglob("*"))
    folds = replace(PLAN, rows=(ROWS[1],), folds=("fold1", "fold2"))
    with (
        pytest.raises(InputError, match=rf"\A{out} holds a study with other "),
        new_splits(folds, dataset, out) as splits,
    ):
        keep_description(folds, dataset, out, splits)
    assert sorted(file.relative_to(out) for file in out.rglob("*")) == before


def test_another_study_is_refused_with_what_differs(dataset, out):
    keep_description(PLAN, dataset, out, out / "splits")
    keep_description(PLAN, dataset.rename(dataset.with_name("moved")), out, out / "splits")
    assert read_json(out / "study.json")["dataset"].endswith("moved")
    with pytest.raises(
        InputError, match=r"\A\S+/out holds a study with other settings image_size \(was 32, now 64\); choose"
    ):
        keep_description(replace(PLAN, image_size=64), dataset, out, out / "splits")
    other = replace(ROWS[1], settings={**ROWS[1].settings, EPOCHS: 3})
    with pytest.raises(
        InputError, match=rf"\A{out} holds a study with other row alone: settings::{EPOCHS} \(was 1, now 3\); choose"
    ):
        keep_description(replace(PLAN, rows=(ROWS[0], other, ROWS[2])), dataset, out, out / "splits")
