"""How far each row of a study is."""

from math import isfinite, nan
from pathlib import Path

from experiments.plan import EPOCHS
from experiments.report.study import Row, load_study


def render_status(folder: Path) -> str:
    """One line a row: its name, its state, and its best validation Dice so far.

    Raises:
        InputError: when there is no study in ``folder``.
    """
    rows = load_study(folder).rows
    width = max(len(row.name) for row in rows)
    lines = [f"{row.name:<{width}}  {_state(row):<18}  {_best(row)}".rstrip() for row in rows]
    done = sum(row.evaluation is not None for row in rows)
    return "\n".join([*lines, f"{done} of {len(rows)} rows done"])


def _state(row: Row) -> str:
    if row.evaluation:
        return "done"
    epochs = len(row.training.get("epoch", ()))
    return f"epoch {epochs} of {row.settings[EPOCHS]}" if epochs else "not started"


def _best(row: Row) -> str:
    best = max((score for score in row.training.get("val_mean_dice", ()) if isfinite(score)), default=nan)
    return f"validation Dice {100 * best:.1f} %" if isfinite(best) else ""
