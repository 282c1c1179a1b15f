"""Runs a plan's rows, side by side where their teachers are ready, and goes on where it stopped."""

import csv
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from custom_components.bundle import copy_bundle
from custom_components.errors import InputError
from custom_components.files import read_json, write_json
from experiments import commands
from experiments.describe import former_rows
from experiments.inputs import Inputs, what_changed
from experiments.plan import DISTILLATION, EPOCHS, Plan, Row

PATIENCE = 30  # seconds that a stopped process has to end by itself


@dataclass
class StudyRunner:
    """Runs a plan on a dataset in a folder; ``lock`` is the descriptor of the folder's lock."""

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

    def run(self, rows: Sequence[Row], jobs: int, seconds: float = math.inf) -> bool:
        """Train and evaluate the rows that are not done; False if the time was over before.

        Args:
            rows: of the plan, their teachers among them.
            jobs: how many run side by side.
            seconds: after which everything is stopped; each training has a checkpoint of its last epoch.

        Raises:
            InputError: if a row's command fails; it names the log.
        """
        copy_bundle(DISTILLATION, self.bundles / DISTILLATION, **self.plan.image)
        self._forget_stale_results()
        waiting = [row for row in rows if not self._done(row)]
        finished = {row.name for row in rows} - {row.name for row in waiting}
        end = time.monotonic() + seconds
        with tqdm(total=sum(row.settings[EPOCHS] for row in rows), unit="epoch", desc="study") as bar:
            try:
                while waiting or self.running:
                    if time.monotonic() > end:
                        return False
                    ready = [row for row in waiting if set(row.teachers) <= finished]
                    side_by_side = min(jobs, len(self.running) + len(ready))
                    for row in ready[: jobs - len(self.running)]:
                        waiting.remove(row)
                        self.running[row.name] = Job(row, self, threads=max(1, (os.cpu_count() or 1) // side_by_side))
                    for job in [job for job in self.running.values() if not job.advance()]:
                        del self.running[job.row.name]
                        finished.add(job.row.name)
                    self._show(bar, rows)
                    time.sleep(0.5 if self.running else 0)
            finally:
                for job in self.running.values():
                    job.process.send_signal(signal.SIGINT)  # so that it takes its temporary files with it
                for job in self.running.values():
                    job.wait()
                self.running.clear()
        return True

    def _show(self, bar: tqdm, rows: Sequence[Row]) -> None:
        epochs = sum(epochs_done(self.bundles / row.name) for row in rows)
        text = ", ".join(f"{name} {job.what}" for name, job in self.running.items())
        # A terminal's clock goes on; a log file gets a line when something has happened.
        if sys.stderr.isatty() or (epochs, text) != (bar.n, bar.postfix):
            bar.n = epochs
            bar.set_postfix_str(text)

    def _forget_stale_results(self) -> None:
        """What was made of other inputs is no result, whether its row is in this call or not."""
        for name, row in self.rows.items():
            done = self.bundles / name / "output" / "done.json"
            if done.is_file() and (changed := what_changed(read_json(done), self.inputs.of(row))):
                tqdm.write(f"{name}: no longer done, since it was made with other {changed}")
                done.unlink()

    def _done(self, row: Row) -> bool:
        """Whether a row has its result, and so have its teachers, which would change if they were trained again."""
        done = (self.bundles / row.name / "output" / "done.json").is_file()
        return done and all(self._done(self.rows[teacher]) for teacher in row.teachers)


class Job:
    """One row on its way: its training, then its evaluation, each a process with a log."""

    def __init__(self, row: Row, study: StudyRunner, threads: int) -> None:
        self.row = row
        self.bundle = study.bundles / row.name
        self.inputs = study.inputs.of(row)
        self.lock = study.lock
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1"}
        self._make_room()
        copy_bundle(row.bundle, self.bundle, **study.plan.image)
        where = study.bundles, study.dataset
        self.steps = [
            ("training", commands.training(row, *where, study.inputs.datalist(row))),
            (
                "evaluating",
                commands.evaluating(row, *where, study.inputs.all_cases, study.plan.scored_on),
            ),
        ]
        self._next()

    @property
    def what(self) -> str:
        epochs = f"epoch {epochs_done(self.bundle)}/{self.row.settings[EPOCHS]}"
        return epochs if self.step == "training" else self.step

    def advance(self) -> bool:
        """Look after the process; False once the row is done."""
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
        """Wait until the interrupted process has ended; one that does not, is killed."""
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
            self.process = subprocess.Popen(
                line, stdout=log, stderr=subprocess.STDOUT, env=self.environment, pass_fds=[self.lock]
            )

    def _make_room(self) -> None:
        """What a training with other inputs left goes; a training that is to be scored on other cases stays."""
        started = self.bundle / "output" / "started.json"
        former = read_json(started) if started.is_file() else self.inputs
        if changed := what_changed(former, self.inputs, kinds=["trained"]):
            tqdm.write(f"{self.row.name}: starts afresh, since it was begun with other {changed}")
            for stale in (self.bundle / "output").glob("*"):
                if stale.is_file():
                    stale.unlink()
        write_json(started, self.inputs)


def epochs_done(bundle: Path) -> int:
    """How many epochs a row's log has."""
    try:
        with (bundle / "output" / "training.csv").open(encoding="utf-8") as log:
            return sum(1 for _ in csv.DictReader(log))
    except FileNotFoundError:
        return 0
