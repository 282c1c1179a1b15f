"""Running of a plan's rows: several at the same time, teachers before students; a stopped run can go on."""

import csv
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from custom_components.bundle import copy_bundle
from custom_components.forked_python import ForkedPython
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json, write_text
from custom_components.foundation.threads import THREADS_FILE, usable_cores
from experiments import commands
from experiments.describe import former_rows
from experiments.inputs import Inputs, what_changed
from experiments.plan import DISTILLATION, ENSEMBLE, EPOCHS, Plan, Row

PROGRESS = "{desc}: {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left{postfix}"
PATIENCE = 30  # seconds that a stopped process has to end before it is killed


@dataclass
class StudyRunner:
    """Runs a plan on a dataset and writes into a folder; ``lock`` is the descriptor of the folder's lock."""

    plan: Plan
    dataset: Path
    folder: Path
    lock: int
    running: dict[str, "Job"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {row.name: row for row in (*former_rows(self.folder), *self.plan.rows)}
        self.inputs = Inputs(self.plan, self.dataset, self.folder, self.rows.values())

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    @property
    def threads(self) -> Path:
        return self.folder / "threads.txt"

    def run(self, rows: Sequence[Row], jobs: int, seconds: float = math.inf) -> bool:
        """Train and evaluate the rows that are not done. Return False if the time ended before all rows were done.

        Args:
            rows: rows of the plan, including the teachers' rows.
            jobs: number of rows that run at the same time.
            seconds: time after which all trainings are stopped; each training keeps a checkpoint of its last epoch.

        Raises:
            InputError: if a row's command fails; the message names the log.
        """
        copy_bundle(DISTILLATION, self.bundles / DISTILLATION, **self.plan.image)
        self._forget_stale_results()
        waiting = [row for row in rows if not self._done(row)]
        finished = {row.name for row in rows} - {row.name for row in waiting}
        end = time.monotonic() + seconds
        # A training with few slices has more epochs. So every training counts the same, whatever its number of epochs.
        done, total = self._trainings_done(rows), sum(bool(row.settings[EPOCHS]) for row in rows)
        with tqdm(total=total, initial=done, desc="study", bar_format=PROGRESS, dynamic_ncols=True) as bar:
            try:
                while waiting or self.running:
                    if time.monotonic() > end:
                        return False
                    ready = [row for row in waiting if set(row.teachers) <= finished]
                    for row in ready[: jobs - len(self.running)]:
                        waiting.remove(row)
                        self.running[row.name] = Job(row, self)
                    self._share_cores()
                    for job in [job for job in self.running.values() if not job.advance()]:
                        del self.running[job.row.name]
                        finished.add(job.row.name)
                    self._show(bar, rows)
                    time.sleep(0.5 if self.running else 0)
            finally:
                for job in self.running.values():
                    job.process.send_signal(signal.SIGINT)  # an interrupted process removes its temporary files
                for job in self.running.values():
                    job.wait()
                self.running.clear()
        return True

    def _share_cores(self) -> None:
        """Write the number of threads of each running training into a file.

        Trainings read the file at the start of an epoch.
        """
        threads = str(self.threads_each(self.running))
        if not self.threads.is_file() or self.threads.read_text() != threads:
            write_text(self.threads, threads)

    @staticmethod
    def threads_each(side_by_side: Collection[str]) -> int:
        """The number of threads of each row that runs at the same time."""
        return max(1, usable_cores() // max(1, len(side_by_side)))

    def _show(self, bar: tqdm, rows: Sequence[Row]) -> None:
        done = self._trainings_done(rows)
        text = ", ".join(f"{name} {job.what}" for name, job in self.running.items())
        # A terminal shows the elapsed time continuously; a log file gets a line only when something has happened.
        if sys.stderr.isatty() or (done, text) != (bar.n, bar.postfix):
            bar.n = done
            bar.set_postfix_str(text)

    def _trainings_done(self, rows: Sequence[Row]) -> float:
        """The number of trainings that are done; a running one counts as the share of its epochs."""
        shares = ((epochs_done(self.bundles / row.name), row.settings[EPOCHS]) for row in rows)
        return sum(min(done / epochs, 1.0) for done, epochs in shares if epochs)

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


class Job:
    """One running row: its training and then its evaluation, each in a process with a log."""

    def __init__(self, row: Row, study: StudyRunner) -> None:
        self.row = row
        self.bundle = study.bundles / row.name
        self.inputs = study.inputs.of(row)
        self.lock = study.lock
        self.study = study
        self._make_room()
        copy_bundle(row.bundle, self.bundle, **study.plan.image)
        where = study.bundles, study.dataset
        if row.role == ENSEMBLE:
            first = ("joining", commands.joining(row, study.bundles))
        else:
            first = ("training", commands.training(row, *where, study.inputs.datalist(row)))
        scored = commands.evaluating(row, *where, study.inputs.all_cases(row), study.plan.scored_on)
        self.steps = [first, ("evaluating", scored)]
        self._next()

    @property
    def what(self) -> str:
        epochs = f"epoch {epochs_done(self.bundle)}/{self.row.settings[EPOCHS]}"
        return epochs if self.step == "training" else self.step

    def advance(self) -> bool:
        """Check the process and start the next one if it has ended; return False when the row is done."""
        code = self.process.poll()
        if code is None:
            return True
        if code:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            reason = next((line.removeprefix("error: ") for line in lines[::-1] if line.startswith("error: ")), None)
            raise InputError(f"{self.row.name}: {self.step} failed: {reason or f'exit code {code}'} (log: {self.log})")
        if not self.steps:
            write_json(self.bundle / "output" / "done.json", self.inputs)
            return False
        self._next()
        return True

    def wait(self) -> None:
        """Wait for the end of the interrupted process, and kill it if it does not end."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _next(self) -> None:
        self.step, line = self.steps.pop(0)
        self.log = self.bundle / "output" / f"{self.step}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(line)}\n")
            log.flush()
            self.process = ForkedPython(line, stdout=log, env=self._environment(), pass_fds=[self.lock])

    def _environment(self) -> dict[str, str]:
        threads = self.study.threads_each({*self.study.running, self.row.name})
        share = {"OMP_NUM_THREADS": str(threads), THREADS_FILE: str(self.study.threads.absolute())}
        return {**os.environ, **share, "TQDM_DISABLE": "1"}

    def _make_room(self) -> None:
        """Remove the files of a training with other inputs.

        If only the cases for scoring have changed, the training's files stay.
        """
        started = self.bundle / "output" / "started.json"
        former = read_json(started) if started.is_file() else self.inputs
        if changed := what_changed(former, self.inputs, kinds=["trained"]):
            tqdm.write(f"{self.row.name}: starts afresh, since it was begun with other {changed}")
            for stale in (self.bundle / "output").glob("*"):
                if stale.is_file():
                    stale.unlink()
        write_json(started, self.inputs)


def epochs_done(bundle: Path) -> int:
    """The number of epochs in a row's log."""
    try:
        with (bundle / "output" / "training.csv").open(encoding="utf-8") as log:
            return sum(1 for _ in csv.DictReader(log))
    except FileNotFoundError:
        return 0
