"""The whole chain as a MONAI user types it, on a tiny dataset: teachers, student, evaluation, inference, and faults."""

import csv
import json
import shutil
from pathlib import Path

import mlflow
import monai
import nibabel
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from custom_components.foundation.files import file_sha256
from data_prep.splitting import split_dataset

MODELS = ["model.pt", "provenance.json"]
EPOCHS = "train::trainer::max_epochs"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["espnet", "mobilenetv2", "enet"])
def test_a_training_writes_into_its_own_bundle_wherever_it_is_started(repo, name):
    """ESPNet was trained from the root, MobileNetV2 from inside its bundle, ENet from /."""
    bundle = repo / "bundles" / name
    assert names(bundle) == ["LICENSE", "bundle.yaml", "configs", "docs", "models", "output"]
    assert names(bundle / "models") == MODELS
    assert {"last.pt", "training.csv"} <= set(names(bundle / "output"))
    assert not {"models", "output"} & set(names(repo))
    provenance = json.loads((bundle / "models" / "provenance.json").read_text())
    assert provenance["bundle"] == name
    assert provenance["weights_sha256"] == file_sha256(bundle / "models" / "model.pt")
    assert provenance["metrics"].keys() == {"val_mean_dice"}
    assert provenance["split"]["name"] == "all"
    assert [len(provenance["cases"][part]) for part in ("training", "validation")] == [6, 3]
    (row,) = csv.DictReader((bundle / "output" / "training.csv").open())
    assert {"epoch", "learning_rate", "loss", "dice", "lovasz", "val_mean_dice"} <= row.keys()
    assert all(np.isfinite(float(value)) for value in row.values())


