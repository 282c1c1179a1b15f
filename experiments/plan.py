"""A plan: a list of trainings, each with its bundle, sites, teachers and settings."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from custom_components.foundation.errors import InputError

PLANS = Path(__file__).parent / "plans"
EPOCHS = "train::trainer::max_epochs"
DISTILLATION = "distillation"  # the distillation bundle, copied into the folder of every study
ROLES = ("teacher", "baseline", "student")
PARTS = ("validation", "test")


@dataclass(frozen=True)
class Row:
    """One training of a study, and one line of its table.

    Args:
        name: name of the row, and of its bundle's folder in the study.
        label: the row's name in the report. Rows that differ only in the seed have the same label.
        role: ``teacher``, ``baseline`` (a student trained alone) or ``student`` (distilled).
        bundle: the shipped bundle that is copied.
        sites: the sites of the training cases; empty means all.
        teachers: names of the rows that are the teachers.
        seed: seed of the training.
        settings: values that replace those of the bundle's train.json.
        fold: the part of a cross-validation that the row is tested on, such as ``fold1``; empty without one.
        predictions: teachers that are folders of predictions, as tables of the option ``teachers``, after the rows.
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
        folds: the parts of a cross-validation, ``fold1`` and so on; empty without one.
        rows: the rows in the order of the table.
        expected_spread: the expected standard deviation, over the cases, of the difference between a student and its
            baseline, in Dice points; a former study shows it. None if unknown.
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

    @property
    def image(self) -> dict[str, Any]:
        """The image settings of all bundles of the study; students and teachers must have the same images."""
        return {"image_size": self.image_size, "field_of_view": self.field_of_view}

    def with_teachers(self, patterns: Sequence[str]) -> list[Row]:
        """The rows whose name, or name without fold, matches a pattern (``enet_*``), and the rows of their teachers.

        Raises:
            InputError: if a pattern matches no row.
        """
        for pattern in patterns:
            if not any(_matches(row, pattern) for row in self.rows):
                names = ", ".join(row.name for row in self.rows)
                raise InputError(f"--only {pattern}: no such row; the plan has {names}")
        wanted = {row.name for row in self.rows if any(_matches(row, pattern) for pattern in patterns)}
        wanted |= {teacher for row in self.rows if row.name in wanted for teacher in row.teachers}
        return [row for row in self.rows if row.name in wanted]


def load_plan(
    name_or_path: str,
    sites: Sequence[str],
    groups: Sequence[Sequence[str]] = (),
    seeds: Sequence[int] = (),
    image_size: int | None = None,
    epochs: int | None = None,
    leave_out: str | None = None,
    folds: int | None = None,
) -> Plan:
    """Read a plan and adapt it to a dataset.

    Args:
        name_or_path: a shipped plan's name or a YAML file.
        sites: the dataset's sites.
        groups: site groups of the limited teachers; by default the sites, in order, are divided evenly between the
            groups.
        seeds: seeds of the students, instead of the plan's seeds.
        image_size: size of the images in pixels, instead of the plan's size.
        epochs: number of epochs of every row, instead of the plan's numbers.
        leave_out: a site whose cases are the test cases; no row is trained on this site.
        folds: number of the parts of a cross-validation, in place of one split.

    Raises:
        InputError: if there is no such plan, or it does not fit the dataset.
    """
    path = Path(name_or_path) if name_or_path.endswith((".yaml", ".yml")) else PLANS / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise InputError(f"{name_or_path}: no such plan; give a YAML file or one of: {shipped}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _fit(content, path.name, sites, groups, seeds, image_size, epochs, leave_out, folds)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not a YAML file ({str(error).splitlines()[0]})") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: lacks {error}, or it is of another kind; compare {PLANS / 'demo.yaml'}") from None


