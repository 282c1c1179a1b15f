"""Running of a plan's rows: teachers before students, as many at the same time as the place allows.

A stopped run can go on. A killed run can be started again, and takes over the jobs that it has left behind.
"""

import csv
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from custom_components.bundle import copy_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.jobs import Job, Place, Standing, State
from custom_components.jobs.job import JOB_FILE, forget, last_words
from custom_components.jobs.standing import standings
from experiments.describe import former_rows
from experiments.inputs import Inputs, what_changed
from experiments.plan import DISTILLATION, EPOCHS, Plan, Row
from experiments.row_job import RowJobs, expected_seconds
from experiments.schedule import path_lengths


@dataclass
class StudyRunner:
    """Runs a plan on a dataset and writes into a folder, whose lock the caller holds."""

    plan: Plan
    dataset: Path
    folder: Path
    running: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {row.name: row for row in (*former_rows(self.folder), *self.plan.rows)}
        self.inputs = Inputs(self.plan, self.dataset, self.folder, self.rows.values())
        self.jobs = RowJobs(self.inputs, self.bundles)

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    def run(self, rows: Sequence[Row], place: Place, seconds: float = math.inf) -> bool:
        """Train and evaluate the rows that are not done. Return False if the time ended before all rows were done.

        Args:
            rows: rows of the plan, including the teachers' rows.
            place: where they run.
            seconds: time after which all trainings are stopped; each training keeps a checkpoint of its last epoch.

        Raises:
            InputError: if a row's command fails; the message names the log. Or if a row is at work in another place.
        """
        copy_bundle(DISTILLATION, self.bundles / DISTILLATION, **self.plan.image)
        self._take_over(rows, place)
        waiting = [row for row in rows if not self._done(row) and row.name not in self.running]
        urgency = self._urgency(rows)
        lost: Counter[str] = Counter()
        end = time.monotonic() + seconds
        with tqdm(total=sum(row.settings[EPOCHS] for row in rows), unit="epoch", desc="study") as bar:
            try:
                while waiting or self.running:
                    if time.monotonic() > end:
                        return False
                    for row in [row for row in waiting if all(self._done(self.rows[name]) for name in row.teachers)]:
                        waiting.remove(row)
                        self._submit(row, place, urgency)
                    found = dict(zip(self.running, place.look(list(self.running.values())), strict=True))
                    for name, standing in found.items():
                        if standing.state == State.DONE:
                            self._finish(name, self.running.pop(name))
                        elif standing.state == State.LOST and lost[name] + 1 < place.attempts:
                            lost[name] += 1
                            number = f" {standing.id}" if standing.id else ""
                            tqdm.write(f"{name}: its job{number} was lost, and is queued again")
                            self._submit(self.rows[name], place, urgency)
                        elif standing.state.has_ended:
                            job = self.running.pop(name)
                            raise InputError(f"{name}: {last_words(job.folder, standing)}")
                    self._show(bar, rows, found)
                    time.sleep(place.pause if self.running else 0)
            finally:
                self._cancel(place)
        return True

    def _take_over(self, rows: Iterable[Row], place: Place) -> None:
        """Find the jobs of a run that was killed: those that have ended well are done, those that go on are ours."""
        jobs = {name: self.jobs.find(row) for name, row in self.rows.items()}
        found = dict(zip(jobs, standings([job.folder for job in jobs.values()]), strict=True))
        for name in [name for name, standing in found.items() if standing.state == State.DONE]:
            self._finish(name, jobs[name])
        self._forget_stale_results()
        for row in rows:
            standing = found[row.name]
            if standing.state.has_ended:
                continue
            if standing.place != place.name:
                where = " ".join(filter(None, ["job", standing.id, "on", standing.place]))
                raise InputError(
                    f"{row.name} is at work in a {where}",
                    advice=f"use --on {standing.place}, or stop that job and remove {jobs[row.name].folder / JOB_FILE}",
                )
            if all(self._done(self.rows[name]) for name in row.teachers) and self.jobs.is_current(row):
                tqdm.write(" ".join(filter(None, [f"{row.name}: found its job", standing.id, f"({standing.state})"])))
                self.running[row.name] = jobs[row.name]
            else:
                place.cancel([jobs[row.name]])

    def _submit(self, row: Row, place: Place, urgency: Mapping[str, float]) -> None:
        self.running[row.name] = self.jobs.make(row, urgency[row.name])
        place.submit([self.running[row.name]])

    def _finish(self, name: str, job: Job) -> None:
        self.jobs.finish(self.rows[name])
        forget(job.folder)

    def _cancel(self, place: Place) -> None:
        """Cancel the jobs that run, and keep the results of those that have ended meanwhile."""
        place.cancel(list(self.running.values()))
        ended = standings([job.folder for job in self.running.values()])
        for (name, job), standing in zip(self.running.items(), ended, strict=True):
            if standing.state == State.DONE:
                self._finish(name, job)
            elif standing.state.has_ended:
                forget(job.folder)
        self.running.clear()

    def _urgency(self, rows: Sequence[Row]) -> dict[str, float]:
        """The expected time of each row, with the students that wait for it."""
        names = {row.name for row in rows}
        networks = {name: row.bundle for name, row in self.rows.items()}
        cases = {row.name: len(read_json(self.inputs.datalist(row))["training"]) for row in rows}
        seconds = {row.name: expected_seconds(row, cases[row.name], networks) for row in rows}
        return path_lengths(seconds, {row.name: [name for name in row.teachers if name in names] for row in rows})

    def _show(self, bar: tqdm, rows: Sequence[Row], found: dict[str, Standing]) -> None:
        epochs = sum(epochs_done(self.bundles / row.name) for row in rows)
        states = Counter(standing.state for standing in found.values())
        told = [f"{name} {self._what(name, one)}" for name, one in found.items() if one.state == State.RUNNING]
        told += [f"{states[State.WAITING]} waiting"] if states[State.WAITING] else []
        text = ", ".join(told)
        # A terminal shows the elapsed time continuously; a log file gets a line only when something has happened.
        if sys.stderr.isatty() or (epochs, text) != (bar.n, bar.postfix):
            bar.n = epochs
            bar.set_postfix_str(text)

    def _what(self, name: str, standing: Standing) -> str:
        epochs = f"epoch {epochs_done(self.bundles / name)}/{self.rows[name].settings[EPOCHS]}"
        return epochs if standing.step in ("", "training") else standing.step

    def _forget_stale_results(self) -> None:
        """Remove the results of rows whose inputs have changed, also of rows that this call does not run."""
        for name, row in self.rows.items():
            done = self.bundles / name / "output" / "done.json"
            if done.is_file() and (changed := what_changed(read_json(done), self.inputs.of(row))):
                tqdm.write(f"{name}: no longer done, since it was made with other {changed}")
                done.unlink()

    def _done(self, row: Row) -> bool:
        """Whether a row and all its teachers have results.

        A teacher that is trained again would change the row's result.
        """
        done = (self.bundles / row.name / "output" / "done.json").is_file()
        return done and all(self._done(self.rows[teacher]) for teacher in row.teachers)


def epochs_done(bundle: Path) -> int:
    """The number of epochs in a row's log."""
    try:
        with (bundle / "output" / "training.csv").open(encoding="utf-8") as log:
            return sum(1 for _ in csv.DictReader(log))
    except FileNotFoundError:
        return 0
