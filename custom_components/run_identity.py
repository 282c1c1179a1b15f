"""The identity of a run: its settings, and the content of every file that the training reads.

Resume, provenance, the rows of a study and the teachers use this module to compare two runs, and :func:`differences`
says in words what differs. Paths, device, workers, outputs and the number of epochs do not count.
"""

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from custom_components.data.prepared import PreparedCase
from custom_components.foundation.files import sha256_of
from custom_components.run_settings import Settings

# Increase this number when the same run would get another record.
VERSION = 2
TOLD = 3  # most differences in one line
LENGTH = 40  # most characters of a value in a line
SHORT = 8  # characters shown of a hash
WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0, "none": None, "null": None}


def run_identity(
    settings: Settings,
    cases: Mapping[str, Iterable[Sequence[str]]],
    pretrained_sha256: str | None = None,
    student: Mapping[str, Any] | None = None,
    teachers: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The identity of a run as a record for JSON files and checkpoints.

    Args:
        settings: the settings of the run's config.
        cases: the lists ``training`` and ``validation``, with the name and the SHA-256 of image and mask of each case,
            and the list ``unlabeled`` if the training uses images without masks.
        pretrained_sha256: SHA-256 of the file of weights that the network starts with.
        student: for a distillation, network and taps of the student's bundle.
        teachers: for a distillation, network, taps and hash of the weights of each teacher, by name.

    Returns:
        ``version``, ``sha256`` (of everything except the names of the cases), ``settings`` (values by key; the contents
        of bundles and files are under ``student``, ``teachers`` and ``pretrained``), ``derived`` (the keys whose values
        follow from other keys) and ``cases``.
    """
    files = {"pretrained": pretrained_sha256, "student": student or {}, "teachers": teachers or {}}
    record = {
        "version": VERSION,
        "settings": {**settings.values, **flat(files)},
        "derived": sorted(settings.derived),
        "cases": {part: [list(case) for case in own] for part, own in cases.items()},
    }
    return {**record, "sha256": sha256_of(_comparable(record))}


def case_identities(cases: Iterable[PreparedCase]) -> list[tuple[str, str, str | None]]:
    """The name and the SHA-256 of image and mask of each case; None in place of a missing mask's hash."""
    return [(case.name, case.sha256["image"], case.sha256.get("label")) for case in cases]


def is_comparable(record: Any) -> bool:
    """Whether a record, such as one from an old checkpoint, is an identity of this version."""
    return isinstance(record, Mapping) and record.get("version") == VERSION


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences of two identities: ``seed (was 0, now 1)``, ``mask of <case> (was 1a2b3c4d, now 5e6f7a8b)``.

    A setting that follows from other settings is listed only if no other setting differs.
    """
    if was["sha256"] == now["sha256"]:
        return []
    told = setting_differences(was["settings"], now["settings"])
    direct = [words for key, words in told.items() if key not in now["derived"]]
    for part in dict.fromkeys((*now["cases"], *was["cases"])):
        direct += _case_differences(part, *(record["cases"].get(part, []) for record in (was, now)))
    return direct or list(told.values())


def setting_differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The differences of two flat mappings, in words, by key."""
    keys = [key for key in dict.fromkeys((*now, *was)) if _canonical(was.get(key)) != _canonical(now.get(key))]
    return {key: f"{key} (was {_short(was.get(key))}, now {_short(now.get(key))})" for key in keys}


def flat(content: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Nested mappings as one flat mapping, with keys such as ``optimizer::lr``."""
    values = {}
    for name, item in content.items():
        path = f"{key}::{name}" if key else str(name)
        values |= flat(item, path) if isinstance(item, Mapping) else {path: item}
    return values


def in_one_line(told: Sequence[str]) -> str:
    """The first differences in one line, and the number of further differences."""
    more = len(told) - TOLD
    return ", ".join(told[:TOLD]) + (f" and {more} more" if more > 0 else "")


def _case_differences(part: str, was: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> list[str]:
    if _content(was) == _content(now):
        return []
    old, new = ({name: hashes for name, *hashes in cases} for cases in (was, now))
    told = []
    for place, file in enumerate(("image", "mask")):
        for name in new:
            if name in old and old[name][place] != new[name][place]:
                told.append(f"{file} of {name} (was {old[name][place][:SHORT]}, now {new[name][place][:SHORT]})")
    if old.keys() != new.keys():
        told.append(f"{part} cases (without {_names(old, new)}, with {_names(new, old)})")
    return told or [f"order of the {part} cases"]


def _names(some: Iterable[str], others: Iterable[str]) -> str:
    """The names in the first list that are not in the second."""
    return _short(", ".join(sorted(set(some) - set(others))) or "none")


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= LENGTH else f"{text[: LENGTH // 2]}…{text[-LENGTH // 2 :]}"


def _comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    settings = {key: _canonical(value) for key, value in record["settings"].items()}
    return {
        "version": record["version"],
        # A missing key and a key with the value null mean the same.
        "settings": {key: value for key, value in settings.items() if value is not None},
        "cases": {part: _content(cases) for part, cases in record["cases"].items()},
    }


def _content(cases: Iterable[Sequence[str]]) -> list[list[str]]:
    return [list(hashes) for _, *hashes in cases]


def _canonical(value: Any) -> Any:
    """One form for equal values in different forms, such as ``"0.50"`` and 0.5, ``"true"`` and True, (1, 2) and [1,
    2].
    """
    if isinstance(value, str):
        return _meaning(value.strip())
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _meaning(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return _canonical(int(text))
    except ValueError:
        pass
    try:
        number = float(text)
        return _canonical(number) if math.isfinite(number) else text
    except ValueError:
        pass
    if text[:1] in ("[", "(", "{"):
        try:
            return _canonical(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            pass
    return text