def _fit(
    content: Mapping[str, Any],
    name: str,
    sites: Sequence[str],
    groups: Sequence[Sequence[str]],
    seeds: Sequence[int],
    image_size: int | None,
    epochs: int | None,
    leave_out: str | None,
    folds: int | None,
) -> Plan:
    wanted = 1 + max((row["group"] for row in content["rows"] if "group" in row), default=-1)
    groups = tuple(tuple(group) for group in groups) or _spread(sorted(sites), wanted)
    if len(groups) != wanted:
        raise InputError(f"{name} wants {wanted} groups of sites, {len(groups)} are given")
    # A group without another site is removed together with its teacher.
    groups = tuple(tuple(site for site in group if site != leave_out) for group in groups)
    entries = [entry for entry in content["rows"] if "group" not in entry or groups[entry["group"]]]
    gone = {entry["name"] for entry in content["rows"]} - {entry["name"] for entry in entries}
    seeds = tuple(seeds or content.get("seeds", [0]))
    parts = tuple(f"fold{number}" for number in range(1, (folds or content.get("folds", 0)) + 1))
    rows = []
    for fold, entry in itertools.product(parts or [""], entries):
        settings = {**content.get("settings", {}), **entry.get("settings", {})}
        if epochs is not None:
            settings[EPOCHS] = epochs
        # The row of the first seed has the plain name, so that seeds can be added to a study later. Teachers have only
        # the first seed.
        for seed in seeds if entry["role"] != "teacher" else seeds[:1]:
            rows.append(
                Row(
                    name=_in_fold(entry["name"], fold) + (f"_seed{seed}" if seed != seeds[0] else ""),
                    label=entry["label"],
                    role=entry["role"],
                    bundle=entry["bundle"],
                    sites=groups[entry["group"]] if "group" in entry else (),
                    teachers=tuple(_in_fold(one, fold) for one in entry.get("teachers", ()) if one not in gone),
                    seed=seed,
                    settings=settings,
                    fold=fold,
                    predictions=tuple(entry.get("predictions", ())),
                )
            )
    _check(rows, name)
    scored_on = content.get("scored_on", "test")
    if scored_on not in PARTS:
        raise InputError(f"{name}: scored_on '{scored_on}' is none of {', '.join(PARTS)}")
    return Plan(
        title=content["title"] + (f", {leave_out} left out" if leave_out else ""),
        image_size=image_size or content["image_size"],
        field_of_view=content.get("field_of_view"),
        fractions=tuple(content["fractions"]),
        split_seed=content.get("split_seed", 0),
        scored_on=scored_on,
        leave_out=leave_out,
        groups=tuple(group for group in groups if group),
        rows=tuple(rows),
        folds=parts,
        expected_spread=content.get("expected_spread"),
    )


def _in_fold(name: str, fold: str) -> str:
    return f"{name}_{fold}" if fold else name


def _matches(row: Row, pattern: str) -> bool:
    return fnmatch(row.name, pattern) or fnmatch(row.name.replace(f"_{row.fold}", ""), pattern)


def _check(rows: Sequence[Row], plan: str) -> None:
    counts = Counter(row.name for row in rows)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise InputError(f"{plan}: more than one row is called {', '.join(twice)}; give each row and seed once")
    if DISTILLATION in counts:
        raise InputError(f"{plan}: no row can be called {DISTILLATION}, the folder of the bundle that distils")
    for row in rows:
        if row.role not in ROLES:
            raise InputError(f"{plan}: row {row.name}: role '{row.role}' is none of {', '.join(ROLES)}")
        if unknown := set(row.teachers) - set(counts):
            raise InputError(f"{plan}: row {row.name}: no row is called {', '.join(sorted(unknown))}")
        if row.role == "student" and not row.is_distilled:
            raise InputError(f"{plan}: row {row.name}: a student needs teachers")
        if EPOCHS not in row.settings:
            raise InputError(f"{plan}: row {row.name}: no {EPOCHS} in its settings or the plan's")


def _spread(sites: Sequence[str], groups: int) -> tuple[tuple[str, ...], ...]:
    if len(sites) < groups:
        raise InputError(f"the plan has teachers for {groups} groups of sites, the dataset has {len(sites)} sites")
    ends = [round(len(sites) * i / groups) for i in range(groups + 1)] if groups else [0]
    return tuple(tuple(sites[a:b]) for a, b in itertools.pairwise(ends))
