"""The provenance of weights that several hospitals have trained together."""

from typing import Any

from custom_components.foundation.errors import InputError


def check_alike(hospitals: dict[str, dict[str, Any]]) -> None:
    """Raises InputError unless all hospitals trained the same network with the same preprocessing."""
    first, *others = hospitals
    for key in ("network_def", "preprocessing", "pretrained"):
        if differing := [name for name in others if hospitals[name][key] != hospitals[first][key]]:
            raise InputError(f"{', '.join(differing)}: trained with another {key} than {first}; bring both up to date")


def federated_provenance(
    hospitals: dict[str, dict[str, Any]], scores: dict[str, dict[str, float]], rounds: int
) -> dict[str, Any]:
    """Combine the hospitals' provenances. The result lists all cases, so that a test case of any hospital is found in
    it.

    Args:
        hospitals: the public provenance of each hospital's training, by the hospital's name.
        scores: the metrics of the final weights on each hospital's validation cases, by the hospital's name.
        rounds: number of averaging rounds; recorded as the epoch.

    Returns:
        A provenance with the scores' mean, weighted by the number of validation cases, and with ``federation``: the
        rounds, and the split and scores of each hospital.
    """
    parts = dict.fromkeys(part for own in hospitals.values() for part in own["cases"])
    cases = {part: [case for own in hospitals.values() for case in own["cases"].get(part, [])] for part in parts}
    metrics = {
        metric: sum(scores[name][metric] * len(own["cases"]["validation"]) for name, own in hospitals.items())
        / len(cases["validation"])
        for metric in next(iter(scores.values()))
    }
    members = {name: {"split": own["split"], "metrics": scores[name]} for name, own in hospitals.items()}
    return {
        **next(iter(hospitals.values())),
        "split": None,
        "run": None,  # each hospital has a split of its own
        "cases": cases,
        "federation": {"rounds": rounds, "hospitals": members},
        "epoch": rounds,
        "metrics": metrics,
    }
