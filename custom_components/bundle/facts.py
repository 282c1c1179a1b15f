"""The public facts of a trained bundle: provenance and evaluation, without names of cases or patients."""

from collections import Counter
from pathlib import Path
from typing import Any

from custom_components.bundle.evaluating import evaluation_file, read_evaluation
from custom_components.bundle.preprocessing_words import described_preprocessing
from custom_components.bundle.reading import SHIPPED_BUNDLES, Bundle, find_bundle, read_bundle
from custom_components.bundle.weights import network_differences, read_provenance
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from custom_components.provenance import public_provenance


def find_student_or_teacher(name_or_path: str) -> Bundle:
    """Find a bundle with weights of its own, by its name in the repository or by its folder.

    Raises:
        InputError: if there is no such bundle, or if it is the distillation bundle, which has no weights of its own.
    """
    path = find_bundle(name_or_path, SHIPPED_BUNDLES)
    student = read_json(path / "configs" / "train.json").get("student")
    if student is not None:
        raise InputError(
            f"{path}: a distillation has no weights of its own; name its student's bundle (BUNDLE={student})"
        )
    return read_bundle(str(path))


def fitting_provenance(trained: Bundle, configs: Path) -> dict[str, Any]:
    """The provenance of a bundle's weights, if they fit the configs with which they are to be used.

    Args:
        trained: the bundle with the weights.
        configs: the folder of the configs.

    Raises:
        InputError: as :func:`read_provenance`, or if the configs have another network or another preprocessing than
            the training had.
    """
    provenance = read_provenance(trained)
    inference = read_json(configs / "inference.json")
    told = network_differences(provenance, inference["network_def"])
    same_preprocessing = described_preprocessing(inference) == provenance["preprocessing"]
    other = f"network_def ({told})" if told else "" if same_preprocessing else "preprocessing"
    if other:
        raise InputError(
            f"{configs}/inference.json: its {other} is not the one that {trained.model_file} was trained with; "
            "give the configs the settings of the training (image_size?) or train with these"
        )
    return provenance


def read_facts(trained: Bundle, provenance: dict[str, Any]) -> dict[str, Any]:
    """The facts for the card: ``weights_sha256``, ``run`` (version and SHA-256 of the run's identity),
    ``preprocessing`` (of the training), ``trained_on`` (cases per site), ``split``, ``teachers`` (SHA-256 of the
    weights by name), and ``evaluation`` (split, summary; lengths in mm). The evaluation is None unless these weights
    were scored on test cases.
    """
    evaluation = read_evaluation(trained.path, provenance["weights_sha256"])
    return {
        "weights_sha256": provenance["weights_sha256"],
        "run": public_provenance(provenance)["run"],
        "preprocessing": provenance["preprocessing"],
        "trained_on": {
            part: dict(sorted(Counter(case.get("site", "unknown site") for case in provenance["cases"][part]).items()))
            for part in ("training", "validation")
        },
        "split": provenance["split"],
        "teachers": provenance["teachers"],
        "evaluation": evaluation and {key: evaluation[key] for key in ("split", "summary")},
    }


def keep_facts(name_or_path: str, trained_elsewhere: str | None = None) -> None:
    """Write the facts into the bundle's ``docs/facts.json``; the model card is made from this file.

    Args:
        name_or_path: the bundle whose card will show the facts.
        trained_elsewhere: folder of the trained and evaluated bundle, if that is not the bundle itself.

    Raises:
        InputError: as :func:`fitting_provenance`, or if the weights were not evaluated on test cases.
    """
    bundle = find_student_or_teacher(name_or_path)
    trained = find_student_or_teacher(trained_elsewhere) if trained_elsewhere else bundle
    facts = read_facts(trained, fitting_provenance(trained, bundle.path / "configs"))
    if facts["evaluation"] is None:
        raise InputError(
            f"{evaluation_file(trained.path)}: no evaluation of the weights in models/model.pt on test cases; "
            f"run evaluating with {trained.path}/configs/evaluate.json first"
        )
    write_json(bundle.path / "docs" / "facts.json", facts)
