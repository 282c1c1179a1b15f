"""Joining of trained bundles into one bundle, whose network is the mean of theirs."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_components.bundle.reading import MEMBERS, SHIPPED_BUNDLES, Bundle, read_bundle
from custom_components.bundle.weights import load_weights, network_differences, read_provenance
from custom_components.checkpoint import write_weights
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from custom_components.networks import Ensemble

CONFIGS = ("evaluate.json", "inference.json", "train.json", "preprocessing.json", "metadata.json", "logging.conf")


def join_bundles(members: Sequence[str], folder: Path, flips: bool = False) -> None:
    """Write a bundle whose network is the :class:`Ensemble` of trained bundles; it can be evaluated, predict and teach.

    The configs are those of the first member, with the ensemble as their network and without taps. So a student of an
    ensemble compares probabilities, and the terms that compare features leave the ensemble out. The provenance lists
    the cases of all members.

    Args:
        members: names or folders of trained bundles.
        folder: the folder of the new bundle; one that is there is replaced.
        flips: whether each member also sees the slice with left and right exchanged.

    Raises:
        InputError: if a member is not trained, if the members differ in preprocessing or classes, or if ``folder`` is
            that of a member.
    """
    bundles = [read_bundle(member, SHIPPED_BUNDLES) for member in members]
    if folder.resolve() in [bundle.path for bundle in bundles]:
        raise InputError(f"--out {folder}: is the folder of a member, whose weights would be lost; give another folder")
    provenances = [read_provenance(bundle) for bundle in bundles]
    for bundle, provenance in zip(bundles, provenances, strict=True):
        _require_fit(bundle, provenance, bundles[0], provenances[0])
    networks = [load_weights(bundle.build_network(), bundle.model_file) for bundle in bundles]
    network_def = {
        "_target_": "custom_components.networks.Ensemble",
        MEMBERS: [dict(bundle.network_def) for bundle in bundles],
        "flips": flips,
    }
    _write_configs(bundles[0].path, folder, network_def)
    (folder / "models").mkdir(exist_ok=True)
    provenance = _provenance(folder.name, network_def, bundles, provenances)
    write_weights(folder / "models" / "model.pt", Ensemble(networks, flips), provenance, 0, {})


def _require_fit(bundle: Bundle, provenance: Mapping[str, Any], first: Bundle, other: Mapping[str, Any]) -> None:
    if told := network_differences(provenance, bundle.network_def):
        raise InputError(f"{bundle.path}/configs/train.json: network_def is not the one that was trained: {told}")
    if bundle.out_channels != first.out_channels:
        raise InputError(f"{bundle.path}: has {bundle.out_channels} classes, {first.path} has {first.out_channels}")
    if provenance["preprocessing"] != other["preprocessing"]:
        raise InputError(
            f"{bundle.path}: was trained with another preprocessing than {first.path}; train both with the same"
        )


def _write_configs(source: Path, folder: Path, network_def: Mapping[str, Any]) -> None:
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    for name in CONFIGS:
        config = source / "configs" / name
        if config.suffix != ".json":
            shutil.copy2(config, folder / "configs" / name)
            continue
        content = read_json(config)
        if "network_def" in content:
            content["network_def"] = network_def
        if "taps" in content:
            content["taps"] = {}
        if name == "metadata.json":
            content |= {"name": folder.name, "description": "The mean of the probabilities of several networks."}
        write_json(folder / "configs" / name, content)


def _provenance(
    name: str,
    network_def: Mapping[str, Any],
    bundles: Sequence[Bundle],
    provenances: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    parts = dict.fromkeys(part for provenance in provenances for part in provenance["cases"])
    cases: dict[str, list[Any]] = {part: [] for part in parts}
    for provenance in provenances:
        for part, own in provenance["cases"].items():
            cases[part] += [case for case in own if case not in cases[part]]
    splits = [provenance["split"] for provenance in provenances]
    shared = ("preprocessing", "versions", "git_revision")
    return {
        "bundle": name,
        "network_def": network_def,
        **{key: provenances[0].get(key) for key in shared},
        "split": splits[0] if all(split == splits[0] for split in splits) else None,
        "cases": cases,
        "members": [
            {"bundle": bundle.name, "weights_sha256": provenance["weights_sha256"]}
            for bundle, provenance in zip(bundles, provenances, strict=True)
        ],
        "teachers": {},
        "pretrained": None,
        "seed": None,
        "run": None,
    }
