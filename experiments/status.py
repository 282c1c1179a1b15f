"""The progress of each row of a study."""

from math import isfinite, nan
from pathlib import Path

from custom_components.foundation.tables import text_lines
from custom_components.jobs.job import Standing, State, lines_of, present_log
from custom_components.jobs.standing import standings
from experiments.plan import EPOCHS
from experiments.report.run_record import RunRecord
from experiments.report.study import load_study


def render_status(folder: Path) -> str:
    """One line for each row: its name, its state, and its best validation Dice so far.

    Raises:
        InputError: if ``folder`` holds no study.
    """
    rows = load_study(folder).runs
    jobs = standings([row.folder / "output" for row in rows])
    lines = text_lines([[row.name, _state(row, job), _best(row)] for row, job in zip(rows, jobs, strict=True)], texts=3)
    done = sum(row.evaluation is not None for row in rows)
    return "\n".join([*lines, f"{done} of {len(rows)} rows done"])


def _state(row: RunRecord, job: Standing) -> str:
    if row.evaluation:
        return "done"
    epochs = len(row.training.get("epoch", ()))
    progress = f"epoch {epochs} of {row.settings[EPOCHS]}" if epochs else ""
    if job.state == State.FAILED:
        log = present_log(row.folder / "output", job)
        return f"failed: {(lines_of(log) or [f'exit code {job.code}'])[-1]}"
    if job.state == State.LOST:
        return ", ".join(filter(None, ["killed", progress]))
    if not job.state.has_ended:
        number = f"job {job.id}" if job.id else ""
        reason = f"({job.reason})" if job.reason else ""
        present = progress if job.step in ("", "training") else job.step
        return ", ".join(filter(None, [job.state, number, present])) + (f" {reason}" if reason else "")
    return progress or "not started"


def _best(row: RunRecord) -> str:
    best = max((score for score in row.training.get("val_mean_dice", ()) if isfinite(score)), default=nan)
    return f"validation Dice {100 * best:.1f} %" if isfinite(best) else ""
