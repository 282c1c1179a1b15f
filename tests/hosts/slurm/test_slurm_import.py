"""The import of a DICOM archive, and the preparing of a dataset, as jobs on a real Slurm."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_studies import gland, save, segmentation, series_datasets

from custom_components.forked_python import run_forked

CLUSTER = """
partition: gpu
time: 30m
memory: 1000MB
cpus: 1
"""


@pytest.fixture
def folder(cluster, tmp_path_factory) -> Path:
    """An archive of six studies, one of them with a mask in another folder, and one damaged file."""
    folder = cluster.folder / tmp_path_factory.mktemp("import").name
    for number in range(6):
        image = np.random.default_rng(number).integers(0, 1500, (36, 32, 6)).astype(np.uint16)
        datasets = series_datasets(image, patient=f"P{number}")
        save(datasets, folder / "raw" / f"P{number}" / "4")
        if number == 2:
            save([segmentation(datasets, {"Prostate": gland()})], folder / "raw" / "masks")
    (folder / "raw" / "P5" / "4" / "damaged.dcm").touch()
    (folder / "cluster.yaml").write_text(CLUSTER)
    return folder


def files(dataset: Path) -> dict[str, bytes]:
    return {str(path.relative_to(dataset)): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def test_an_archive_is_listed_imported_and_merged_by_jobs(cluster, folder):
    words = [sys.executable, "-m", "data_prep", "import", "raw", "--site", "S", "--keep-ids"]
    alone = cluster.run(*words, "--out", "alone/set", "--jobs", "0", cwd=folder)
    assert alone.returncode == 3, alone.stderr
    command = [*words, "--out", "set", "--on", "slurm", "--cluster", "cluster.yaml", "--jobs", "2"]
    log = folder / "driver.log"
    with log.open("a") as stream:
        options = {"env": cluster.environment, "cwd": folder, "stdout": stream, "stderr": subprocess.STDOUT}
        killed = subprocess.Popen(command, **options)
        cluster.wait_for(lambda: len(queue(cluster)) >= 4, "the list, two parts and the merge in the queue")
        assert sum("unfulfilled" in line for line in queue(cluster)) >= 3, queue(cluster)
        killed.kill()  # its jobs go on; the same command finds them
        killed.wait()
        assert subprocess.Popen(command, **options).wait(240) == 3, log.read_text()
    assert "5 cases of 1 sites (2 findings in quarantine.json)" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert files(folder / "set") == files(folder / "alone" / "set")
    assert not (folder / ".set.jobs").exists()
    assert queue(cluster) == []


def test_jobs_prepare_a_dataset(cluster, folder, dataset_dir, repository):
    shutil.copytree(dataset_dir, folder / "dataset")
    config = repository / "bundles" / "enet" / "configs" / "preprocessing.json"
    words = [sys.executable, "-m", "monai.bundle", "run", "preparing", "--config_file", str(config)]
    words += ["--dataset_dir", "dataset", "--image_size", "32"]
    alone = run_forked([*words, "--cache_dir", "alone"], cwd=folder)
    assert alone.returncode == 0, alone.stdout
    started = time.time()
    on_slurm = ["--cache_dir", "cache", "--on", "slurm", "--cluster", "cluster.yaml", "--jobs", "2"]
    done = cluster.run(*words, *on_slurm, cwd=folder, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "9 volumes prepared in cache" in done.stdout
    volumes = {name: file for name, file in files(folder / "cache").items() if name.endswith(".nii")}
    assert volumes == {name: file for name, file in files(folder / "alone").items() if name.endswith(".nii")}
    assert len(volumes) == 2 * 9
    assert all((folder / "cache" / name).stat().st_mtime >= started for name in volumes)


def queue(cluster) -> list[str]:
    return cluster.run("squeue", "--noheader", "--array", "--format=%i %j %T %E").stdout.splitlines()
