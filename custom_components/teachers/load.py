"""Loading of a teacher from its bundle, and all checks that the teacher fits the student."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.transforms import Compose
from torch import nn

from custom_components.bundle import Bundle, read_bundle
from custom_components.bundle.weights import load_weights, network_differences, read_provenance
from custom_components.data.describe import describe
from custom_components.foundation.errors import InputError
from custom_components.teachers.taps import Taps

RETRAIN = "train this teacher again"


@dataclass
class Teacher:
    """A frozen network, its taps, and the facts that its bundle states.

    ``adapted_to`` is a hash of the cases that the network's batch-norm statistics were re-estimated on. It is None if
    the statistics are still those of the teacher's training. ``distance`` is then the :func:`batch_norm_distance` of
    these cases from the former statistics. ``trained_on`` holds the ``voxel_sha256`` of the cases of the teacher's own
    training; it is None if the provenance does not list one for each case.
    """

    bundle: Bundle
    network: nn.Module
    taps: Taps
    weights_sha256: str
    adapted_to: str | None = None
    distance: float | None = None
    trained_on: frozenset[str] | None = None

    @property
    def name(self) -> str:
        return self.bundle.name

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the teacher's answers depend on, except the image."""
        adapted = {"adapted_to": self.adapted_to} if self.adapted_to else {}
        return {**self.bundle.identity, "weights_sha256": self.weights_sha256, **adapted}


def load_teacher(
    name_or_path: str,
    bundles_dir: str | Path = ".",
    preprocessing: Compose | None = None,
    held_out: Iterable[Mapping[str, Any]] = (),
    out_channels: int = 2,
) -> Teacher:
    """Load a teacher bundle's network and weights, without running any code of the bundle.

    Args:
        name_or_path: the teacher bundle's folder, or its name in ``bundles_dir``.
        bundles_dir: the folder of the bundles that are given by name.
        preprocessing: the student's preprocessing; the teacher must have been trained with the same.
        held_out: the student's test cases; none of them may be among the cases that the teacher was trained on.
        out_channels: the student's number of classes.

    Raises:
        InputError: if there is no checkpoint or no provenance, if the weights have another hash than the provenance
            names, if they are not plain tensors or belong to another network, or if a condition above is not met.
    """
    bundle = read_bundle(name_or_path, bundles_dir)
    _require(bundle.model_file, bundle, "no checkpoint")
    _require(bundle.provenance_file, bundle, "no provenance")
    provenance = read_provenance(bundle)
    _check_network(bundle, provenance)
    check_classes(bundle, out_channels)
    if preprocessing is not None:
        _check_preprocessing(bundle, provenance, describe(preprocessing.transforms))
    check_held_out(bundle.provenance_file, provenance.get("cases"), held_out)

    network = bundle.build_network()
    load_weights(network, bundle.model_file)
    taps = Taps(network, bundle.taps)
    return Teacher(
        bundle,
        network.eval().requires_grad_(False),
        taps,
        provenance["weights_sha256"],
        trained_on=_trained_on(provenance["cases"]),
    )


def _trained_on(cases: Mapping[str, Any]) -> frozenset[str] | None:
    hashes = [case.get("voxel_sha256") for part in ("training", "unlabeled") for case in cases.get(part, [])]
    return frozenset(hashes) if all(hashes) else None


def _require(file: Path, bundle: Bundle, what: str) -> None:
    if not file.is_file():
        raise InputError(f"{file}: teacher '{bundle.name}' has {what}; run its training first")


def _check_network(bundle: Bundle, provenance: Mapping[str, Any]) -> None:
    if told := network_differences(provenance, bundle.network_def):
        raise InputError(
            f"{bundle.path}/configs/train.json: network_def is not the one that was trained: {told}; "
            f"set it in the bundle's configs, or {RETRAIN}"
        )


def check_classes(bundle: Bundle, out_channels: int) -> None:
    """Raises InputError unless the teacher has as many classes as the student."""
    classes = bundle.out_channels
    if classes != out_channels:
        raise InputError(f"{bundle.path}/configs/train.json: teacher has {classes} classes, the student {out_channels}")


def _check_preprocessing(bundle: Bundle, provenance: Mapping[str, Any], expected: list[dict[str, Any]]) -> None:
    found = provenance.get("preprocessing")
    if found == expected:
        return
    if not isinstance(found, list) or len(found) != len(expected):
        what = f"{len(found or [])} transforms, not {len(expected)}"
    else:
        own, other = next(pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
        place, own, other = _innermost_difference(own.get("transform", "a transform"), own, other)
        what = f"{place} is {own!r}, the student's is {other!r}"
    raise InputError(
        f"{bundle.provenance_file}: other preprocessing: {what}; {RETRAIN} with the student's preprocessing"
    )


def _innermost_difference(place: str, own: Any, other: Any) -> tuple[str, Any, Any]:
    """The setting in which two described transforms differ (such as ``Resized.mode``), and its two values."""
    if isinstance(own, Mapping) and isinstance(other, Mapping) and own.get("transform") == other.get("transform"):
        key = next(key for key in sorted(own.keys() | other.keys()) if own.get(key) != other.get(key))
        return _innermost_difference(f"{place}.{key}", own.get(key), other.get(key))
    return place, own, other


def check_held_out(where: Path, cases: Any, held_out: Iterable[Mapping[str, Any]]) -> None:
    """Check that a teacher has seen none of the student's test cases.

    Args:
        where: the file that lists the teacher's cases, for messages.
        cases: the teacher's lists ``training``, ``validation`` and ``unlabeled``; each case in them has a
            ``voxel_sha256`` or a ``patient``.
        held_out: the student's test cases.

    Raises:
        InputError: if the teacher has seen a test case, or if the lists do not show whether it has.
    """
    if not isinstance(cases, Mapping) or not isinstance(cases.get("training"), list):
        raise InputError(f"{where}: does not list the cases trained on; {RETRAIN}")
    seen = [case for part in ("training", "validation", "unlabeled") for case in cases.get(part, [])]
    held_out = list(held_out)
    keys = [key for key in ("voxel_sha256", "patient") if all(case.get(key) for case in [*seen, *held_out])]
    if held_out and not keys:
        raise InputError(
            f"{where}: cannot tell whether the student's test cases were in this teacher's training: "
            "not all cases have a voxel_sha256 or patient; write splits with python -m data_prep split"
        )
    for key in keys:
        known = {case[key] for case in seen if case.get(key)}
        leaked = [case.get("case", case.get("image")) for case in held_out if case.get(key) in known]
        if leaked:
            names = ", ".join(leaked[:3]) + (", …" if len(leaked) > 3 else "")
            raise InputError(
                f"{where}: {len(leaked)} of the student's test cases were in this teacher's training "
                f"(same {key.removesuffix('_sha256')}: {names}); {RETRAIN} on a datalist of the same split"
            )
