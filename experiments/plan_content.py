"""The keys of a plan's YAML file, and the kinds of their values."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custom_components.foundation.errors import InputError
from experiments.new_sites import ALL, ALL_OTHERS


def _is_number(value: Any, least: int, kinds: type | tuple[type, ...] = int) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and value >= least


def _are(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: Any) -> bool:
    """A row's name is the name of a folder."""
    return _is_text(value) and "/" not in value and not value.startswith(".")


# For each key, the test of its value and an example.
Kinds = Mapping[str, tuple[Callable[[Any], bool], str]]
OF_PLAN: Kinds = {
    "title": (_is_text, "title: My study"),
    "image_size": (lambda value: _is_number(value, 8) and value % 8 == 0, "image_size: 96, a multiple of 8"),
    "field_of_view": (lambda value: _is_number(value, 1, (int, float)), "field_of_view: 128"),
    "fractions": (lambda value: _are((int, float), value) and len(value) == 3, "fractions: [60, 20, 20]"),
    "split_seed": (lambda value: isinstance(value, int), "split_seed: 0"),
    "scored_on": (_is_text, "scored_on: validation"),
    "seeds": (lambda value: _are(int, value) and bool(value), "seeds: [0, 1, 2]"),
    "settings": (lambda value: isinstance(value, dict), "settings: {batch_size: 8}"),
    "rows": (lambda value: _are(dict, value) and bool(value), "rows: a list of rows"),
    "folds": (lambda value: _is_number(value, 2), "folds: 5"),
    "expected_spread": (lambda value: _is_number(value, 0, (int, float)), "expected_spread: 3.5"),
    "parts": (lambda value: _is_number(value, 2), "parts: 2"),
    "taught_by": (lambda value: value == ALL_OTHERS, f"taught_by: {ALL_OTHERS}"),
    "new_sites": (lambda value: _is_number(value, 1), "new_sites: 1"),
}
OF_ROW: Kinds = {
    "name": (_is_name, "name: enet_alone"),
    "label": (_is_text, "label: ENet alone"),
    "role": (_is_text, "role: student"),
    "bundle": (_is_text, "bundle: enet"),
    "group": (lambda value: _is_number(value, 0), "group: 0"),
    "each_site": (lambda value: isinstance(value, bool), "each_site: true"),
    "teachers": (lambda value: _are(str, value), "teachers: [pspnet]"),
    "predictions": (
        lambda value: _are(dict, value) and all("predictions" in one for one in value),
        "predictions: [{predictions: /data/nnunet}]",
    ),
    "settings": (lambda value: isinstance(value, dict), "settings: {batch_size: 8}"),
    "seed": (lambda value: isinstance(value, int), "seed: 0"),
    "masks": (lambda value: value == ALL or _is_number(value, 0), f"masks: 2 or masks: {ALL}"),
    "left_out": (lambda value: _are(int, value) and len(value) == 2 and 1 <= value[0] <= value[1], "left_out: [1, 3]"),
}


def check_content(content: Any, plan: str) -> None:
    """Check the keys of a plan and of its rows: an unknown key would be ignored, and two students of one label joined.

    Args:
        content: the content of the YAML file.
        plan: its name, for messages.

    Raises:
        InputError: if a key is unknown, its value is of another kind, or two students have one label.
        TypeError: if the content is no table with a list of rows.
    """
    if not isinstance(content, Mapping) or not _are(dict, content.get("rows")):
        raise TypeError("a list of rows")
    _check(content, OF_PLAN, plan)
    for number, row in enumerate(content["rows"], 1):
        _check(row, OF_ROW, f"{plan}: row {row.get('name', number)}")
    _check_labels(content["rows"], plan)


def _check_labels(rows: Sequence[Mapping[str, Any]], plan: str) -> None:
    """Refuse a label that two students of one network have: to the report, such rows are the seeds of one model."""
    first: dict[tuple, Mapping[str, Any]] = {}
    for row in rows:
        if row.get("role") in ("baseline", "student"):
            other = first.setdefault((row["role"], row.get("bundle"), row.get("label")), row)
            if other is not row:
                told = f"has the label of row {other.get('name')}, so that the report would take both for one model"
                raise InputError(told, f"{plan}: row {row.get('name')}", "give each a label of its own")


def _check(table: Mapping[str, Any], kinds: Kinds, where: str) -> None:
    for key, value in table.items():
        if key not in kinds:
            near = difflib.get_close_matches(str(key), kinds, 1)
            raise InputError(
                f"{key} is no key", where, f"did you mean {near[0]}?" if near else f"give {', '.join(kinds)}"
            )
        fits, example = kinds[key]
        if value is not None and not fits(value):
            raise InputError(f"{key}: {value!r} does not fit", where, f"write for example {example}")
