"""Misspelt options are refused, and every option of a config is accepted."""

import json
from pathlib import Path

import pytest
import yaml

from custom_components.foundation.errors import InputError
from custom_components.option_names import check_names

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = [file for file in sorted(REPOSITORY.glob("bundles/*/configs/*.json")) if file.stem != "metadata"]
PLANS = sorted((REPOSITORY / "experiments" / "plans").glob("*.yaml"))
TRAIN = str(REPOSITORY / "bundles" / "enet" / "configs" / "train.json")
DISTIL = str(REPOSITORY / "bundles" / "distillation" / "configs" / "train.json")
OVER = str(REPOSITORY / "bundles" / "enet" / "configs" / "multi_gpu_train.json")


def ids(config, parent=""):
    pairs = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in pairs:
        own = f"{parent}::{key}" if parent else str(key)
        yield own
        yield from ids(value, own)


@pytest.mark.parametrize(
    "config", [file for file in CONFIGS if file.name != "metadata.json"], ids=lambda f: str(f)[-40:]
)
def test_every_key_of_a_config_is_an_option(config):
    check_names(ids(json.loads(config.read_text())), [str(config)])


@pytest.mark.parametrize(
    "option",
    [
        "config_file",
        "meta_file",
        "tracking",
        "experiment_name",
        "save_execute_config",
        "optimizer::weight_decay",
        "network_def::dropout",
        "train::trainer::compile",
        "train::dataloader::pin_memory",
        "train::dataset::_disabled_",
        "loss::terms::dice::generalized",
        "loss::terms::focal::weight",
        "train::handlers::0::folders",
        "imports::0",
        "train::sampler::seed",
    ],
)
def test_arguments_of_components_and_of_monai_are_options(option):
    files = [DISTIL if option.startswith("network_def::") else TRAIN, OVER]
    check_names([option], files)


@pytest.mark.parametrize(
    "plan", sorted((REPOSITORY / "experiments" / "plans").glob("*.yaml")), ids=lambda file: file.stem
)
def test_the_settings_of_the_shipped_plans_are_options(plan):
    content = yaml.safe_load(plan.read_text())
    # An ensemble is not trained: its settings are no options of a config.
    for row in [row for row in content["rows"] if row["role"] != "ensemble"]:
        options = {**content.get("settings", {}), **row.get("settings", {})}
        check_names(options, [DISTIL if "teachers" in row else TRAIN])


@pytest.mark.parametrize(
    ("option", "similar"),
    [
        ("batchsize", "--batch_size"),
        ("epochs", "--train::trainer::max_epochs"),
        ("train::trainer::maxepochs", "--train::trainer::max_epochs"),
        ("loss::dice_wieght", "--loss::dice_weight"),
        ("optimizer::weightdecay", "--optimizer::weight_decay"),
        ("train::trainer::xyzzy", ""),
        ("trian::trainer::max_epochs", "--train::trainer::max_epochs"),
        ("train::handlers::99::folders", ""),
    ],
)
def test_a_misspelt_option_is_refused_with_similar_ones(option, similar):
    with pytest.raises(InputError) as error:
        check_names(["seed", option], [TRAIN])
    line, _, told = str(error.value).partition("; similar ones: ")
    assert line == f"--{option}: the config has no such option"
    assert similar in told.split(", ")
