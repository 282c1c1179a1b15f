"""A study as its report reads it: ``study.json`` and what the runs of its rows left in their folders.

``study.json``::

    {"title": "...", "dataset": "<dataset folder>", "split": {"name", "sha256", "counts": {"training": n, ...}},
     "machine": {"cores": 2, ...}, "settings": {"epochs": 10, ...},
     "rows": [{"name": "<folder below bundles/>", "label": "ENet, three teachers",
               "role": "teacher" | "baseline" | "student", "network": "enet",
               "sites": ["RUNMC", ...], "teachers": ["<name of a row>", ...], "seed": 0, "settings": {...}}, ...]}

No sites means all sites. Rows that differ in the seed alone share a label. A row without ``output/done.json``, which
a run writes last, has not been run yet, or is on its way. Other keys are for other readers.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.errors import InputError
from custom_components.files import read_json
from experiments.plan import ROLES


@dataclass(frozen=True)
class Row:
    """One run of a study."""

    name: str
    label: str
    role: str
    network: str
    sites: list[str]
    teachers: list[str]
    seed: int
    settings: dict[str, Any]
    folder: Path

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """The content of ``evaluation.json``; None while the row is not done."""
        output = self.folder / "output"
        return read_json(output / "evaluation.json") if (output / "done.json").is_file() else None

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The scores of each test case, by the case's name."""
        return {case["case"]: case for case in self.evaluation["cases"]} if self.evaluation else {}

    @cached_property
    def provenance(self) -> dict[str, Any] | None:
        """The content of ``provenance.json``; None while there are no weights."""
        path = self.folder / "models" / "provenance.json"
        return read_json(path) if path.is_file() else None

    @cached_property
    def training(self) -> dict[str, list[float]]:
        """The columns of ``training.csv``, NaN where a cell is blank; empty without the file."""
        path = self.folder / "output" / "training.csv"
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
        try:
            return {name: [float(line[name] or nan) for line in lines] for name in reader.fieldnames or ()}
        except ValueError as error:
            raise InputError(f"{path}: a cell is not a number ({error}); remove the file and train again") from None

    def prediction(self, case: str) -> Path:
        """The predicted mask of a case."""
        return self.folder / "output" / "predictions" / f"{case}.nii.gz"


@dataclass(frozen=True)
class Model:
    """The evaluated rows that differ in the seed alone, lowest seed first."""

    rows: list[Row]

    @property
    def label(self) -> str:
        return self.rows[0].label

    @property
    def network(self) -> str:
        return self.rows[0].network

    @property
    def with_cross_entropy(self) -> bool:
        """Whether it was trained with more than equation 4."""
        settings = {"loss::cross_entropy_weight": 0.5, **self.rows[0].settings}  # the bundles' own is 0.5
        flags = ("loss::terms::cross_entropy::weight", "loss::cross_entropy_weight")  # the first goes over the second
        return float(next(settings[flag] for flag in flags if flag in settings)) > 0

    def mean_dice(self, cases: Sequence[str]) -> np.ndarray:
        """The Dice of each case, as the mean over the seeds."""
        return np.mean([[row.cases[case]["dice"] for case in cases] for row in self.rows], axis=0)

    @property
    def dice_by_seed(self) -> list[float]:
        """The mean Dice over the cases, one a seed."""
        return [row.evaluation["summary"]["all"]["dice_mean"] for row in self.rows]


@dataclass(frozen=True)
class Study:
    """A study: its runs, those of a label one after the other by seed, and what they have in common."""

    folder: Path
    title: str
    dataset: Path
    split: Mapping[str, Any]
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: list[Row]

    @property
    def evaluated(self) -> list[Row]:
        """The rows that have scores."""
        return [row for row in self.rows if row.evaluation]

    def models(self, role: str) -> list[Model]:
        """The evaluated rows of a role, those of one network and label together."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.evaluated:
            if row.role == role:
                groups.setdefault((row.network, row.label), []).append(row)
        return [Model(rows) for rows in groups.values()]

    def teachers_of(self, row: Row) -> list[Row]:
        """The rows that a row was distilled from."""
        by_name = {other.name: other for other in self.rows}
        return [by_name[name] for name in row.teachers]

    def networks_of(self, role: str) -> list[str]:
        """The networks that have rows of a role, in the order of the rows."""
        return list(dict.fromkeys(row.network for row in self.rows if row.role == role))


def load_study(folder: Path) -> Study:
    """Reads a study.

    Raises:
        InputError: When ``study.json`` is missing or lacks a key, names an unknown role, or when a row was evaluated
            on another split or part than the study's, so that its scores cannot stand beside the others.
    """
    path = folder / "study.json"
    content = read_json(path)
    try:
        rows = [
            Row(
                folder=folder / "bundles" / row["name"],
                **{key: row[key] for key in Row.__annotations__ if key != "folder"},
            )
            for row in content["rows"]
        ]
        labels = list(dict.fromkeys(row.label for row in rows))
        rows.sort(key=lambda row: (labels.index(row.label), row.seed))
        shared = {key: content[key] for key in ("title", "split", "machine", "settings")}
        study = Study(folder=folder, dataset=Path(content["dataset"]), rows=rows, **shared)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error} is missing or misplaced; run the study again to write it anew") from None
    for row in study.rows:
        if row.role not in ROLES:
            raise InputError(f"{path}: row {row.name} has the role {row.role}; use one of {', '.join(ROLES)}")
        if unknown := set(row.teachers) - {other.name for other in study.rows}:
            raise InputError(f"{path}: row {row.name} was distilled from {', '.join(sorted(unknown))}, which is no row")
        if row.evaluation:
            _require_same_cases(row, study)
    return study


def _require_same_cases(row: Row, study: Study) -> None:
    file = row.folder / "output" / "evaluation.json"
    if row.evaluation["split"]["sha256"] != study.split["sha256"]:
        raise InputError(
            f"{file}: evaluated on another split than the study's ({study.split['name']}); evaluate this row again"
        )
    part, scored_on = row.evaluation.get("part", "no part"), study.settings["scored_on"]
    if part != scored_on:
        raise InputError(f"{file}: evaluated on {part}, the study's rows on {scored_on}; evaluate this row again")
