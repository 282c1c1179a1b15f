"""Reads a study from its folder: ``study.json`` and the files that each run wrote into its own folder.

``study.json``::

    {"title": "...", "dataset": "<dataset folder>", "split": {"name", "sha256", "counts": {"training": n, ...}},
     "machine": {"cores": 2, ...}, "settings": {"epochs": 10, ...},
     "rows": [{"name": "<folder below bundles/>", "label": "ENet, three teachers",
               "role": "teacher" | "baseline" | "student" | "ensemble", "network": "enet",
               "sites": ["RUNMC", ...], "teachers": ["<name of a row>", ...], "seed": 0, "settings": {...},
               "fold": "", "masks": null}, ...]}

An empty list of sites means all sites. Rows that differ only in the seed or in the fold share a label. A run writes
``output/done.json`` last, so a row without this file has not been run, or its run has not ended. The report ignores
other keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.bundle.evaluating import evaluation_file
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, sha256_of
from experiments.plan import ROLES
from experiments.report.folds import join_folds
from experiments.report.run_record import RunRecord
from experiments.splits import scored_split

LATER_KEYS = ("fold", "masks")  # the studies of former versions lack these keys


@dataclass(frozen=True)
class Model:
    """The evaluated rows that differ only in the seed, in the order of their seeds."""

    rows: list[RunRecord]

    @property
    def label(self) -> str:
        return self.rows[0].label

    @property
    def network(self) -> str:
        return self.rows[0].network

    @property
    def with_cross_entropy(self) -> bool:
        """Whether the loss had cross-entropy beside the paper's equation 4."""
        settings = {"loss::cross_entropy_weight": 0.5, **self.rows[0].settings}  # 0.5 is the bundles' default
        flags = ("loss::terms::cross_entropy::weight", "loss::cross_entropy_weight")  # the first overrides the second
        return float(next(settings[flag] for flag in flags if flag in settings)) > 0

    @cached_property
    def cases(self) -> dict[str, str]:
        """The site of each case that all seeds were scored on, in the order of the cases' names."""
        shared = set.intersection(*(set(row.cases) for row in self.rows))
        return {case: self.rows[0].cases[case]["site"] for case in sorted(shared)}

    def missed(self, case: str) -> bool:
        """Whether the prediction of any seed shares no voxel with the prostate of a case."""
        return any(row.cases[case]["missed"] for row in self.rows)

    def mean_dice(self, cases: Sequence[str]) -> np.ndarray:
        """The Dice of each case, averaged over the seeds; shape (cases,)."""
        return np.mean([[row.cases[case]["dice"] for case in cases] for row in self.rows], axis=0)

    @property
    def dice_by_seed(self) -> list[float]:
        """For each seed, the mean Dice over the cases."""
        return [row.evaluation["summary"]["all"]["dice_mean"] for row in self.rows]


@dataclass(frozen=True)
class StudyRecord:
    """A study: its rows, sorted by label and then by seed, and the data that all rows share.

    Attributes:
        runs: every training; a cross-validation has one for each fold.
        rows: the lines of the report; the runs of all folds are one row.
    """

    folder: Path
    title: str
    dataset: Path
    split: Mapping[str, Any]
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    runs: list[RunRecord]

    @cached_property
    def rows(self) -> list[RunRecord]:
        return join_folds(self.runs)

    @property
    def has_new_sites(self) -> bool:
        """Whether each site in turn is new; then every site counts the same, however many cases it has."""
        return any(row.masks is not None for row in self.rows)

    @property
    def evaluated(self) -> list[RunRecord]:
        """The rows that have scores."""
        return [row for row in self.rows if row.evaluation]

    def models(self, role: str) -> list[Model]:
        """The models of a role: its evaluated rows, grouped by network and label."""
        groups: dict[tuple[str, str], list[RunRecord]] = {}
        for row in self.evaluated:
            if row.role == role:
                groups.setdefault((row.network, row.label), []).append(row)
        return [Model(rows) for rows in groups.values()]

    def teachers_of(self, row: RunRecord) -> list[RunRecord]:
        """The rows of the teachers that a row was distilled from."""
        by_name = {other.name: other for other in self.rows}
        return [by_name[name] for name in row.teachers]

    def networks_of(self, role: str) -> list[str]:
        """The networks of the rows that have a role, in the order of the rows."""
        return list(dict.fromkeys(row.network for row in self.rows if row.role == role))


def load_study(folder: Path) -> StudyRecord:
    """Reads a study from its folder.

    Raises:
        InputError: when ``study.json`` is missing, lacks a key or names an unknown role; or when a row was evaluated
            on other cases than the study's, so that its scores cannot be compared with the others.
    """
    path = folder / "study.json"
    content = read_json(path)
    try:
        rows = [
            RunRecord(
                folder=folder / "bundles" / row["name"],
                **{key: row[key] for key in LATER_KEYS if key in row},
                **{key: row[key] for key in RunRecord.__annotations__ if key not in ("folder", *LATER_KEYS)},
            )
            for row in content["rows"]
        ]
        labels = list(dict.fromkeys(row.label for row in rows))
        rows.sort(key=lambda row: (labels.index(row.label), row.seed))
        shared = {key: content[key] for key in ("title", "split", "machine", "settings")}
        study = StudyRecord(folder=folder, dataset=Path(content["dataset"]), runs=rows, **shared)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing or misplaced; run the study again to write it anew") from None
    for row in study.runs:
        if row.role not in ROLES:
            raise InputError(f"{path}: row {row.name} has the role {row.role}; use one of {', '.join(ROLES)}")
        if unknown := set(row.teachers) - {other.name for other in study.runs}:
            raise InputError(f"{path}: row {row.name} was distilled from {', '.join(sorted(unknown))}, which is no row")
        if row.evaluation:
            _require_same_cases(row, study)
    return study


def _require_same_cases(row: RunRecord, study: StudyRecord) -> None:
    file = evaluation_file(row.folder)
    of_teachers = study.split.get("teachers", {})
    split_sha256 = study.split["folds"][row.fold] if row.fold else of_teachers.get(row.name, study.split["sha256"])
    if row.evaluation["split"]["sha256"] != split_sha256 and not _has_same_cases(row, study):
        raise InputError(
            f"{file}: evaluated on another split than the study's ({study.split['name']}); evaluate this row again"
        )
    part, scored_on = row.evaluation.get("part", "no part"), study.settings["scored_on"]
    if part != scored_on:
        raise InputError(f"{file}: evaluated on {part}, the study's rows on {scored_on}; evaluate this row again")


def _has_same_cases(row: RunRecord, study: StudyRecord) -> bool:
    """Whether the scored cases are the same as in the study's present split, of which another list may have changed."""
    split = scored_split(study.folder / "splits", row.fold, row.sites)
    scored = row.evaluation.get("cases_sha256")
    return split.is_file() and scored == sha256_of(read_json(split)[study.settings["scored_on"]])
