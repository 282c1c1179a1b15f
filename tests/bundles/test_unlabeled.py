"""A new site: distillation from images without masks, through the checked-in configs."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from custom_components.foundation.files import read_json, write_json

EPOCHS = "train::trainer::max_epochs"


@pytest.fixture
def split(dataset_dir, tmp_path) -> Callable[..., str]:
    """``split(masks=2)`` writes a split whose other training cases have no mask, and gives its path."""

    def write(masks: int, **changes: Any) -> str:
        content = read_json(dataset_dir / "splits" / "all.json")
        training = content["training"][::2] + content["training"][1::2]  # one of each site comes first
        hidden = [{key: case[key] for key in case if not key.startswith("label")} for case in training[masks:]]
        lists = {"training": training[:masks], "unlabeled": hidden}
        if not masks:
            lists |= {"validation": [], "test": []}
        write_json(tmp_path / "split.json", {**content, **lists, **changes})
        return str(tmp_path / "split.json")

    return write


@pytest.fixture
def distil(copy_bundles, make_trained, workflow, tmp_path) -> Callable[..., Path]:
    """``distil("run", split(2), epochs=1)`` distils ENet from two teachers; gives the output folder."""
    bundles = copy_bundles("distillation", "enet")
    teachers = [str(make_trained(name).path) for name in ("espnet", "mobilenetv2")]

    def run(name: str, datalist: str, epochs: int = 1, **overrides: Any) -> Path:
        folder = tmp_path / name
        settings = {"student": "enet", "teachers": teachers, "datalist": datalist, EPOCHS: epochs, "unlabeled": True}
        folders = {"output_dir": str(folder), "models_dir": str(folder / "models")}
        schedule = {"lr_scheduler::step_size_up": 3}
        workflow(bundles / "distillation", "train", **{**settings, **folders, **schedule, **overrides}).run()
        return folder

    return run


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "training.csv").open()))


def test_a_resumed_training_is_bit_for_bit_that_of_one_part(distil, split):
    options = {"loss::preset": "measured", "loss::unlabeled_weighting": "site", "loss::pseudo_labels": "pixels"}
    whole = distil("whole", split(2), 2, **options)
    distil("parts", split(2), 1, **options)
    torch.manual_seed(99)
    parts = distil("parts", split(2), 2, resume=True, **options)
    assert (parts / "training.csv").read_text() == (whole / "training.csv").read_text()
    one, other = (torch.load(folder / "last.pt", weights_only=True)["network"] for folder in (whole, parts))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert {"dice", "region_contrast", "prediction", "val_mean_dice"} <= rows(whole)[0].keys()
    record = read_json(whole / "models" / "provenance.json")
    assert [len(record["cases"][part]) for part in ("training", "validation", "unlabeled")] == [2, 3, 4]
    assert [case[2] for case in record["run"]["cases"]["unlabeled"]] == [None] * 4
    assert record["adapted_teachers"] == []


@pytest.mark.parametrize("kept", [{}, {"cache_teachers": True}, {"cache_teachers": True, "augmentation": 0}])
def test_without_any_mask_the_teachers_teach_and_the_last_epoch_counts(distil, split, kept, capsys):
    options = {"loss::unlabeled_weighting": "agreement", "adapt_teachers": True, **kept}
    folder = distil("none", split(0), **options)
    (row,) = rows(folder)
    assert {"dice", "lovasz", "cross_entropy", "weight_espnet"} <= row.keys()
    assert not {"importance", "region_contrast", "prediction"} & row.keys(), "slices with pseudo-labels have no others"
    assert "model.pt: no validation, so it has the weights of the last epoch" in capsys.readouterr().out
    record = read_json(folder / "models" / "provenance.json")
    assert {part: len(cases) for part, cases in record["cases"].items()} == {
        "training": 0,
        "validation": 0,
        "unlabeled": 6,
    }
    assert record["adapted_teachers"] == ["espnet", "mobilenetv2"]
    assert record["run"]["settings"]["teachers::espnet::adapted_to"]


def test_adapted_teachers_are_others_for_the_cache_and_for_resuming(
    distil, split, tmp_path, one_error_line, dataset_dir
):
    cache = {"cache_teachers": True, "augmentation": 0, "cache_dir": str(tmp_path / "cache")}
    distil("run", split(2), **cache)
    before = sorted((tmp_path / "cache" / "teachers").iterdir())
    told = one_error_line(lambda: distil("run", split(2), 2, resume=True, adapt_teachers=True, **cache))
    assert "saved by a training with other adapt_teachers (was not set, now True), teachers::espnet::adapted_to" in told
    assert len(sorted((tmp_path / "cache" / "teachers").iterdir())) == len(before) + 2


def test_soft_labels_of_statistics_weights_train_too(distil, split):
    options = {"loss::unlabeled_weighting": "statistics", "loss::preset": "measured"}
    (row,) = rows(distil("soft", split(0), unlabeled_share=0.25, **options))
    assert [name for name in row if name in ("dice", "cross_entropy", "importance", "prediction")] == [
        "importance",
        "prediction",
    ]
    assert float(row["weight_espnet"]) + float(row["weight_mobilenetv2"]) == pytest.approx(1)


def test_each_teacher_teaches_the_cases_that_it_was_not_trained_on(distil, split, make_trained):
    teachers = []
    for place, name in enumerate(("espnet", "mobilenetv2")):
        bundle = make_trained(name)
        record = read_json(bundle.provenance_file)
        record["cases"]["training"] = record["cases"]["training"][place::2]
        write_json(bundle.provenance_file, record)
        teachers.append(str(bundle.path))
    (row,) = rows(distil("apart", split(6), unlabeled=False, out_of_fold=True, teachers=teachers))
    # Three of the six cases are taught by each teacher, and no slice by both.
    assert float(row["weight_espnet"]) == pytest.approx(0.5, abs=0.01)
    assert float(row["weight_mobilenetv2"]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("masks", "options", "message"),
    [
        (
            2,
            {"loss::unlabeled_weighting": "best"},
            "loss option unlabeled_weighting='best' is unknown; choose one of 'uniform', 'agreement'",
        ),
        (2, {"unlabeled_share": 2}, "unlabeled_share 2: must be a number between 0 and 1"),
        (2, {"loss::pseudo_labels": "some"}, "loss option pseudo_labels='some' is unknown; choose one of 'all'"),
        (
            0,
            {"loss::pseudo_labels": "none"},
            "loss::pseudo_labels: a slice without a mask has no label, and no term compares it with the teachers; "
            "give --loss::preset measured too",
        ),
        (2, {"online": True}, "unlabeled: needs trained teachers; set --online False or --unlabeled False"),
        (
            0,
            {"loss::unlabeled_weighting": "site"},
            "loss option unlabeled_weighting='site': no training case of the sites of the images",
        ),
        (6, {"unlabeled": False, "out_of_fold": True}, "out_of_fold: all teachers were trained on "),
        (6, {}, "unlabeled: the split lists no case without a mask; set --unlabeled False"),
        (0, {"unlabeled": False}, "split.json: has no training case with a mask; to learn from images without masks"),
        (
            2,
            {"unlabeled": False, "online": True, "adapt_teachers": True},
            "adapt_teachers: needs trained teachers; set --online False or --adapt_teachers False",
        ),
    ],
)
def test_bad_input_is_one_line(distil, split, one_error_line, masks, options, message):
    assert message in one_error_line(lambda: distil("bad", split(masks), **options))


def test_a_patient_who_scores_the_student_may_not_teach_it(distil, split, one_error_line, dataset_dir):
    datalist = split(2)
    content = json.loads(Path(datalist).read_text())
    content["unlabeled"][0]["patient"] = content["test"][0]["patient"]
    write_json(Path(datalist), content)
    told = one_error_line(lambda: distil("bad", datalist))
    assert f"split.json: {content['unlabeled'][0]['case']} in 'unlabeled' is of the same patient as" in told


def test_a_network_alone_cannot_train_without_masks(copy_bundles, workflow, split, one_error_line):
    bundle = copy_bundles("enet") / "enet"
    told = one_error_line(lambda: workflow(bundle, "train", datalist=split(0)).run())
    assert "split.json: has no training case with a mask; to learn from images without masks, distil" in told
