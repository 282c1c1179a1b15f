"""What each run was made with, from its provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.study import Row, Study
from reporting import NOTHING, Line, Table

SHORT = 12  # characters of a hash, enough to find it


def shared_settings(rows: Sequence[Row]) -> dict[str, Any]:
    """The settings that every run has, and the same."""
    first, *others = (row.settings for row in rows)
    return {name: value for name, value in first.items() if all(name in own and own[name] == value for own in others)}


def run_table(study: Study) -> Table:
    """One line a run: its epochs, what is special in its settings, and its hashes."""
    columns = ("run", "settings", "seed", "epochs", "best epoch", "weights", "git")
    shared = shared_settings(study.rows)
    return Table(columns, [Line(_cells(row, shared), row.role) for row in study.rows], texts=2)


def settings_text(settings: Mapping[str, Any]) -> str:
    """``name value, name value``, each name without the path to it."""
    return ", ".join(f"{name.split('::')[-1]} {value}" for name, value in settings.items())


def _cells(row: Row, shared: Mapping[str, Any]) -> list[str]:
    made = row.provenance or {}
    epochs = len(row.training.get("epoch", ())) or NOTHING
    return [
        row.name,
        settings_text({name: value for name, value in row.settings.items() if name not in shared}) or NOTHING,
        str(row.seed),
        str(epochs),
        str(made.get("epoch", NOTHING)),
        str(made.get("weights_sha256", NOTHING))[:SHORT],
        _revision(made.get("git_revision")),
    ]


def _revision(text: str | None) -> str:
    commit, *changes = (text or NOTHING).split("+")
    return "+".join([commit[:SHORT], *changes])  # code that was in no commit must show
