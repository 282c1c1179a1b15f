"""The process of a job (``python -m custom_components.jobs.process FOLDER`` on this machine): it runs the steps.

Every step is a fork of this process. On this machine it is itself a fork of a process that has imported MONAI, so that
no step waits for that import; on a cluster each step imports what it needs.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom_components.forked_python import run_module
from custom_components.foundation.files import write_json
from custom_components.jobs.job import ATTEMPTS_FILE, JOB_FILE, read_attempts, read_submission, typed
from custom_components.jobs.standing import identity

STOPS = (signal.SIGINT, signal.SIGTERM)
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def run_job(folder: Path) -> int:
    """Run the steps of a job until one fails, keep the attempt in ``attempts.json``, and return the last exit code."""
    record = read_submission(folder)
    if record is None:
        raise SystemExit(f"error: {folder / JOB_FILE}: no such job; it was cancelled or removed")
    return _Attempt(folder, record).run()


class _Attempt:
    """One start of a job."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self._folder = folder
        self._record = record
        self._step = 0  # process id of the running step
        self._stopped = False
        self._attempts = read_attempts(folder)
        for former in self._attempts:
            # A killed process could not write its end. The logs tell until when it was alive.
            former.setdefault("ended", max(former["started"], self._last_output()))
        self._own = {
            "token": record["token"],
            "place": record["place"],
            **identity(),
            "id": _slurm_id() if record["place"] == "slurm" else "",
            "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            "started": time.time(),
            "step": "",
        }
        self._attempts.append(self._own)

    def run(self) -> int:
        for number in STOPS:
            signal.signal(number, self._stop)
        if "SLURM_CPUS_PER_TASK" in os.environ and self._record["place"] == "slurm":
            os.environ["OMP_NUM_THREADS"] = os.environ["SLURM_CPUS_PER_TASK"]
        code = 0
        for step in self._record["steps"]:
            if self._stopped:
                break
            self._own["step"] = step["name"]
            self._keep()
            code = self._run_step(step)
            if code not in self._record["good_codes"]:
                break
        # An interrupted step has not failed.
        self._own |= {"ended": time.time(), "code": None if self._stopped else code}
        self._keep()
        return code

    def _run_step(self, step: Mapping[str, Any]) -> int:
        log = Path(step["log"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {typed(step['command'])}\n")
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until a stop would find the step's process
        if self._stopped:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            return 0
        self._step = os.fork()
        if not self._step:
            _become(step["command"], log, {**os.environ, **self._record["environment"]})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        _, status = os.waitpid(self._step, 0)
        self._step = 0
        return os.waitstatus_to_exitcode(status)

    def _stop(self, number: int, frame: object) -> None:
        """Interrupt the step once. Slurm's SIGTERM reaches the step itself too."""
        self._stopped = True
        if self._step and not (number == signal.SIGTERM and self._record["place"] == "slurm"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._step, signal.SIGINT)

    def _last_output(self) -> float:
        logs = [Path(step["log"]) for step in self._record["steps"]]
        return max((log.stat().st_mtime for log in logs if log.is_file()), default=0)

    def _keep(self) -> None:
        write_json(self._folder / ATTEMPTS_FILE, {"attempts": self._attempts})


def _become(command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """In a fork: run a step's command and end the process with its exit code."""
    code: int | str | None = 1
    try:
        if sys.platform == "linux":
            # The step must not go on alone: a new attempt would meet it in the same folder.
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        # A cluster stops a step with SIGTERM. As after Ctrl-C, the step removes its temporary files.
        for number in STOPS:
            signal.signal(number, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        # submitit's warning before the time limit is for the process of the job alone.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        _, _, module, *arguments = command
        run_module(module, arguments, str(log), os.getcwd(), environment)
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        if isinstance(code, str):
            print(code, file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else bool(code))


def _slurm_id() -> str:
    """The id of this job as ``squeue`` writes it."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")


if __name__ == "__main__":
    os.setsid()  # a terminal's Ctrl-C reaches the program that submitted, and that program interrupts its jobs
    sys.exit(run_job(Path(sys.argv[1])))
