"""Model cards: their figures come from an evaluation of the weights that they name, and they hold no person's name."""

import json
import re
from pathlib import Path

import pytest
from shipped_bundles import FOLDERS

from custom_components.bundle.card import model_card
from custom_components.bundle.configs import generated_files
from custom_components.bundle.facts import keep_facts
from custom_components.data.describe import describe
from custom_components.foundation.errors import InputError

SCORES = {"dice_mean": 0.8126, "dice_std": 0.01, "hd95_mm_mean": 7.25, "hd95_mm_std": 3.0, "asd_mm_mean": 1.96}
KNOWN = {
    "weights_sha256": "aaaa",
    "trained_on": {"training": {"BMC": 12, "HK": 8}, "validation": {"HK": 1}},
    "split": {"name": "all", "sha256": "bbbb"},
    "run": {"version": 1, "sha256": "dddd"},
    "teachers": {"pspnet": "cccc"},
    "evaluation": {
        "split": {"name": "all", "sha256": "bbbb"},
        "summary": {
            "all": {**SCORES, "asd_mm_std": 0.04, "n": 3, "missed": 1},
            "sites": {"BMC": {**SCORES, "asd_mm_std": 0.06, "n": 3, "missed": 1}},
        },
    },
}


def read(bundle: Path, file: str) -> dict:
    return json.loads((bundle / "configs" / file).read_text())


def card(known: dict | None) -> str:
    enet = next(folder for folder in FOLDERS if folder.name == "enet")
    return model_card(read(enet, "metadata.json"), read(enet, "inference.json"), known, "COMMANDS")


@pytest.fixture
def evaluated(make_trained, workflow):
    bundle = make_trained("enet")
    workflow(bundle.path, "evaluate").run()
    return bundle


@pytest.mark.parametrize("bundle", FOLDERS, ids=lambda path: path.name)
def test_a_checked_in_card_says_what_a_reader_must_know(bundle):
    text = (bundle / "docs" / "README.md").read_text()
    assert text.startswith(f"# {read(bundle, 'metadata.json')['name']}\n")
    assert "not for diagnosis" in text
    assert "384x384" in text
    headings = ["Input and output", "Training data", "Figures", "Commands", "Limits", "Reference"]
    assert re.findall("^## (.*)$", text, re.MULTILINE) == headings
    configs = re.findall(r"--config_file (\S+)", text)
    assert {Path(config).name for config in configs} == {"train.json", "evaluate.json", "inference.json"}
    assert all((bundle.parents[1] / config).is_file() for config in configs)
    assert ("ckpt_export" in text) == (bundle.name != "distillation")


def test_the_figures_are_those_of_the_evaluation():
    text = card(KNOWN)
    assert "| BMC | 3 | 0.813 ± 0.010 | 7.2 ± 3.0 | 2.0 ± 0.1 | 1 |\n" in text
    assert "| **all** | 3 | 0.813 ± 0.010 | 7.2 ± 3.0 | 2.0 ± 0.0 | 1 |\n" in text
    assert "These weights on 3 test cases of split `all`, SHA-256 `bbbb`:" in text
    assert "SHA-256 `aaaa`:\n\n- trained on 20 cases (BMC 12, HK 8)\n- epoch chosen on 1 case (HK 1)\n" in text
    assert "- teacher `pspnet`, SHA-256 `cccc`" in text
    assert "- settings, images and masks of the run, SHA-256 `dddd`\n" in text


def test_the_preprocessing_is_that_of_the_run(checked_in_preprocessing):
    """The configs' own size does not matter. For a window, the card names its side and the risk of a cut gland."""
    transforms = describe(checked_in_preprocessing(image_size=64, field_of_view=128).transforms)
    text = " ".join(card({**KNOWN, "preprocessing": transforms}).split())
    assert "cropped or padded around its centre to 128x128 pixels, each slice resized to 64x64 pixels" in text
    window = "- The network sees only the central 128 mm of a slice. Inference warns when a mask touches the border"
    assert window in text
    assert "384x384" not in text
    assert "sees only the central" not in card(KNOWN)


def test_what_is_not_known_is_said():
    assert card(None).count("The repository holds no weights") == 1
    assert "There are no figures yet" in card(None)
    assert "There are no figures yet" in card({**KNOWN, "evaluation": None})
    nothing = {"split": None, "run": None, "teachers": {}}
    bare = card({**KNOWN, **nothing, "trained_on": {"training": {"HK": 2}, "validation": {}}})
    assert "- trained on 2 cases (HK 2)\n- epoch chosen on 0 cases\n\n## Figures" in bare


def test_a_command_takes_the_figures_into_the_card(evaluated, dataset_dir, copy_bundles_to, tmp_path):
    keep_facts(str(evaluated.path))
    text = (evaluated.path / "docs" / "facts.json").read_text()
    known = json.loads(text)
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    report = json.loads((evaluated.path / "output" / "evaluation.json").read_text())
    assert known["trained_on"]["training"] == {"BMC": 2, "HK": 2, "UCL": 2}
    assert known["split"] == known["evaluation"]["split"] == {"name": "all", "sha256": split["sha256"]}
    assert known["evaluation"]["summary"] == report["summary"]
    assert not [case for part in ("training", "validation", "test") for case in split[part] if case["case"] in text]

    checked_in = copy_bundles_to(tmp_path / "repo", "enet") / "enet"
    (checked_in / "docs" / "facts.json").write_text(text)
    dice = f"{report['summary']['all']['dice_mean']:.3f}"
    assert f"| **all** | 3 | {dice} ± " in generated_files(checked_in)[Path("docs/README.md")]


def test_figures_of_other_weights_are_no_figures_of_these(evaluated):
    file = evaluated.path / "output" / "evaluation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"weights_sha256": "0" * 64}))
    with pytest.raises(
        InputError,
        match=r"\A.*evaluation.json: no evaluation of the weights in models/.* on test cases; run .*\Z",
    ):
        keep_facts(str(evaluated.path))
    assert not (evaluated.path / "docs" / "facts.json").exists()


def test_figures_at_another_image_size_do_not_go_into_a_bundles_card(evaluated):
    with pytest.raises(
        InputError, match=r"\A.*inference.json: its preprocessing is not the one that .* trained with.*\Z"
    ):
        keep_facts("enet", str(evaluated.path))
