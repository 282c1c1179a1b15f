"""The settings of each run, and the hashes of its weights and its code."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.report.run_record import RunRecord
from experiments.report.study import StudyRecord
from reporting.table import NOTHING, Line, Table

SHORT = 12  # characters of a hash that identify it


def shared_settings(rows: Sequence[RunRecord]) -> dict[str, Any]:
    """The settings that have the same value in every run."""
    first, *others = (row.settings for row in rows)
    return {name: value for name, value in first.items() if all(name in own and own[name] == value for own in others)}


def run_table(study: StudyRecord) -> Table:
    """One line for each run: the settings that other runs do not share, the seed, the epochs and the hashes."""
    columns = ("run", "settings", "seed", "epochs", "best epoch", "weights", "git")
    shared = shared_settings(study.runs)
    return Table(columns, [Line(_cells(row, shared), row.role) for row in study.runs], texts=2)


def predicted_teachers(study: StudyRecord) -> list[str]:
    """For each teacher that is a folder of predictions, a sentence that says whether its model has seen test cases."""
    told: dict[str, Any] = {}
    for run in study.runs:
        told |= (run.provenance or {}).get("predicted_teachers", {})
    words = {
        True: "Its model was trained on test cases",
        False: "Its model was not trained on test cases",
        None: "There were no test cases that its model could have seen",
    }
    return [
        f"The teacher {name} is a folder of predictions. {words[one['saw_test_cases']]} (source: {one['by']})."
        for name, one in sorted(told.items())
    ]


def settings_text(settings: Mapping[str, Any]) -> str:
    """``name value, name value``, where each name is the last part of its config path."""
    return ", ".join(f"{name.split('::')[-1]} {value}" for name, value in settings.items())


def _cells(row: RunRecord, shared: Mapping[str, Any]) -> list[str]:
    provenance = row.provenance or {}
    epochs = len(row.training.get("epoch", ())) or NOTHING
    return [
        row.name,
        settings_text({name: value for name, value in row.settings.items() if name not in shared}) or NOTHING,
        str(row.seed),
        str(epochs),
        str(provenance.get("epoch", NOTHING)),
        str(provenance.get("weights_sha256", NOTHING))[:SHORT],
        _revision(provenance.get("git_revision")),
    ]


def _revision(text: str | None) -> str:
    commit, *changes = (text or NOTHING).split("+")
    return "+".join([commit[:SHORT], *changes])  # the suffix "+changes" marks code that is in no commit
