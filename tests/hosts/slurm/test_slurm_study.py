"""A study on a real Slurm, whose driver, jobs and daemons are killed at ten moments, ends as the local run does."""

import json
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from custom_components.jobs.job import read_attempts
from experiments.runner import epochs_done

# The trainings are long enough that a fast machine still trains when the test looks.
PLAN = """
title: Tiny study
image_size: 32
fractions: [50, 25, 25]
settings: {batch_size: 4, device: cpu, train::trainer::max_epochs: 12}
rows:
  - {name: first, label: ENet of one site, role: teacher, bundle: enet, group: 0}
  - {name: second, label: ESPNet, role: teacher, bundle: espnet, group: 1}
  - {name: alone, label: ENet alone, role: baseline, bundle: enet}
  - name: distilled
    label: ENet distilled
    role: student
    bundle: enet
    teachers: [first, second]
    settings: {cache_teachers: true, augmentation_views: 2}
"""
CLUSTER = """
partition: gpu
time: 30m
memory: 1500MB
cpus: 1
"""


class Driver:
    """``experiments run --on slurm``, which can be killed and started again."""

    def __init__(self, folder: Path, cluster) -> None:
        self.folder = folder
        self.cluster = cluster
        self.log = folder / "driver.log"
        self.starts = 0
        self.start()

    def start(self) -> None:
        words = [*command(self.folder, "on_slurm"), "--on", "slurm", "--cluster", str(self.folder / "cluster.yaml")]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                words, env=self.cluster.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.starts += 1

    def kill(self) -> None:
        assert self.process.poll() is None, self.log.read_text()
        self.process.kill()
        self.process.wait()
        self.start()


def command(folder: Path, out: str) -> list[str]:
    where = ["--plan", "plan.yaml", "--dataset", "dataset", "--out", out]
    where = [word if word.startswith("--") else str(folder / word) for word in where]
    return [sys.executable, "-m", "experiments", "run", *where, "--groups", "HK", "UCL,BMC"]


@pytest.fixture(scope="module")
def folder(cluster, dataset_dir) -> Path:
    folder = cluster.folder / "study"
    shutil.copytree(dataset_dir, folder / "dataset", ignore=shutil.ignore_patterns("splits"))
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "cluster.yaml").write_text(CLUSTER)
    return folder


def scores(out: Path) -> dict:
    """The table of a study, with the hashes of all weights."""
    rows = json.loads((out / "results.json").read_text())["rows"]
    return {row["name"]: (row["summary"], row["weights_sha256"]) for row in rows}


def test_ten_kills_do_not_change_the_table(cluster, folder):
    bundles = folder / "on_slurm" / "bundles"
    driver = Driver(folder, cluster)

    def running(row: str) -> dict | None:
        """The attempt of a row whose process runs."""
        attempts = read_attempts(bundles / row / "output")
        return attempts[-1] if attempts and "ended" not in attempts[-1] else None

    def is_at_work(row: str) -> bool:
        attempt = running(row)
        return attempt is not None and psutil.pid_exists(attempt["pid"])

    def wait_for(row: str, step: str, epochs: int = 0) -> int:
        def reached() -> bool:
            assert driver.process.poll() in (None, -9), driver.log.read_text()
            return is_at_work(row) and running(row)["step"] == step and epochs_done(bundles / row) >= epochs

        cluster.wait_for(reached, f"{row}: {step} after {epochs} epochs; {driver.log.read_text()[-2000:]}")
        return running(row)["pid"]

    def queue() -> list[str]:
        return cluster.run("squeue", "--noheader", "--format=%i %j %T").stdout.splitlines()

    def state_of(job: str) -> str:
        return next((line for line in queue() if line.startswith(f"{job} ")), "")

    cluster.wait_for(queue, "the first job")
    driver.kill()  # 1: the driver, as soon as it has submitted
    runner = wait_for("alone", "training", epochs=1)
    (step,) = psutil.Process(runner).children()
    step.kill()  # 2: a training
    wait_for("first", "training")
    driver.kill()  # 3: the driver, while teachers are trained
    cluster.kill("n1")
    cluster.kill("n2")  # 4: the nodes' daemons, while their jobs go on
    time.sleep(2)
    cluster.start("n1")
    cluster.start("n2")
    psutil.Process(wait_for("alone", "training", epochs=1)).kill()  # 5: the process of a job
    wait_for("alone", "training")
    cluster.run("scancel", running("alone")["id"])  # 6: a job, by an administrator
    wait_for("distilled", "training", epochs=1)
    driver.kill()  # 7: the driver, while the student is trained
    student = running("distilled")["id"]
    cluster.run("scontrol", "requeue", student)  # 8: the student's job, which Slurm queues again
    cluster.wait_for(lambda: not is_at_work("distilled"), "the end of the student's first attempt")
    cluster.wait_for(lambda: "PENDING" in state_of(student), "the requeue")
    time.sleep(10)  # until the controller has written this down; otherwise the job would count as running for minutes
    cluster.kill("slurmctld")  # 9: the controller, which the driver asks in vain for a while
    time.sleep(5)
    cluster.start("slurmctld")
    # Slurm would wait for two minutes before it starts the job again.
    start = ["scontrol", "update", f"JobId={student}", "StartTime=now"]
    cluster.wait_for(lambda: cluster.run(*start).returncode == 0, "the controller")
    wait_for("distilled", "evaluating")
    driver.kill()  # 10: the driver, while the student is scored
    assert driver.process.wait(120) == 0, driver.log.read_text()
    cluster.wait_for(lambda: not queue(), "an empty queue")  # a job is done a moment before its process ends

    told = driver.log.read_text()
    assert "Traceback" not in told
    assert "sacct" not in told
    # No row was trained by two jobs at the same time.
    for row in ("first", "second", "alone", "distilled"):
        attempts = read_attempts(bundles / row / "output")
        assert all(one["ended"] <= next_["started"] for one, next_ in pairwise(attempts))
        assert attempts[-1]["code"] == 0
        assert attempts[-1]["place"] == "slurm"

    one_core = ["taskset", "--cpu-list", "0", *command(folder, "local"), "--jobs", "2"]
    local = cluster.run(*one_core, timeout=200)
    assert local.returncode == 0, local.stderr
    assert scores(folder / "on_slurm") == scores(folder / "local")
