"""The project works when it is installed from a wheel, without a checkout."""

import os
import subprocess
import sys

import pytest
from wheels import build_wheel, copy_checkout

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
def installed(repository, tmp_path_factory):
    """``installed("-m", "data_prep", ...)`` runs Python with the wheel and its requirements, but without a checkout."""
    site, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    wheel = build_wheel(copy_checkout(repository, tmp_path_factory.mktemp("checkout") / "source"), elsewhere)
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
