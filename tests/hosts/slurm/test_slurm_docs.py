"""The commands of the documentation, on a real Slurm: "from a laptop to a cluster", and one training on two nodes."""

import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch

from custom_components.jobs.job import read_attempts

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs" / "how-to" / "cluster.md"
TRAINING = REPOSITORY / "docs" / "how-to" / "training.md"
ROWS = ("teacher", "enet_ce", "enet_distilled")
# Some rows of the plan on the page, with smaller networks.
PLAN = """
title: Some rows
image_size: 32
fractions: [50, 25, 25]
settings: {batch_size: 4, train::trainer::max_epochs: 1}
rows:
  - {name: teacher, label: ESPNet, role: teacher, bundle: espnet, group: 0}
  - {name: enet_ce, label: ENet alone, role: baseline, bundle: enet}
  - {name: enet_distilled, label: ENet distilled, role: student, bundle: enet, teachers: [teacher]}
"""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def output(folder: Path, row: str) -> Path:
    return folder / "runs" / "mine" / "bundles" / row / "output"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def folder(cluster, dataset_dir, tmp_path_factory) -> Path:
    """A folder as the page describes it, which both nodes see."""
    folder = cluster.folder / tmp_path_factory.mktemp("docs").name
    shutil.copytree(dataset_dir, folder / "dataset")
    (folder / "plan.yaml").write_text(PLAN)
    for part in ("integrations", "bundles"):
        (folder / part).symlink_to(REPOSITORY / part)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").write_text(f"export PATH={Path(sys.executable).parent}:$PATH\n")
    return folder


def test_the_page_from_a_laptop_to_a_cluster(cluster, folder):
    (settings,) = blocks(PAGE, "yaml")
    (folder / "cluster.yaml").write_text(settings)
    printed = []
    for block in blocks(PAGE, "bash"):
        # Smaller networks; and the laptop's time is over before its second command has done all rows.
        block = block.replace("--plan cpu", "--plan plan.yaml --groups HK,UCL").replace("9m", "1s")
        done = cluster.run("bash", "-ec", f"{block.strip()}\nwait\n", cwd=folder, timeout=600)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        printed.append(done.stdout)
    laptop, over, _, on_slurm, _, status, _ = printed
    assert "ENet distilled" in laptop
    assert "the time is over" in over
    assert "the time is over" not in on_slurm
    assert [line.split()[:2] for line in status.splitlines()[:3]] == [[row, "done"] for row in ROWS]
    assert "3 of 3 rows done\n" in status
    assert "report: " in (folder / "study.log").read_text()
    places = {row: [one["place"] for one in read_attempts(output(folder, row))] for row in ROWS}
    assert places["enet_ce"] == ["local"]
    assert places["enet_distilled"] == ["slurm"]
    (attempt,) = read_attempts(output(folder, "enet_distilled"))
    page = (folder / "runs" / "mine" / "report.md").read_text()
    assert f"{attempt['host']}, GPU {attempt['gpu']}, job {attempt['id']}" in page
    (script,) = (output(folder, "enet_distilled") / "slurm").glob("*_submission.sh")
    asked = script.read_text().splitlines()
    for line in ("partition=gpu", "time=720", "mem=32768M", "cpus-per-task=8", "gpus-per-node=1", "account=prostate"):
        assert f"#SBATCH --{line}" in asked
    assert "export OMP_PROC_BIND=false" in asked


def test_one_training_on_two_nodes(cluster, folder):
    (script,) = [block for block in blocks(TRAINING, "bash") if "#SBATCH --nodes=2" in block]
    # One process on each node, on the processor; both nodes are this machine.
    script = script.replace("--gpus-per-node=4", "--gpus-per-node=1").replace(
        "--nproc_per_node=4", "--nproc_per_node=1"
    )
    script = script.replace("$first:29500", f"127.0.0.1:{free_port()}")
    options = {"device": "cpu", "image_size": 32, "batch_size": 4, "train::trainer::max_epochs": 1}
    options |= {"output_dir": folder / "output", "models_dir": folder / "models"}
    typed = " ".join(f"--{name} {value}" for name, value in options.items())
    (folder / "two_machines.sh").write_text(f"{script.rstrip()} {typed}\n")
    done = cluster.run("sbatch", "--wait", "--output=two.log", "two_machines.sh", cwd=folder, timeout=400)
    log = (folder / "two.log").read_text()
    assert done.returncode == 0, log
    assert log.count("training_log INFO: epoch 1/1") == 1  # the first process alone writes
    last = torch.load(folder / "output" / "last.pt", weights_only=True)
    assert len(last["random"]["processes"]) == 2
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert all(value.isfinite().all() for value in weights.values())
