"""The progress of each row of a study."""

from math import isfinite, nan
from pathlib import Path

from custom_components.foundation.tables import text_lines
from experiments.plan import EPOCHS
from experiments.report.run_record import RunRecord
from experiments.report.study import load_study


def render_status(folder: Path) -> str:
    """One line for each row: its name, its state, and its best validation Dice so far.

    Raises:
        InputError: if ``folder`` holds no study.
    """
    rows = load_study(folder).runs
    lines = text_lines([[row.name, _state(row), _best(row)] for row in rows], texts=3)
    done = sum(row.evaluation is not None for row in rows)
    return "\n".join([*lines, f"{done} of {len(rows)} rows done"])


def _state(row: RunRecord) -> str:
    if row.evaluation:
        return "done"
    epochs = len(row.training.get("epoch", ()))
    return f"epoch {epochs} of {row.settings[EPOCHS]}" if epochs else "not started"


def _best(row: RunRecord) -> str:
    best = max((score for score in row.training.get("val_mean_dice", ()) if isfinite(score)), default=nan)
    return f"validation Dice {100 * best:.1f} %" if isfinite(best) else ""
