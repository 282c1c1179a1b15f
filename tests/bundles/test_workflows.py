"""Every bundle is a workflow to MONAI: its properties, its folder from anywhere, the README's flags, MLflow."""

import re
import shutil
from pathlib import Path

import mlflow
import monai
import pytest
import torch
from monai.bundle import ConfigWorkflow
from shipped_bundles import NAMES, WITH_WEIGHTS, give_random_weights

from custom_components.bundle import read_bundle
from custom_components.loss_terms import TERMS
from custom_components.losses.presets import PRESETS

EPOCHS = "train::trainer::max_epochs"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory, copy_bundles_to) -> Path:
    """A folder of ENet, ESPNet and the distillation; ENet with random weights."""
    folder = copy_bundles_to(tmp_path_factory.mktemp("repo") / "bundles", "distillation", "enet", "espnet")
    give_random_weights(read_bundle(str(folder / "enet")))
    return folder


@pytest.mark.parametrize("config", ["train", "evaluate", "inference"])
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_monai_finds_the_properties_it_looks_for(copy_bundles, workflow, name, config):
    bundle = copy_bundles(name) / name
    if config == "evaluate":
        give_random_weights(read_bundle(str(bundle)))
    assert workflow(bundle, config).check_properties() == []


@pytest.mark.parametrize("config", ["evaluate", "inference"])
def test_monai_finds_them_in_the_distillation_bundle(untrained, workflow, config):
    assert workflow(untrained / "distillation", config, student="enet").check_properties() == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("config", ["train", "evaluate", "inference", "preprocessing"])
def test_a_config_finds_its_own_bundle_from_anywhere(copy_bundles, monkeypatch, tmp_path, name, config):
    """From the repository's root, from inside the bundle, from /, and copied alone to another folder."""
    bundle = copy_bundles(name) / name
    alone = shutil.copytree(bundle, tmp_path / "elsewhere" / "renamed")
    file = Path("configs") / f"{config}.json"
    starts = [(tmp_path, Path("bundles") / name, bundle), (bundle, Path("."), bundle), (Path("/"), bundle, bundle)]
    for cwd, given, root in [*starts, (tmp_path / "elsewhere", Path("renamed"), alone)]:
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            patch.setattr("sys.path", ["", "/usr/lib/python3"])
            run = ConfigWorkflow(str(given / file), workflow_type="train", logging_file=False, run_id="bundle_root")
            assert run.run() == [str(root)]


def documented_flags(repository: Path) -> list[tuple[str, str]]:
    """Flag and value of every row of the guide's tables of overrides."""
    tables = (repository / "docs" / "how-to" / "training.md").read_text().split("| flag | meaning |")[1:]
    flags = [flag for table in tables for flag in re.findall(r"`--([^\s`]+) ([^`]+)`", table.split("\n\n")[0])]
    assert len(tables) == 2
    assert len(flags) >= 15
    return flags


def test_every_flag_of_the_guide_is_a_key_of_the_configs(repository):
    parsers = [monai.bundle.ConfigParser() for _ in range(2)]
    for parser, name in zip(parsers, ("enet", "distillation"), strict=True):
        parser.read_config(repository / "bundles" / name / "configs" / "train.json")
    flags = {flag for flag, _ in documented_flags(repository)}
    # The first two have defaults in the trainer; tracking is an option of MONAI.
    others = {"train::trainer::compile", "train::trainer::compile_kwargs", "tracking"}
    # The options of a term replace those of the preset; a test below shows that they reach the term.
    options = {flag for flag in flags if flag.startswith("loss::terms::")}
    assert {option.rpartition("::")[0] for option in options} <= {f"loss::terms::{term}" for term in TERMS}
    flags -= options
    assert {flag for flag in flags if not any(flag in parser for parser in parsers)} == others


def test_the_usual_flags_do_what_they_say(untrained, workflow, tmp_path):
    options = {EPOCHS: 1, "batch_size": 4, "learning_rate": 0.001, "device": "cpu", "augmentation": 0.3}
    folders = {"output_dir": str(tmp_path / "output"), "models_dir": str(tmp_path / "models")}
    run = workflow(untrained / "enet", "train", **options, **folders)
    parsed = run.parser.get_parsed_content
    assert parsed("train#dataset").transform is not None
    assert parsed("lr_scheduler").max_lrs == [0.001]
    run.run()
    trainer = parsed("train#trainer")
    assert trainer.state.epoch == 1
    assert trainer.state.device == torch.device("cpu")
    assert trainer.state.epoch_length == 6  # 24 slices
    resumed = workflow(untrained / "enet", "train", **{**options, EPOCHS: 2}, **folders, resume=True)
    resumed.run()
    assert resumed.parser.get_parsed_content("train#trainer").state.iteration == 12
    assert (tmp_path / "output" / "training.csv").read_text().count("\n") == 3


