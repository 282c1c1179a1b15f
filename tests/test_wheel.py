"""The project works when it is installed from a wheel, without a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from old_builds import leave_old_build

NOT_COPIED = (".*", "runs", "dist", "build", "models", "output", "*.egg-info", "__pycache__")
PLAN = """\
title: Tiny
image_size: 32
seeds: [0]
fractions: [34, 33, 33]
settings: {train::trainer::max_epochs: 1, augmentation: 0}
rows:
  - {name: espnet, label: ESPNet, role: teacher, bundle: espnet}
  - {name: enet, label: ENet, role: student, bundle: enet, teachers: [espnet]}
"""


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """The wheel of a checkout in which a bundle was trained."""
    source, out = tmp_path_factory.mktemp("checkout") / "source", tmp_path_factory.mktemp("wheel")
    shutil.copytree(repository, source, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for file in ("models/provenance.json", "output/evaluation.json"):
        (source / "bundles" / "enet" / file).parent.mkdir()
        (source / "bundles" / "enet" / file).write_text('{"patient": "MRN-4711"}')
    leave_old_build(source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(command, cwd=source, check=True)
    (wheel,) = out.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """``installed("-m", "data_prep", ...)`` runs Python with the wheel and its requirements, but without a checkout."""
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    install = ["install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    requirements = [path for path in sys.path if path.endswith("site-packages")]
    # -S keeps out the environment's own site packages, in which this checkout is installed.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *requirements]), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> str:
        command = [sys.executable, "-S", *map(str, arguments)]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.site, run.elsewhere = site, elsewhere
    return run


def test_nothing_of_a_training_is_in_a_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert not [name for name in names if b"MRN-4711" in archive.read(name)]
    assert "bundles/enet/configs/train.json" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks"))]


def test_nothing_of_an_earlier_build_is_in_a_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "data_prep/phantom/__init__.py" in names
    assert not [name for name in names if "removed" in name]


def test_data_a_bundle_and_a_plan_run_from_an_installation(installed):
    where = installed(
        "-c", "import custom_components, data_prep; print(custom_components.__file__, data_prep.__file__)"
    )
    assert where.count(str(installed.site)) == 2
    installed("-m", "data_prep", "phantom", "raw", "--cases-per-site", "3", "--matrix", "64", "--slices", "4")
    installed("-m", "data_prep", "import", "raw", "--out", "dataset", "--keep-ids")
    installed("-m", "data_prep", "split", "dataset", "--fractions", "34", "33", "33")

    installed("-m", "custom_components.bundle", "copy", "enet", "mine/enet", "--image-size", "32")
    config = installed.elsewhere / "mine" / "enet" / "configs" / "train.json"
    options = ("--dataset_dir", "dataset", "--train::trainer::max_epochs", "1", "--augmentation", "0")
    installed("-m", "monai.bundle", "run", "training", "--config_file", config, *options)
    assert (installed.elsewhere / "mine" / "enet" / "models" / "model.pt").is_file()

    (installed.elsewhere / "tiny.yaml").write_text(PLAN)
    printed = installed("-m", "experiments", "run", "--plan", "tiny.yaml", "--dataset", "dataset", "--out", "study")
    assert "ENet" in printed
    assert (installed.elsewhere / "study" / "report.html").is_file()
    assert not list(installed.site.glob("bundles/*/models"))
