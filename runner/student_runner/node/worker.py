"""Segments one study after the other, each in a process of its own, so that no study can end the node."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from custom_components.foundation.errors import InputError, WriteError
from custom_components.foundation.files import read_json
from student_runner.node.config import NodeSettings
from student_runner.node.folders import write_safely
from student_runner.node.job import NO_ROOM_CODE, OUTCOME, REFUSED, AnsweringJob
from student_runner.node.queue import ATTEMPTS, FAILED, IMAGES, RESULTS, Queue

log = logging.getLogger("segment-node")

LONGEST_S = 900
MOST_ATTEMPTS = 2
# How long the work rests when the disk is full.
PAUSE_S = 5
COMMAND = (sys.executable, "-m", "student_runner.node.answering")


class Worker:
    """Takes waiting studies from the queue and puts them, with their results, to those that are sent.

    Args:
        config: the node's settings.
        queue: the studies.
        key: the file of the node's key.
    """

    def __init__(self, config: NodeSettings, queue: Queue, key: Path) -> None:
        self._config, self._queue, self._key = config, queue, key
        self._process: subprocess.Popen | None = None
        self._stopped = threading.Event()
        self.seconds_sum, self.runs = 0.0, 0

    def check(self) -> None:
        """Open the student once, so that a wrong file ends the node before it listens.

        Raises:
            InputError: if the student cannot be opened.
        """
        code, said = self._run(self._job(images="", out=""))
        if code != 0:
            raise InputError(said or "the student cannot be opened; its process was ended by the system")

    def run(self, tick_s: float) -> None:
        """Work until :meth:`stop` is called."""
        while not self._stopped.is_set():
            if not self._work():
                self._stopped.wait(tick_s)

    def _work(self) -> bool:
        """Answer one study; False if none can be answered now."""
        folder = self._queue.claim()
        if folder is None:
            return False
        try:
            self._answer(folder)
        except (OSError, WriteError):
            log.warning("study=%s segmentation=postponed reason=no-room", folder.name)
            self._queue.give_back(folder)
            self._stopped.wait(PAUSE_S)
        return True

    def stop(self) -> None:
        """End the work; a study that is being segmented goes back to waiting."""
        self._stopped.set()
        process = self._process
        if process is not None:
            process.kill()

    def _answer(self, folder: Path) -> None:
        start = time.monotonic()
        partial = folder / f"{RESULTS}.part"
        attempts = folder / ATTEMPTS
        failures = read_json(attempts)["failures"] if attempts.exists() else 0
        reasons = (("damaged", any(folder.glob(f"{FAILED}*"))), ("failed", failures >= MOST_ATTEMPTS))
        refuse = next((reason for reason, holds in reasons if holds), None)
        code, said = self._run(self._job(str(folder / IMAGES), str(partial), refuse, folder.name))
        if code == -signal.SIGTERM or (code != 0 and self._stopped.is_set()):
            self._queue.give_back(folder)
            return
        if code == NO_ROOM_CODE:
            raise OSError("no room for the results")
        if code != 0:
            log.error("study=%s segmentation=failed attempt=%d detail=%r", folder.name, failures + 1, said)
            if failures < MOST_ATTEMPTS:
                write_safely(attempts, {"failures": failures + 1})
                self._queue.give_back(folder)
                return
            self._give_up(folder, partial)
        self.seconds_sum, self.runs = self.seconds_sum + time.monotonic() - start, self.runs + 1
        outcome = read_json(partial / OUTCOME)
        write_safely(partial / OUTCOME, {**outcome, "seconds": round(time.monotonic() - start, 1)})
        partial.rename(folder / RESULTS)
        self._queue.to_sending(folder)

    def _give_up(self, folder: Path, partial: Path) -> None:
        """The outcome of a study of which not even a refusal could be written."""
        images = sorted(path.name for path in (folder / IMAGES).iterdir())
        outcome = {
            "answer": REFUSED,
            "reason": "failed",
            "images": images,
            "series": [],
            "fitting": [],
            "documents": {},
        }
        for path in partial.glob("*") if partial.exists() else ():
            path.unlink()
        write_safely(partial / OUTCOME, outcome)

    def _job(self, images: str, out: str, refuse: str | None = None, study: str = "") -> AnsweringJob:
        wanted = self._config.study
        record = self._queue.record_file(study) if study else None
        return AnsweringJob(
            student=str(self._config.student),
            images=images,
            out=out,
            key=str(self._key),
            record=str(record) if record and record.exists() else None,
            series=wanted.series,
            tie=wanted.tie,
            picture=wanted.picture,
            report_refusals=wanted.report_refusals,
            refuse=refuse,
            node=os.getpid(),
        )

    def _run(self, job: AnsweringJob) -> tuple[int, str]:
        """The exit code of a job's process, and the line of its error."""
        pipes: dict[str, int] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        # In a session of its own, so that Ctrl-C does not reach it.
        with subprocess.Popen(COMMAND, text=True, errors="replace", start_new_session=True, **pipes) as process:
            self._process = process
            try:
                _, said = process.communicate(job.as_json(), timeout=LONGEST_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return -signal.SIGKILL, f"took more than {LONGEST_S} s"
            except BrokenPipeError:
                said = ""
            finally:
                self._process = None
        lines = said.strip().splitlines()
        # Only the line of an exception is the process' own. A library that ends it may have written values of a study.
        is_own = process.returncode == 1 and lines
        return process.returncode, lines[-1] if is_own else f"exit code {process.returncode}"
