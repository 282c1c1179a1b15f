"""A federation on one machine: FLARE's simulator runs the server and every hospital in a process of its own."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from nvflare.apis.impl.controller import Controller
from nvflare.job_config.api import FedJob

from custom_components.data import load_datalist
from custom_components.errors import InputError
from integrations.flare.hospital import Hospital

REPOSITORY = Path(__file__).resolve().parents[2]
# In FLARE's coloured log; its simulator ends with 0 whatever a hospital or the server raised.
FAULT = re.compile(r"(?:InputError: |Exception in model controller run: (?!InputError))([^\x1b\n]+)")


def check_dataset(hospital: str, dataset: Path) -> None:
    """Raises InputError unless a hospital's dataset has a split with cases to train on and to choose weights by."""
    datalist = dataset / "splits" / "all.json"
    for part in ("training", "validation"):
        if not load_datalist(datalist, part, dataset):
            raise InputError(f"{datalist}: hospital {hospital} has no {part} cases; split it with other --fractions")


def simulate(name: str, controller: Controller, hospitals: dict[str, Hospital], folder: Path) -> None:
    """Run a federation to its end.

    Args:
        name: of the job.
        controller: the server's part.
        hospitals: name to the part of each.
        folder: gets the job, as it could be submitted to a real federation, and FLARE's log.

    Raises:
        InputError: if the federation failed; says why, and where the log is.
    """
    job = FedJob(name)
    # Every party has this project installed; no code travels with the job.
    job.job.set_app_packages(["custom_components", "integrations"])
    job.to_server(controller)
    for hospital, executor in hospitals.items():
        job.to(executor, hospital)
    job.export_job(str(folder))

    log = folder / f"{name}.log"
    # FLARE takes no workspace with a space in its path.
    with tempfile.TemporaryDirectory() as workspace, log.open("w", encoding="utf-8") as stream:
        command = [sys.executable, "-m", "nvflare.cli", "simulator", str(folder / name), "--workspace", workspace]
        command += ["--clients", ",".join(hospitals), "--threads", str(len(hospitals))]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TQDM_DISABLE": "1"}
        code = _run(psutil.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT))
    text = log.read_text(encoding="utf-8", errors="replace")
    if fault := FAULT.search(text):
        raise InputError(f"{fault[1]} (log: {log})")
    if code:
        raise InputError(f"the federation ended with exit code {code}; see {log}")


def _run(simulator: psutil.Popen) -> int:
    try:
        return simulator.wait()
    except KeyboardInterrupt:
        # The hospitals are in sessions of their own, and would train on.
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*simulator.children(recursive=True), simulator]:
                process.kill()
        raise