def test_the_flags_of_a_distillation_reach_its_loss(untrained, workflow):
    options = {"loss::preset": "emkd", "loss::weighting": "softmin", "loss::scope": "sample", "loss::gate": "right"}
    options |= {"loss::weighting_temperature": 0.05, "loss::judged_by": "cross_entropy", "loss::beta": 0.5}
    options |= {"loss::terms::importance::weight": 0.2, "loss::terms::importance::power": 2}
    options |= {"loss::terms::prediction::anneal": 0.1, "loss::terms::cross_entropy::weight": 0.5}
    run = workflow(untrained / "distillation", "train", student="enet", teachers=["espnet"], **options)
    loss = run.parser.get_parsed_content("loss")
    assert {name: loss.options[name] for name in loss.options if name != "terms"} == {
        "weighting": "softmin",
        "weighting_temperature": 0.05,
        "judged_by": "cross_entropy",
        "scope": "sample",
        "gate": "right",
        "unlabeled_weighting": None,
        "pseudo_labels": None,
    }
    assert loss.options["terms"]["prediction"]["direction"] == "teacher_student"
    assert (loss.parts["importance"].power, loss.parts["importance"].distance) == (2, "l2_squared")
    assert list(loss.term_weights.values()) == [0.2, 0.3, 0.5, 0.2, 0.1, 0.5]


def test_the_flags_of_a_networks_own_loss_reach_it(untrained, workflow):
    options = {
        "loss::cross_entropy_weight": 0,
        "loss::terms::dice::generalized": True,
        "loss::terms::lovasz::weight": 1,
    }
    loss = workflow(untrained / "enet", "train", **options).parser.get_parsed_content("loss")
    assert loss.term_weights == {"dice": 0.2, "lovasz": 1}
    assert type(loss.parts["dice"].dice).__name__ == "GeneralizedDiceLoss"


@pytest.mark.parametrize(
    ("teachers", "preset"),
    [(["espnet", "enet"], "annealed"), ("espnet", "measured"), ({"predictions": "a folder"}, "measured")],
)
def test_the_default_preset_depends_on_the_number_of_teachers(untrained, workflow, teachers, preset):
    run = workflow(untrained / "distillation", "train", student="enet", teachers=teachers)
    assert run.parser.get_parsed_content("loss").options == PRESETS[preset]


def test_the_printed_distillation_is_one_flag_away(untrained, workflow):
    losses = []
    for options in ({}, {"loss::preset": "paper"}):
        run = workflow(untrained / "distillation", "train", student="enet", teachers=["espnet"], **options)
        losses.append(run.parser.get_parsed_content("loss"))
    ours, printed = losses
    assert ours.options == PRESETS["measured"]
    assert printed.options == PRESETS["paper"]
    parts = printed.parts
    assert (printed.options["weighting"], printed.options["scope"]) == ("loss", "batch")
    assert parts["prediction"].direction == "student_teacher"
    assert (parts["importance"].distance, parts["region_contrast"].distance) == ("l1", "l2")
    weights = {"dice": 0.2, "lovasz": 0.3, "importance": 0.1, "region_contrast": 0.1, "prediction": 0.1}
    assert printed.term_weights == weights


def tracked_run(output_dir: Path) -> mlflow.entities.Run:
    client = mlflow.tracking.MlflowClient(monai.utils.path_to_sqlite_uri(str(output_dir / "mlruns.db")))
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return run


def test_mlflow_finds_a_training_and_its_distillation_again(untrained, workflow, tmp_path):
    """Each run has a name of bundle, seed and time, and holds every loss term, teacher weight and metric."""

    def train(name, **options):
        folder = tmp_path / name
        folders = {"output_dir": str(folder / "output"), **({} if name == "espnet" else {"models_dir": str(folder)})}
        run = workflow(untrained / name, "train", tracking="mlflow", seed=3, **{EPOCHS: 1}, **folders, **options)
        run.run()
        run.finalize()
        return tracked_run(folder / "output")

    teacher = train("espnet")
    assert re.fullmatch(r"espnet-seed3-\d{8}-\d{6}", teacher.info.run_name)
    terms = {"loss", "dice", "lovasz", "val_mean_dice"}
    assert terms <= teacher.data.metrics.keys()

    student = train("distillation", student="enet", teachers=["espnet"])
    assert re.fullmatch(r"distillation-enet-seed3-\d{8}-\d{6}", student.info.run_name)
    terms |= {"importance", "region_contrast", "prediction", "weight_espnet"}
    assert terms <= student.data.metrics.keys()
    assert student.data.metrics["weight_espnet"] == pytest.approx(1)
