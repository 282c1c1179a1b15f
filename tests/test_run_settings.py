"""The settings of a run are all keys of its config except the keys in one list, with the values that the run uses."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from custom_components.run_settings import MAY_DIFFER, may_differ, settings_in_use, settings_of

TRAIN = sorted(Path(__file__).parents[1].glob("bundles/*/configs/train.json"))
FOLDERS = {"dataset_dir": "/data", "output_dir": "/out", "models_dir": "/models"}


def parsed(**config) -> ConfigParser:
    settings = {"_target_": "custom_components.run_settings.settings_in_use"}
    return ConfigParser({**config, "used": {"_target_": "builtins.dict", "settings": settings}})


def in_use(**config):
    parser = parsed(**config)
    for key in [key for key in parser.config if key != "used"]:
        parser.get_parsed_content(key)
    return parser.get_parsed_content("used")["settings"]


def keys_of(content, key="") -> set[str]:
    """The path of every leaf, by code that is independent of the module."""
    if isinstance(content, dict) and content:
        return set().union(*(keys_of(item, f"{key}::{name}") for name, item in content.items()))
    if isinstance(content, list) and any(isinstance(item, dict | list) for item in content):
        return set().union(*(keys_of(item, f"{key}::{number}") for number, item in enumerate(content)))
    return {key.removeprefix("::")}


@pytest.mark.parametrize("multi", [False, True], ids=["one process", "several"])
@pytest.mark.parametrize("config", TRAIN, ids=lambda path: path.parts[-3])
def test_no_key_of_a_training_is_forgotten(config, multi):
    files = [config, config.with_name("multi_gpu_train.json")] if multi else [config]
    content = ConfigParser.load_config_files([str(file) for file in files])
    settings = settings_of(content)
    handlers = "train::handlers::"
    every = {key for key in keys_of(content) if "handlers" not in key.split("::")}
    assert every - settings.values.keys() == {key for key in every if may_differ(key)}
    named = {key.split("::")[2] for key in settings.values if key.startswith(handlers)}
    listed = {item["_target_"].rpartition(".")[2] for item in content["train"]["handlers"]}
    assert named == {"LrScheduleHandler", "ValidationHandler"} <= listed


def test_every_exemption_is_of_a_key_that_exists():
    """Hosts, MONAI's tracking and MONAI's data loaders add the keys of the other exemptions to a config."""
    contents = [json.loads(file.read_text()) for path in TRAIN for file in path.parent.glob("*.json")]
    keys = set().union(*map(keys_of, contents))
    brought = {"_meta_", "_meta_::*", "experiment_name", "tracking", "tracking_uri", "train::dataset::data"}
    brought |= {"validate::dataset::data", "*::persistent_workers", "*::pin_memory", "*::prefetch_factor"}
    patterns = {pattern for patterns in MAY_DIFFER.values() for pattern in patterns} - brought
    heads = {key.partition("::")[0] for key in keys} | keys
    assert not [pattern for pattern in patterns if not any(fnmatchcase(key, pattern) for key in heads)]


def test_a_value_is_what_the_run_takes_and_an_object_is_its_text():
    settings = in_use(
        rate=0.1,
        half="$@rate / 2",
        optimizer={"_target_": "builtins.dict", "lr": "@rate", "betas": [0.9, "$1 - @rate"]},
        holder={"_target_": "builtins.dict", "it": "@optimizer"},
    )
    expected = {"rate": 0.1, "half": 0.05, "optimizer::lr": 0.1, "optimizer::betas": [0.9, 0.9]}
    assert {key: settings.values[key] for key in expected} == expected
    assert settings.values["holder::it"] == "@optimizer"
    assert {"half", "optimizer::lr", "optimizer::betas", "holder::it"} <= settings.derived
    assert "rate" not in settings.derived


def test_a_key_that_the_command_line_adds_is_there():
    parser = parsed(optimizer={"_target_": "builtins.dict", "lr": 0.1})
    parser["optimizer#weight_decay"] = 0.2
    assert parser.get_parsed_content("used")["settings"].values["optimizer::weight_decay"] == 0.2


def test_paths_devices_workers_and_output_are_no_settings():
    settings = in_use(
        **FOLDERS,
        num_workers=4,
        device="cpu",
        resume=True,
        run_name="mine",
        loader={"_target_": "builtins.dict", "num_workers": "@num_workers", "pin_memory": True, "size": 8},
        other={"_target_": "builtins.dict", "folder": "@output_dir"},
    )
    assert {key: value for key, value in settings.values.items() if not key.endswith("_target_")} == {
        "loader::size": 8,
        "other::folder": "@output_dir",
    }


def test_handlers_go_by_name_and_those_that_only_write_do_not_count():
    own = {"_target_": "LrScheduleHandler", "epoch_level": False}
    tracked = [{"_target_": "StatsHandler"}, own, {"_target_": "MLFlowHandler", "run_name": "mine"}]
    settings = settings_of({"train": {"handlers": tracked}})
    assert settings == settings_of({"train": {"handlers": [own]}})
    assert settings.values["train::handlers::LrScheduleHandler::epoch_level"] is False


def test_the_order_of_transforms_counts():
    flip, noise = {"_target_": "RandFlipd", "prob": 0.5}, {"_target_": "RandGaussianNoised", "prob": 0.5}
    assert settings_of({"transforms": [flip, noise]}) != settings_of({"transforms": [noise, flip]})


def test_the_values_below_a_key():
    settings = settings_of({"network_def": {"_target_": "ENet", "out_channels": 2}, "seed": 0})
    assert settings.below("network_def") == {"_target_": "ENet", "out_channels": 2}
    assert settings_of({"network_def": "$@student_bundle.build_network()"}).below("network_def") is None


def test_outside_of_a_config_there_are_none():
    with pytest.raises(RuntimeError, match=r"\Asettings_in_use: not called from a config of MONAI\Z"):
        settings_in_use()
