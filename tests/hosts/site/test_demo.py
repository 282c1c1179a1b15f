"""The first command of the README, as typed. The environment makes it small."""

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = {"SIZE": "32", "EPOCHS": "1", "SEEDS": "0", "OMP_NUM_THREADS": "1"}


def test_the_demo_prints_a_table_and_writes_a_report_and_students(tmp_path):
    environment = {**os.environ, **SMALL, "OUT": str(tmp_path / "demo")}
    done = subprocess.run(
        ["make", "demo"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Dice" in done.stdout
    assert (tmp_path / "demo" / "report.html").is_file()
    assert list((tmp_path / "demo" / "bundles").glob("*/models/model.pt"))