def test_a_distilled_student_names_its_teachers(repo, distilled):
    provenance = json.loads((distilled / "models" / "provenance.json").read_text())
    assert provenance["bundle"] == "distilled"
    assert provenance["network_def"]["_target_"] == "custom_components.networks.ENet"
    assert provenance["teachers"] == {
        name: file_sha256(repo / "bundles" / name / "models" / "model.pt") for name in ("espnet", "mobilenetv2")
    }
    assert not (repo / "bundles" / "distillation" / "models").exists()
    rows = list(csv.DictReader((distilled / "output" / "training.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    terms = {"importance", "region_contrast", "prediction", "weight_espnet", "weight_mobilenetv2"}
    assert terms <= rows[0].keys()
    weights = torch.load(distilled / "models" / "model.pt", weights_only=True)
    baseline = torch.load(repo / "bundles" / "enet" / "models" / "model.pt", weights_only=True)
    assert weights.keys() == baseline.keys()


def test_an_evaluation_scores_every_test_case(distilled, dataset_dir, monai_bundle):
    printed = monai_bundle(distilled, "evaluating", "configs/evaluate.json", dataset_dir=dataset_dir)
    report = json.loads((distilled / "output" / "evaluation.json").read_text())
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    assert [case["case"] for case in report["cases"]] == [case["case"] for case in split["test"]]
    assert report["bundle"] == "distilled"
    assert report["split"] == {"name": "all", "sha256": split["sha256"]}
    assert all(0 <= case["dice"] <= 1 for case in report["cases"])
    assert "BMC" in printed


def test_inference_gives_a_mask_on_the_volumes_own_grid(distilled, dataset_dir, monai_bundle, tmp_path):
    volumes = sorted((dataset_dir / "images").iterdir())[:2]
    for volume in volumes:
        shutil.copy(volume, tmp_path)
    config = distilled / "configs" / "inference.json"
    monai_bundle(Path("/"), "inference", config, dataset_dir=tmp_path)
    predictions = distilled / "output" / "predictions"
    for volume in volumes:
        image, mask = nibabel.load(volume), nibabel.load(predictions / volume.name)
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
        assert mask.get_data_dtype() == np.uint8
        assert set(np.unique(mask.dataobj)) <= {0, 1}


def test_inference_through_the_distillation_bundle_is_that_of_the_student(
    repo, distilled, dataset_dir, workflow, tmp_path
):
    folder = tmp_path / "images"
    folder.mkdir()
    volume = shutil.copy(sorted((dataset_dir / "images").iterdir())[0], folder)
    masks = []
    for bundle, options in ((distilled, {}), (repo / "bundles" / "distillation", {"student": "distilled"})):
        output = str(tmp_path / bundle.name)
        run = workflow(bundle, "inference", **{"dataset_dir": str(folder), "output_dir": output, **options})
        assert run.check_properties() == []
        run.run()
        masks.append(np.asarray(nibabel.load(Path(output) / "predictions" / Path(volume).name).dataobj))
    assert np.array_equal(*masks)


def test_the_distillation_has_the_properties_that_monai_looks_for(repo, workflow):
    options = {"student": "enet", "teachers": ["espnet"]}
    assert workflow(repo / "bundles" / "distillation", "train", **options).check_properties() == []


def test_the_preprocessing_of_a_bundle_fills_the_cache_of_its_training(repo, workflow, tmp_path):
    cache = tmp_path / "prepared"
    workflow(repo / "bundles" / "enet", "preprocessing", cache_dir=str(cache)).run()
    before = {file.name: file.stat().st_mtime_ns for file in cache.glob("*.nii")}
    assert len(before) == 2 * (6 + 3)
    training = workflow(repo / "bundles" / "enet", "train", cache_dir=str(cache))
    assert len(training.parser.get_parsed_content("train#dataset")) == 6 * 4
    assert len(training.parser.get_parsed_content("validate#dataset")) == 3
    assert {file.name: file.stat().st_mtime_ns for file in cache.glob("*.nii")} == before


def test_a_training_learns_the_blob(repo, workflow, tmp_path):
    """After some epochs on bright blobs, ENet's mask overlaps the blob, if labels and orientation are right."""
    folders = {"output_dir": str(tmp_path / "output"), "models_dir": str(tmp_path / "models")}
    options = {EPOCHS: 25, "lr_scheduler::step_size_up": 20, "val_interval": 25, "augmentation": 0}
    workflow(repo / "bundles" / "enet", "train", **folders, **options).run()
    checkpoint = {"ckpt_path": str(tmp_path / "models" / "model.pt"), "output_dir": str(tmp_path / "output")}
    workflow(repo / "bundles" / "enet", "evaluate", **checkpoint).run()
    report = json.loads((tmp_path / "output" / "evaluation.json").read_text())
    assert report["summary"]["all"]["dice_mean"] > 0.6


def test_a_split_without_validation_cases_trains(repo, workflow, dataset_dir, tmp_path):
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    (tmp_path / "split.json").write_text(json.dumps({**split, "validation": []}))
    options = {"datalist": str(tmp_path / "split.json"), EPOCHS: 1}
    folders = {"output_dir": str(tmp_path / "output"), "models_dir": str(tmp_path / "models")}
    workflow(repo / "bundles" / "enet", "train", **folders, **options).run()
    assert names(tmp_path / "models") == MODELS


def test_a_fault_ends_the_command_with_one_line(repo, dataset_dir, monai_bundle_fails):
    config = "bundles/enet/configs/train.json"
    output = monai_bundle_fails(repo, "training", config, dataset_dir=dataset_dir, datalist="splits/none.json")
    assert output.strip().splitlines()[-1].startswith("error: splits/none.json: no such split; give --dataset_dir")
    assert "Traceback" not in output
    assert output.count("error: ") == 1


def test_a_teacher_without_a_checkpoint(repo, workflow, copy_bundles, one_error_line):
    bundles = copy_bundles("distillation", "enet", "espnet")
    run = workflow(bundles / "distillation", "train", student="enet", teachers=["espnet"])
    line = one_error_line(run.run)
    assert "bundles/espnet/models/model.pt: teacher 'espnet' has no checkpoint; run its training first" in line


def test_a_teacher_trained_on_a_test_case_of_the_student(repo, workflow, dataset_dir, one_error_line, tmp_path):
    other = tmp_path / "dataset"
    other.mkdir()
    shutil.copy(dataset_dir / "dataset.json", other)
    for folder in ("images", "labels"):
        (other / folder).symlink_to(dataset_dir / folder)
    split_dataset(other, fractions=(50, 25, 25), seed=1)
    options = {"datalist": str(other / "splits" / "all.json"), "student": "enet", "teachers": ["espnet"]}
    line = one_error_line(workflow(repo / "bundles" / "distillation", "train", **options).run)
    assert "of the student's test cases were in this teacher's training (same voxel: " in line


def test_an_image_size_that_a_network_cannot_take(copy_bundles, workflow, one_error_line, tmp_path):
    training = workflow(copy_bundles("enet") / "enet", "train", image_size=20, cache_dir=str(tmp_path))
    assert "height and width must be multiples of 8, got 20x20; set --image_size" in one_error_line(training.run)


def test_a_teacher_of_another_image_size(repo, workflow, one_error_line, tmp_path):
    options = {"student": "enet", "teachers": ["espnet"], "image_size": 64, "cache_dir": str(tmp_path)}
    line = one_error_line(workflow(repo / "bundles" / "distillation", "train", **options).run)
    assert "other preprocessing: Resized." in line
    assert "spatial_size is [32, 32, -1], the student's is [64, 64, -1]" in line


def test_an_evaluation_without_a_model(copy_bundles, workflow, one_error_line):
    run = workflow(copy_bundles("enet") / "enet", "evaluate")
    assert "enet/models/model.pt: no such checkpoint; train the bundle first" in one_error_line(run.run)


def test_an_inference_without_a_model_or_volumes(repo, copy_bundles, workflow, dataset_dir, tmp_path):
    images = str(dataset_dir / "images")
    with pytest.raises(SystemExit, match=r"\Aerror: .*model.pt: no such checkpoint; train the bundle first\Z"):
        workflow(copy_bundles("enet") / "enet", "inference", dataset_dir=images).run()
    with pytest.raises(SystemExit, match=r"\Aerror: .*: no NIfTI volume \(\*.nii, \*.nii.gz\) in this folder\Z"):
        workflow(repo / "bundles" / "enet", "inference", dataset_dir=str(tmp_path)).run()


def test_cached_teachers_answer_for_slices_that_change(repo, workflow, tmp_path):
    folders = {key: str(tmp_path / key) for key in ("output_dir", "models_dir")}
    options = {"student": "enet", "teachers": ["espnet"], "cache_teachers": True, "augmentation": 0.9, EPOCHS: 2}
    workflow(repo / "bundles" / "distillation", "train", **folders, **options).run()
    rows = [*csv.DictReader((tmp_path / "output_dir" / "training.csv").open())]
    assert all(float(row["prediction"]) > 0 for row in rows)
    assert not any(row.get("importance") for row in rows), "a moved answer has no features"


def test_cached_teachers_distil_the_same_student(repo, workflow, tmp_path):
    losses = []
    for cached in (False, True):
        folders = {key: str(tmp_path / str(cached) / key) for key in ("output_dir", "models_dir")}
        options = {"student": "enet", "teachers": ["espnet", "mobilenetv2"], "cache_teachers": cached, EPOCHS: 2}
        options["augmentation_views"] = 2
        workflow(repo / "bundles" / "distillation", "train", **folders, **options).run()
        rows = csv.DictReader((tmp_path / str(cached) / "output_dir" / "training.csv").open())
        losses.append([float(row["loss"]) for row in rows])
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_tensorboard_and_mlflow_get_every_term_weight_and_gradient_norm(repo, workflow, tmp_path):
    folder = tmp_path / "output"
    folders = {"output_dir": str(folder), "models_dir": str(tmp_path / "models")}
    options = {"student": "enet", "teachers": ["espnet"], "tracking": "mlflow", EPOCHS: 1}
    training = workflow(repo / "bundles" / "distillation", "train", **folders, **options)
    training.run()
    training.finalize()
    terms = ["dice", "lovasz", "cross_entropy", "importance", "region_contrast", "prediction"]
    expected = {"loss", "weight_espnet", *terms, *(f"grad_{name}" for name in terms)}
    (row,) = csv.DictReader((folder / "training.csv").open())
    assert expected <= row.keys()
    events = EventAccumulator(str(folder)).Reload()
    assert expected <= set(events.Tags()["scalars"])
    client = mlflow.tracking.MlflowClient(monai.utils.path_to_sqlite_uri(str(folder / "mlruns.db")))
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    for name in expected:
        assert events.Scalars(name)[-1].value == pytest.approx(float(row[name]), rel=1e-5)
        assert run.data.metrics[name] == pytest.approx(float(row[name]), rel=1e-5)
