"""The origin of a model's weights: ``models/provenance.json``, written next to every ``model.pt``.

With this file a distillation refuses a teacher that does not fit: a teacher with another preprocessing or other
classes, with changed weights, or with the student's test cases in its training.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from monai.transforms import Compose

from custom_components.bundle import Bundle, read_bundle
from custom_components.data.datalist import case_name
from custom_components.data.describe import describe
from custom_components.data.prepared import PreparedCase
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json
from custom_components.run_identity import case_identities, run_identity
from custom_components.run_settings import Settings
from custom_components.teachers import OnlineTeachers, Teachers

CASE_KEYS = ("case", "site", "patient", "voxel_sha256", "label_sha256")
# Only these keys are made public. Others may hold private text, such as paths and user names in the command.
PUBLIC = (
    "bundle",
    "network_def",
    "preprocessing",
    "pretrained",
    "online",
    "federation",
    "split",
    "teachers",
    "predicted_teachers",
    "adapted_teachers",
    "seed",
    "git_revision",
    "versions",
    "weights_sha256",
    "epoch",
    "metrics",
)


def provenance(
    bundle_dir: str | Path,
    datalist: str | Path,
    preprocessing: Compose,
    training: Iterable[PreparedCase],
    validation: Iterable[PreparedCase],
    teachers: Teachers | None = None,
    pretrained: str | Path | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Make the record of a training before it starts; the weights' hash and the metrics are added with the weights.

    Args:
        bundle_dir: the bundle whose network is trained.
        datalist: the split file. A host that gives a plain list of volumes has no split file, and the record holds
            None.
        preprocessing: the deterministic transforms.
        training: the training cases; the record lists those without a mask under ``unlabeled``.
        validation: the cases that decide the best epoch.
        teachers: the teachers of a distillation.
        pretrained: the file of ImageNet weights that the network starts with; None for random weights.
        settings: the settings of the training's config, with the changes of the command line. Without a config they are
            None; then the record has the network of the bundle's file, and no identity for resuming.

    Returns:
        The record. Its ``run`` is the :func:`run_identity`; ``predicted_teachers`` is :attr:`Teachers.seen`.
    """
    bundle = read_bundle(str(bundle_dir))
    training, validation = list(training), list(validation)
    unlabeled = [case for case in training if case.label is None]
    parts = {"training": [case for case in training if case.label is not None], "validation": validation}
    parts |= {"unlabeled": unlabeled} if unlabeled else {}
    pretrained_sha256 = file_sha256(pretrained) if pretrained else None
    own_network = settings.below("network_def") if settings else None
    return {
        "bundle": bundle.name,
        # A distillation's config names the student's bundle instead of a network.
        "network_def": own_network or bundle.network_def,
        "preprocessing": describe(preprocessing.transforms),
        "split": _split(datalist, [*training, *validation]),
        "cases": {part: _cases(cases) for part, cases in parts.items()},
        "teachers": dict(zip(teachers.names, teachers.weights_sha256, strict=True)) if teachers else {},
        "predicted_teachers": {name: dict(told) for name, told in teachers.seen.items()} if teachers else {},
        # The batch-norm statistics of these teachers were re-estimated on the training's images.
        "adapted_teachers": _adapted(teachers),
        "pretrained": pretrained_sha256,
        "online": isinstance(teachers, OnlineTeachers),
        "seed": monai.utils.get_seed(),
        "command": sys.argv,
        "git_revision": _git_revision(Path(__file__).parent),
        "versions": {"monai": monai.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "run": _identity(settings, bundle, parts, teachers, pretrained_sha256) if settings else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def public_provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """The part of a provenance that a receiver needs, without names of cases, patients, users and folders.

    Each case keeps its site and the hash of its voxels; the cases are sorted. A distillation compares the hashes with
    its test cases, and so finds a teacher that was trained on one of them. Only someone who has the image can compute
    its hash.
    """
    cases = {
        part: sorted(
            ({key: case[key] for key in ("voxel_sha256", "site") if key in case} for case in cases),
            key=lambda case: list(case.values()),
        )
        for part, cases in provenance["cases"].items()
    }
    # Settings may hold a user's path, and cases have names, so only the identity's hash is public.
    run = provenance.get("run") and {key: provenance["run"][key] for key in ("version", "sha256")}
    return {key: provenance[key] for key in PUBLIC if key in provenance} | {"cases": cases, "run": run}


def _cases(cases: Iterable[PreparedCase]) -> list[dict[str, str]]:
    return [{"case": case.name} | {key: case.info[key] for key in CASE_KEYS if key in case.info} for case in cases]


def _adapted(teachers: Teachers | None) -> list[str]:
    named = zip(teachers.names, teachers.identities, strict=True) if teachers else []
    return [name for name, identity in named if identity.get("adapted_to")]


def _identity(
    settings: Settings,
    bundle: Bundle,
    parts: Mapping[str, Sequence[PreparedCase]],
    teachers: Teachers | None,
    pretrained_sha256: str | None,
) -> dict[str, Any]:
    cases = {part: case_identities(own) for part, own in parts.items()}
    if teachers is None:
        return run_identity(settings, cases, pretrained_sha256)
    named = dict(zip(teachers.names, teachers.identities, strict=True))
    return run_identity(settings, cases, pretrained_sha256, bundle.identity, named)


def _split(datalist: str | Path, cases: Iterable[PreparedCase]) -> dict[str, str] | None:
    """Name and hash of the split file; None if the cases are not in the file, as with a host's own cases."""
    try:
        split = read_json(datalist)
    except InputError:
        return None
    listed = {case_name(case) for part in ("training", "validation", "unlabeled") for case in split.get(part, [])}
    if not {case.name for case in cases} <= listed:
        return None
    return {key: split[key] for key in ("name", "sha256") if key in split}


def _git_revision(folder: Path) -> str | None:
    """The git commit of this code, with ``+changes`` if files were changed since; None outside a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
