"""A real Slurm on this machine, as two nodes: munged, slurmctld and two slurmd, in a folder of the test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The nodes say that they are larger than this machine, so that they take the jobs of the documentation.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmUser=root
ReturnToService=2
MpiDefault=none
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=10
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=16 RealMemory=64000 Gres=gpu:4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=16 RealMemory=64000 Gres=gpu:4
PartitionName=gpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


# Slurm wants a file for each GPU; jobs do not open these.
FOUR_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")


class Cluster:
    """The daemons of a cluster; each can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("state", "spool-n1", "spool-n2", "munge"):
            (folder / part).mkdir(parents=True)
        host = socket.gethostname().partition(".")[0]
        config = folder / "slurm.conf"
        config.write_text(CONFIG.format(host=host, folder=folder, ports=_free_ports(3)))
        (folder / "gres.conf").write_text("".join(f"Name=gpu File={file}\n" for file in FOUR_DEVICES))
        self.environment = {**os.environ, "SLURM_CONF": str(config), "OMP_NUM_THREADS": "1"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.daemons: dict[str, subprocess.Popen] = {}

    def start_all(self) -> None:
        """Start all daemons and wait until the nodes take jobs."""
        self._start_munge()
        for name in ("slurmctld", "n1", "n2"):
            self.start(name)
        self.wait_for(self._has_idle_nodes, "two idle nodes")

    def start(self, name: str) -> None:
        """Start ``slurmctld``, or the daemon of the node ``n1`` or ``n2``, without a change of its state."""
        command = ["slurmctld", "-D"] if name == "slurmctld" else ["slurmd", "-D", "-N", name]
        with (self.folder / f"{name}.out").open("a") as log:
            self.daemons[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)

    def kill(self, name: str) -> None:
        """Kill a daemon as a crash would."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def run(self, *command: str, **options) -> subprocess.CompletedProcess:
        options = {"env": self.environment, "capture_output": True, "text": True, "timeout": 120, **options}
        return subprocess.run(command, **options)

    @staticmethod
    def wait_for(condition: Callable[[], object], what: str, seconds: float = 200) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for: {what}"
            time.sleep(0.1)

    def stop(self) -> None:
        self.run("scancel", "--user=root")
        with contextlib.suppress(AssertionError):
            self.wait_for(lambda: not self.run("squeue", "--noheader").stdout, "the end of all jobs", seconds=20)
        for daemon in reversed(self.daemons.values()):
            daemon.send_signal(signal.SIGTERM)
        for daemon in self.daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def _has_idle_nodes(self) -> bool:
        return self.run("sinfo", "--noheader", "--format=%t %D").stdout.strip() == "idle 2"

    def _start_munge(self) -> None:
        """munged with a key of its own; it refuses folders that others may write to."""
        home = self.folder / "munge"
        (home / "key").write_bytes(os.urandom(128))
        (home / "key").chmod(0o600)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={home / file}" for option, file in files.items()]
        with (home / "out").open("w") as log:
            self.daemons["munged"] = subprocess.Popen(
                ["munged", "--foreground", "--force", *options], stdout=log, stderr=subprocess.STDOUT
            )
        self.wait_for((home / "socket").exists, (home / "out").read_text() or "munged")


def _free_ports(number: int) -> list[int]:
    listeners = [socket.socket() for _ in range(number)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    folder = Path("/var/tmp" if os.access("/var/tmp", os.W_OK) else "/tmp") / f"test-slurm-{os.getpid()}"
    made = Cluster(folder)
    try:
        made.start_all()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
