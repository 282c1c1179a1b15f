"""A node as a process of its own, and dcmtk's senders."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
import yaml
from orthanc import free_port

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'runner'}"}
LONGEST_S = 120


def has_dcmtk() -> bool:
    """Whether dcmtk's storescu and echoscu are installed."""
    return shutil.which("storescu") is not None and shutil.which("echoscu") is not None


def wait_until(holds: Callable[[], object], longest_s: float = LONGEST_S) -> None:
    """Wait until ``holds()`` is true."""
    latest = time.monotonic() + longest_s
    while not holds():
        assert time.monotonic() < latest, "waited too long"
        time.sleep(0.02)


class NodeProcess:
    """A node with its settings and state below a folder. A test can kill it and start it again."""

    def __init__(self, folder: Path, student: Path, pacs: dict, **sections: dict):
        self.state, self.log = folder / "state", folder / "node.log"
        self.port, self.metrics_port = free_port(), free_port()
        settings = {"student": str(student), "state": str(self.state), "pacs": pacs, **sections}
        settings["listen"] = {"ae_title": "PROSTATE", "allowed": ["SCANNER"], "port": self.port}
        settings["listen"] |= sections.get("listen", {})
        settings["study"] = {"quiet_s": 1} | sections.get("study", {})
        settings["metrics"] = {"port": self.metrics_port}
        self.config = folder / "node.yaml"
        self.config.write_text(yaml.safe_dump(settings))

    def start(self) -> "NodeProcess":
        """Start, and wait until it listens."""
        ready = self.said("node=ready")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "student_runner.node", self.config], env=ENVIRONMENT, stdout=log, stderr=log
            )
        wait_until(lambda: self.said("node=ready") > ready or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def kill(self) -> None:
        """End the node as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the node as the system does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def said(self, words: str) -> int:
        """The number of lines of the log that hold these words."""
        return self.log.read_text().count(words) if self.log.exists() else 0

    def studies(self, state: str) -> int:
        """The number of studies in a state."""
        folder = self.state / state
        return len(list(folder.iterdir())) if folder.exists() else 0

    def is_idle(self) -> bool:
        """Whether every study is answered."""
        return not any(self.studies(state) for state in ("receiving", "waiting", "segmenting", "sending"))

    def metric(self, name: str) -> float:
        """The value of a metric without labels, or the sum over its labels."""
        text = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).text
        return sum(float(value) for value in re.findall(rf"^segment_node_{name}(?:{{.*}})? (\S+)$", text, re.M))

    def resident_mb(self) -> float:
        """The resident memory of the node, without its segmenting process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000

    def send(self, *files: Path, options: Sequence[str] = (), title: str = "SCANNER") -> int:
        """Send files or folders in one association; the exit code of storescu."""
        return self.sender(*files, options=options, title=title).wait()

    def sender(self, *files: Path, options: Sequence[str] = (), title: str = "SCANNER") -> subprocess.Popen:
        """Start to send files or folders in one association."""
        peer = ["-aet", title, "-aec", "PROSTATE", "127.0.0.1", str(self.port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(["storescu", *options, *peer, "+sd", "+r", *files], **quiet)

    def send_until_taken(self, *files: Path) -> None:
        """Send again and again until all is taken, as a scanner does."""
        wait_until(lambda: self.send(*files) == 0 or time.sleep(0.3))
