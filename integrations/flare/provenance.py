"""The provenance of weights that several hospitals made together."""

from typing import Any

from custom_components.errors import InputError


def check_alike(hospitals: dict[str, dict[str, Any]]) -> None:
    """Raises InputError unless all hospitals trained the same network with the same preprocessing."""
    first, *others = hospitals
    for key in ("network_def", "preprocessing", "pretrained"):
        if differing := [name for name in others if hospitals[name][key] != hospitals[first][key]]:
            raise InputError(f"{', '.join(differing)}: trained with another {key} than {first}; bring both up to date")


def federated_provenance(
    hospitals: dict[str, dict[str, Any]], scores: dict[str, dict[str, float]], rounds: int
) -> dict[str, Any]:
    """One provenance for all: their cases together, so that a test case of any hospital is still found among them.

    Args:
        hospitals: name to the public provenance of its training.
        scores: name to the metrics of the final weights on its own validation cases.
        rounds: of averaging; recorded as the epoch.

    Returns:
        As of a training, with the mean of the scores by validation cases, and ``federation``: rounds, and for each
        hospital its split and scores.
    """
    cases = {
        part: [case for own in hospitals.values() for case in own["cases"][part]] for part in ("training", "validation")
    }
    metrics = {
        metric: sum(scores[name][metric] * len(own["cases"]["validation"]) for name, own in hospitals.items())
        / len(cases["validation"])
        for metric in next(iter(scores.values()))
    }
    members = {name: {"split": own["split"], "metrics": scores[name]} for name, own in hospitals.items()}
    return {
        **next(iter(hospitals.values())),
        "split": None,
        "run": None,  # each hospital had its own
        "cases": cases,
        "federation": {"rounds": rounds, "hospitals": members},
        "epoch": rounds,
        "metrics": metrics,
    }
