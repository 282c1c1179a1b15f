"""One training of a study, with the files that it wrote into its own folder."""

import csv
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

from custom_components.bundle.evaluating import evaluation_file
from custom_components.bundle.weights import recorded_provenance
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from experiments.plan import ENSEMBLE


@dataclass(frozen=True)
class RunRecord:
    """One row of ``study.json``, with the files that its run wrote."""

    name: str
    label: str
    role: str
    network: str
    sites: list[str]
    teachers: list[str]
    seed: int
    settings: dict[str, Any]
    folder: Path
    fold: str = ""
    masks: int | str | None = None

    @property
    def trained_on(self) -> str:
        """The sites of the training, in words; empty for an ensemble, which is not trained."""
        if self.role == ENSEMBLE:
            return ""
        if self.masks is None:
            return " + ".join(self.sites) or "all sites"
        return f"a new site, {self.masks} {'mask' if self.masks == 1 else 'masks'}"

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """The content of ``evaluation.json``; None until the run has ended."""
        done = (self.folder / "output" / "done.json").is_file()
        return read_json(evaluation_file(self.folder)) if done else None

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The scores of each case that the run was evaluated on, by the name of the case."""
        return {case["case"]: case for case in self.evaluation["cases"]} if self.evaluation else {}

    @cached_property
    def provenance(self) -> dict[str, Any] | None:
        """The content of ``provenance.json``; None until the run has saved weights."""
        return recorded_provenance(self.folder / "models")

    @cached_property
    def training(self) -> dict[str, list[float]]:
        """The columns of ``training.csv``; a blank cell is NaN. The result is empty if the run has no such file.

        Raises:
            InputError: if a cell is not a number.
        """
        path = self.folder / "output" / "training.csv"
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lines, names = list(reader), reader.fieldnames or ()
        try:
            return {name: [float(line[name] or nan) for line in lines] for name in names}
        except ValueError as error:
            raise InputError(f"{path}: a cell is not a number ({error}); remove the file and train again") from None

    def prediction(self, case: str) -> Path:
        """The file of the mask that the run predicted for a case."""
        return self.folder / "output" / "predictions" / f"{case}.nii.gz"
