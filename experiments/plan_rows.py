"""The rows that a plan's entries stand for."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.new_sites import ALL, site_of, training_cases
from experiments.plan import ENSEMBLE, EPOCHS, Row


class RowReader:
    """The rows of a plan's entries: one for each fold and seed; teachers of one site come once, before all others."""

    def __init__(
        self,
        content: Mapping[str, Any],
        sites: Mapping[str, int],
        groups: Sequence[Sequence[str]],
        seeds: Sequence[int],
        epochs: int | None,
        folds: Sequence[str],
        parts: int,
    ) -> None:
        self._content = content
        self._sites = sites
        self._groups = groups
        self._seeds = seeds
        self._epochs = epochs
        self._folds = folds
        self._parts = parts
        entries = content["rows"]
        self._entries = [entry for entry in entries if "group" not in entry or groups[entry["group"]]]
        self._gone = {entry["name"] for entry in entries} - {entry["name"] for entry in self._entries}
        self._of_one_site = {entry["name"] for entry in entries if entry.get("each_site")}
        self._bundles = {entry["name"]: entry.get("bundle") for entry in entries}

    def rows(self) -> Iterator[Row]:
        for entry in self._entries:
            for group in self._teaching_groups() if entry["name"] in self._of_one_site else ():
                yield self._row(entry, _of_group(entry["name"], group), (), "", group, _label(entry["label"], group))
        # The same row of all folds comes before the next row: if the time ends, whole lines of the table are done.
        for entry, fold in itertools.product(self._entries, self._folds or [""]):
            if entry["name"] not in self._of_one_site and self._has_cases(entry.get("masks"), fold):
                yield from self._seeded(entry, fold)

    def _seeded(self, entry: Mapping[str, Any], fold: str) -> Iterator[Row]:
        sites = self._groups[entry["group"]] if "group" in entry else ()
        teachers = tuple(teacher for one in entry.get("teachers", ()) for teacher in self._teachers(one, fold))
        # The row of the first seed has the plain name, so that seeds can be added to a study later. Teachers have only
        # the first seed.
        for seed in self._seeds if entry["role"] in ("baseline", "student") else self._seeds[:1]:
            name = _in_fold(entry["name"], fold) + (f"_seed{seed}" if seed != self._seeds[0] else "")
            yield self._row(entry, name, teachers, fold, sites, entry["label"], seed)

    def _row(
        self,
        entry: Mapping[str, Any],
        name: str,
        teachers: tuple[str, ...],
        fold: str,
        sites: tuple[str, ...],
        label: str,
        seed: int | None = None,
    ) -> Row:
        settings = {**self._content.get("settings", {}), **entry.get("settings", {})}
        if self._epochs is not None:
            usual = self._content.get("settings", {}).get(EPOCHS)
            share = settings[EPOCHS] / usual if self._parts and usual else 1
            settings[EPOCHS] = max(1, round(self._epochs * share))
        if entry["role"] == ENSEMBLE:
            settings = {**entry.get("settings", {}), EPOCHS: 0}
        return Row(
            name=name,
            label=label,
            role=entry["role"],
            # An ensemble has the preprocessing of its first teacher.
            bundle=self._bundles[entry["teachers"][0]] if entry["role"] == ENSEMBLE else entry["bundle"],
            sites=tuple(sites),
            teachers=teachers,
            seed=entry.get("seed", self._seeds[0] if seed is None else seed),
            settings=settings,
            fold=fold,
            predictions=tuple(entry.get("predictions", ())),
            masks=entry.get("masks"),
            left_out=tuple(entry["left_out"]) if "left_out" in entry else None,
        )

    def _teachers(self, name: str, fold: str) -> list[str]:
        """The rows that a teacher of an entry stands for; a teacher of one site stands for those of the other sites."""
        if name in self._gone:
            return []
        if name in self._of_one_site:
            return [_of_group(name, group) for group in self._teaching_groups() if site_of(fold) not in group]
        return [_in_fold(name, fold)]

    def _teaching_groups(self) -> list[tuple[str, ...]]:
        """The groups of sites that can teach a new site."""
        new = {site_of(fold) for fold in self._folds}
        return [tuple(group) for group in self._groups if group and new - {*group}]

    def _has_cases(self, masks: int | str | None, fold: str) -> bool:
        """Whether a new site has enough cases that some are left without a mask."""
        if not self._parts or masks in (None, ALL):
            return True
        part = int(fold.rpartition("-")[2])
        return masks < training_cases(self._sites[site_of(fold)], part, self._parts)


def _of_group(name: str, group: Sequence[str]) -> str:
    return f"{name}_{'+'.join(group)}"


def _label(label: str, group: Sequence[str]) -> str:
    return f"{label}, {' + '.join(group)}"


def _in_fold(name: str, fold: str) -> str:
    return f"{name}_{fold}" if fold else name
