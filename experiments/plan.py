"""A plan: a list of trainings, each with its bundle, sites, teachers and settings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from custom_components.foundation.errors import InputError

EPOCHS = "train::trainer::max_epochs"
DISTILLATION = "distillation"  # the distillation bundle, copied into the folder of every study
ENSEMBLE = "ensemble"  # the role of a row that joins its teachers into one network and trains nothing
ROLES = ("teacher", "baseline", "student", ENSEMBLE)
PARTS = ("validation", "test")


@dataclass(frozen=True)
class Row:
    """One training of a study, and one line of its table.

    Args:
        name: name of the row, and of its bundle's folder in the study.
        label: the row's name in the report. Rows that differ only in the seed have the same label.
        role: ``teacher``, ``baseline`` (a student trained alone), ``student`` (distilled) or ``ensemble`` (the mean of
            its teachers).
        bundle: the shipped bundle that is copied.
        sites: the sites of the training cases; empty means all.
        teachers: names of the rows that are the teachers.
        seed: seed of the training.
        settings: values that replace those of the bundle's train.json.
        fold: the part of a cross-validation that the row is tested on, such as ``fold1``, or the new site and its part,
            such as ``UCL-1``; empty without one.
        predictions: teachers that are folders of predictions, as tables of the option ``teachers``, after the rows.
        left_out: the part k of n parts of the training patients that the row is not trained on, as (k, n); None if it
            is trained on all. Such teachers can teach out of fold.
        masks: at a new site, the number of cases whose masks the training has, or ``all``; None in other studies.
    """

    name: str
    label: str
    role: str
    bundle: str
    sites: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    fold: str = ""
    predictions: tuple[Mapping[str, Any], ...] = ()
    masks: int | str | None = None
    left_out: tuple[int, int] | None = None

    @property
    def is_distilled(self) -> bool:
        """Whether the row has teachers."""
        return bool(self.teachers or self.predictions)


@dataclass(frozen=True)
class Plan:
    """The content of a plan's YAML file, with one row for each training.

    Args:
        title: title of the report.
        image_size: size of the images in pixels.
        field_of_view: side of the central square in mm; None keeps the whole image.
        fractions: fractions of training, validation and test patients.
        split_seed: seed of the split.
        scored_on: the list whose cases are scored: ``test``, or ``validation`` for a plan that compares settings.
        leave_out: the site whose cases are the test cases.
        groups: the sites of each limited teacher.
        folds: the parts of a cross-validation, ``fold1`` and so on, or of the new sites; empty without one.
        rows: the rows in the order of the table.
        expected_spread: the expected standard deviation, over the cases, of the difference between a student and its
            baseline, in Dice points; a former study shows it. None if unknown.
        parts: the number of parts of each new site's cases, each the test cases once; 0 if no site is new.
    """

    title: str
    image_size: int
    field_of_view: float | None
    fractions: tuple[float, ...]
    split_seed: int
    scored_on: str
    leave_out: str | None
    groups: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]
    folds: tuple[str, ...] = ()
    expected_spread: float | None = None
    parts: int = 0

    @property
    def image(self) -> dict[str, Any]:
        """The image settings of all bundles of the study; students and teachers must have the same images."""
        return {"image_size": self.image_size, "field_of_view": self.field_of_view}

    def with_teachers(self, patterns: Sequence[str]) -> list[Row]:
        """The rows whose name matches a pattern (``enet_*``), with or without its fold and seed, and their teachers.

        Raises:
            InputError: if a pattern matches no row.
        """
        for pattern in patterns:
            if not any(_matches(row, pattern) for row in self.rows):
                names = ", ".join(row.name for row in self.rows)
                raise InputError(f"--only {pattern}: no such row; the plan has {names}")
        wanted = {row.name for row in self.rows if any(_matches(row, pattern) for pattern in patterns)}
        # An ensemble is a teacher that has teachers, and stands before its students.
        for row in reversed(self.rows):
            wanted |= set(row.teachers) if row.name in wanted else set()
        return [row for row in self.rows if row.name in wanted]


def without_fold(name: str, fold: str) -> str:
    """A row's name without its fold: ``enet_seed1`` for ``enet_fold2_seed1``; the name itself if the fold is empty."""
    return re.sub(rf"_{re.escape(fold)}(?=(_seed\d+)?$)", "", name) if fold else name


def _matches(row: Row, pattern: str) -> bool:
    plain = without_fold(row.name, row.fold)
    return any(fnmatch(name, pattern) for name in (row.name, plain, re.sub(r"_seed\d+$", "", plain)))
