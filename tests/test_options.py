"""MONAI's command line gives every option the text that the user typed, in the option's kind."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from custom_components.forked_python import run_forked
from custom_components.foundation.errors import InputError
from custom_components.options import FLAGS, NUMBERS, TEXT, TEXTS, WHOLE_NUMBERS, as_meant, flag, typed_options

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = sorted(REPOSITORY.glob("bundles/*/configs/*.json"))
RUN = [sys.executable, "-m", "monai.bundle", "run"]

AS_TYPED = {
    "dataset_dir": "2024",
    "output_dir": "1e3",
    "cache_dir": "Study #3",
    "models_dir": "$HOME/x",
    "bundles_dir": "@seed",
    "ckpt_path": "%seed",
    "datalist": "a,b [c] {d: 1}",
    "student": "7",
    "run_name": "None",
    "part": "True",
    "pretrained": "007",
    "predictions_dir": "1_000",
    "bundle_root": 'O\'Brien "x"',
    "nested::file": "/data/#4/a.pt",
    "nested::folder": "~/x y",
}
AS_MEANT = {
    "nested::amp": ("false", False),
    "resume": ("yes", True),
    "anything": ("TRUE", True),
    "field_of_view": ("None", None),
    "learning_rate": ("1e-3", 0.001),
    "teachers": ("['7',1e3,\"O'Brien #2\"]", ["7", "1e3", "O'Brien #2"]),
}


def test_the_command_line_of_monai(tmp_path):
    """Texts stay as they were typed, letter by letter. true, false and None are values, not texts."""
    defaults = dict.fromkeys([*AS_TYPED, *AS_MEANT], "default") | {"seed": 0, "field_of_view": 128, "pretrained": None}
    config = {key: value for key, value in defaults.items() if "::" not in key}
    config["nested"] = {"_target_": "dict", "file": "f", "folder": "d", "amp": True}
    shown = ", ".join(f"'{key}': @{key}" for key in config)
    config |= {"imports": ["$import custom_components"], "run": [f"$print({{{shown}}})"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    words = [f"--config_file={tmp_path / 'config.json'}"]
    for key, value in {**AS_TYPED, **{key: words for key, (words, _) in AS_MEANT.items()}}.items():
        words += [f"--{key.replace('::', '#')}", value]
    done = run_forked([*RUN, *words], cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    found = ast.literal_eval(line)
    nested = found.pop("nested")
    found |= {f"nested::{key}": value for key, value in nested.items()}
    assert found == {**AS_TYPED, **{key: meant for key, (_, meant) in AS_MEANT.items()}, "seed": 0}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--device", "gpu"], "error: --device gpu: no device; use cpu, cuda or cuda:<number>"),
        (["--devise=cpu"], "error: --devise: the config has no such option; similar ones: --device"),
    ],
)
def test_a_wrong_option_ends_the_program_with_one_line(tmp_path, words, line):
    config = {"imports": ["$import custom_components"], "device": "cpu", "run": ["$print(@device)"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    words = ["--config_file", str(tmp_path / "config.json"), *words]
    done = subprocess.run([*RUN, *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == line
    assert "Traceback" not in done.stderr


def test_words_are_taken_apart_as_fire_does():
    words = ["run", "training", "--a", "1", "--b=x=y", "--c#d", "-2", "--e", "--f-g", "h", "--a", "3", "--i="]
    assert typed_options(words) == {"a": "3", "b": "x=y", "c::d": "-2", "f_g": "h", "i": ""}


def test_text_of_a_config_keeps_its_signs():
    parser = ConfigParser({"path": "Study #3/@#x", "deep": {"list": ["a#b", "$1 + 1", "@path"]}})
    assert parser.get_parsed_content("path") == "Study #3/@#x"
    assert parser.get_parsed_content("deep") == {"list": ["a#b", 2, "Study #3/@#x"]}


@pytest.mark.parametrize("value", [2024, 1e3, False])
def test_a_number_from_a_file_is_no_name(value):
    with pytest.raises(InputError, match=rf"\A--dataset_dir {value}: not a name or a path; in a file, .* in quotes\Z"):
        as_meant("dataset_dir", value, {})


def test_an_option_without_a_value_is_told():
    with pytest.raises(InputError, match=r"\A--dataset_dir: has no value; .* --dataset_dir=-name\Z"):
        as_meant("dataset_dir", True, {})


@pytest.mark.parametrize(
    ("words", "value", "texts"),
    [
        ("pspnet", "pspnet", ["pspnet"]),
        ("7", 7, ["7"]),
        ("7,1e3", (7, 1000.0), ["7", "1e3"]),
        ("a b,c", "a b,c", ["a b,c"]),
        ("[a, 'b c' ,007]", None, ["a", "b c", "007"]),
        ("('a',)", None, ["a"]),
        (json.dumps(['/d/O\'Brien "x" #2']), None, ['/d/O\'Brien "x" #2']),
        ("[]", None, []),
    ],
)
def test_several_names(words, value, texts):
    assert as_meant("teachers", value, {"teachers": words}) == texts


def test_an_open_quote_is_told():
    with pytest.raises(InputError, match=r"\A--teachers \[O'Brien\]: a quote is open; put each name in quotes: .*\Z"):
        as_meant("teachers", None, {"teachers": "[O'Brien]"})


def test_none_is_null_where_null_is_the_default():
    assert as_meant("pretrained", None, {"pretrained": "None"}) is None
    assert as_meant("dataset_dir", "dataset", {"dataset_dir": "None"}) == "None"


@pytest.mark.parametrize("value", [True, "True", "true", 1, "1", "yes", "YES"])
def test_on(value):
    assert flag("resume", value) is True


@pytest.mark.parametrize("value", [False, "False", "false", 0, "0", "no"])
def test_off(value):
    assert flag("resume", value) is False


@pytest.mark.parametrize("value", ["on please", "", None, 2, "ture"])
def test_what_may_mean_either_is_refused(value):
    with pytest.raises(InputError, match=rf"\A--resume {value}: neither True nor False"):
        flag("resume", value)


@pytest.mark.parametrize(("option", "value"), [("seed", "abc"), ("seed", 1.5), ("seed", True), ("learning_rate", "x")])
def test_no_number(option, value):
    with pytest.raises(InputError, match=rf"\A--{option} {value}: not a (whole )?number\Z"):
        as_meant(option, value, {})


def test_devices(monkeypatch):
    assert as_meant("device", "cpu", {}) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"\A--device cuda: this machine has no GPU that torch can use; .* cpu\Z"):
        as_meant("device", "cuda", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert as_meant("train::trainer::device", "cuda:1", {}) == torch.device("cuda", 1)
    with pytest.raises(InputError, match=r"\A--device cuda:2: this machine has 2 GPUs; .*\Z"):
        as_meant("device", "cuda:2", {})


def test_every_option_of_the_configs_has_the_kind_of_its_default():
    """Users set the keys at the top of a config."""
    kinds = {name: kind for names, kind in ((FLAGS, bool), (WHOLE_NUMBERS, int), (NUMBERS, float)) for name in names}
    named = TEXT | TEXTS | kinds.keys() | {"device", "on", "precision", "schedule", "teacher_precision"}
    for config in CONFIGS:
        if config.name == "metadata.json":
            continue
        for key, default in json.loads(config.read_text()).items():
            # "::" reaches into another config. MONAI's tracking puts a path into save_execute_config.
            if "::" in key or key == "save_execute_config":
                continue
            if isinstance(default, bool | int | float):
                assert isinstance(default, kinds[key] if kinds[key] is not float else int | float), (config, key)
            elif isinstance(default, str) and not default.startswith(("$", "@")):
                assert key in named, (config, key)
            if key.endswith(("_dir", "_root", "_path", "_name")):
                assert key in TEXT, (config, key)
