"""The text of a bundle's model card, made from its configs and from the facts about its weights."""

import textwrap
from pathlib import Path
from typing import Any

from custom_components.bundle.preprocessing_words import described_preprocessing, in_words, window_mm
from custom_components.bundle.reading import SHIPPED_BUNDLES
from custom_components.evaluation_table import EVALUATION_COLUMNS, evaluation_rows
from custom_components.foundation.tables import markdown_table

TEMPLATE = SHIPPED_BUNDLES / "_base" / "README.md"
NO_WEIGHTS = "The repository holds no weights. Train the bundle on your own cases."
NOT_EVALUATED = "There are no figures yet: no evaluation of this bundle is on record."

IN_AND_OUT = (
    "The input is a T2-weighted axial MRI volume (NIfTI). First the volume is preprocessed: {}. Then the network takes "
    "one slice at a time and gives logits of background and prostate. The mask (0 background, 1 prostate) lies on the "
    "input volume's own grid and keeps only the largest connected component. Inference saves the mask under the "
    "volume's name in `predictions/` of the output folder."
)
WINDOW = (
    "- The network sees only the central {0:g} mm of a slice. Inference warns when a mask touches the border of this "
    "square, because the gland may then be cut.\n"
)


def model_card(metadata: dict[str, Any], inference: dict[str, Any], facts: dict[str, Any] | None, commands: str) -> str:
    """The text of ``docs/README.md``.

    Args:
        metadata: content of ``metadata.json``.
        inference: content of ``inference.json``. The card takes the preprocessing from here if there are no facts.
        facts: facts about the trained weights, as ``facts.read_facts`` returns them; None without trained weights.
        commands: the commands that use the bundle, from ``repository_commands`` or ``package_commands``.
    """
    preprocessing = (facts or {}).get("preprocessing") or described_preprocessing(inference)
    window = window_mm(preprocessing)
    return TEMPLATE.read_text(encoding="utf-8").format(
        title=metadata["name"],
        description=metadata["description"],
        preprocessing=textwrap.fill(IN_AND_OUT.format(in_words(preprocessing)), 128),
        window=WINDOW.format(window) if window else "",
        data=_training_data(facts) if facts else NO_WEIGHTS,
        figures=_figures(facts["evaluation"]) if facts and facts["evaluation"] else NOT_EVALUATED,
        commands=commands,
        reference=metadata["references"][0],
    )


def repository_commands(name: str, options: dict[str, str], has_weights: bool) -> str:
    """The commands that use a bundle of the repository.

    Args:
        name: name of the bundle's folder.
        options: further options of the train, evaluate and inference commands.
        has_weights: whether this bundle gets the weights and can export them.
    """
    return f"""Weights are not part of the repository, so training comes first. From the repository's root:

{_shell(f"bundles/{name}", options, has_weights)}

Every value of `configs/train.json` can be overridden on the command line, for example `--train::trainer::max_epochs 1`,
`--device cpu`, `--batch_size 4`, `--learning_rate 0.001`, `--augmentation 0.5`."""


def package_commands(metadata: dict[str, Any]) -> str:
    """The commands that use an unpacked package; ``metadata`` is the content of its ``metadata.json``."""
    pins = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    requirements = " ".join(f"{name}=={version}" for name, version in pins.items())
    return f"""From this bundle's folder (the one with `SHA256SUMS`), in any environment with these packages:

```bash
pip install {requirements}
sha256sum -c SHA256SUMS
```

{_shell(".", {}, has_weights=True)}

The bundle can be a teacher: in the project's repository, name this folder in `--teachers` of the distillation bundle.
For each case of the training, `models/provenance.json` keeps only the site and a hash. A distillation compares the
hashes with its own test cases, and refuses a teacher that was trained on one of them."""


def _shell(folder: str, options: dict[str, str], has_weights: bool) -> str:
    def config(kind: str) -> str:
        return f"--config_file {(Path(folder) / 'configs' / kind).as_posix()}.json"

    lines = [
        f"{config('train')} --dataset_dir <dataset> {options.get('train', '')}",
        f"{config('evaluate')} --dataset_dir <dataset> {options.get('evaluate', '')}",
        f"{config('inference')} --dataset_dir <volumes> --output_dir <folder> {options.get('inference', '')}",
    ]
    commands = [
        f"python -m monai.bundle run {step} {line}".rstrip()
        for step, line in zip(("training", "evaluating", "inference"), lines, strict=True)
    ]
    if has_weights:
        commands.append(f"python -m monai.bundle ckpt_export network_def --bundle_root {folder} {config('inference')}")
    return "\n".join(["```bash", *commands, "```"])


def _training_data(facts: dict[str, Any]) -> str:
    lines = [
        f"Weights with SHA-256 `{facts['weights_sha256']}`:",
        "",
        f"- trained on {_cases(facts['trained_on']['training'])}",
        f"- epoch chosen on {_cases(facts['trained_on']['validation'])}",
    ]
    if facts["split"]:
        lines.append(f"- split `{facts['split']['name']}`, SHA-256 `{facts['split']['sha256']}`")
    if facts.get("run"):
        lines.append(f"- settings, images and masks of the run, SHA-256 `{facts['run']['sha256']}`")
    lines += [f"- teacher `{name}`, SHA-256 `{sha256}`" for name, sha256 in facts["teachers"].items()]
    return "\n".join(lines)


def _cases(sites: dict[str, int]) -> str:
    each = ", ".join(f"{site} {count}" for site, count in sites.items())
    total = sum(sites.values())
    return f"{total} {'case' if total == 1 else 'cases'}" + (f" ({each})" if each else "")


def _figures(evaluation: dict[str, Any]) -> str:
    summary, split = evaluation["summary"], evaluation["split"]
    lines = [
        f"These weights on {summary['all']['n']} test cases of split `{split['name']}`, SHA-256 `{split['sha256']}`:",
        "",
        markdown_table(EVALUATION_COLUMNS, evaluation_rows(summary, all_sites="**all**")),
        "",
        "The scores are computed per volume; the table shows the mean ± standard deviation over the cases. If the",
        "network finds no prostate, the diagonal of the image counts as the distance. A case is missed if the mask of",
        "the network has no voxel in common with the prostate.",
    ]
    return "\n".join(lines)
