"""A federation on one machine: FLARE's simulator runs the server and every hospital in a process of its own."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
from nvflare.apis.impl.controller import Controller
from nvflare.job_config.api import FedJob

from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError
from integrations.flare.hospital import Hospital

REPOSITORY = Path(__file__).resolve().parents[2]
# Errors in FLARE's coloured log. FLARE's simulator ends with exit code 0 even if a hospital or the server fails.
FAULT = re.compile(r"(?:InputError: |Exception in model controller run: (?!InputError))([^\x1b\n]+)")


def check_dataset(hospital: str, dataset: Path, parts: Sequence[str] = ("training", "validation")) -> None:
    """Raises InputError unless a hospital's dataset has a split with cases in these parts."""
    datalist = dataset / "splits" / "all.json"
    for part in parts:
        if not load_datalist(datalist, part, dataset):
            advice = "import images without masks" if part == "unlabeled" else "split it with other --fractions"
            raise InputError(f"{datalist}: hospital {hospital} has no {part} cases; {advice}")


def simulate(name: str, controller: Controller, hospitals: dict[str, Hospital], folder: Path) -> None:
    """Run a whole federation.

    Args:
        name: name of the job.
        controller: the controller of the server.
        hospitals: the executor of each hospital, by name.
        folder: folder for the job, in the form for a real federation, and for FLARE's log.

    Raises:
        InputError: if the federation fails; the message gives the reason and the path of the log.
    """
    job = FedJob(name)
    # Server and hospitals have this project installed, so the job carries no code.
    job.job.set_app_packages(["custom_components", "integrations"])
    job.to_server(controller)
    for hospital, executor in hospitals.items():
        job.to(executor, hospital)
    job.export_job(str(folder))

    log = folder / f"{name}.log"
    # FLARE does not accept a workspace with a space in its path.
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
        # The hospitals run in process sessions of their own, and would otherwise continue to train.
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*simulator.children(recursive=True), simulator]:
                process.kill()
        raise
