"""A reader of the tutorial types its commands on a phantom, with smaller sizes, and has a student in use."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from page_commands import REPOSITORY, follow

from custom_components.foundation.files import file_sha256, read_json

# The environments of make venv and make web. This test runs in that of make label.
PYTHON = Path(os.environ.get("PY", REPOSITORY / ".venv" / "bin" / "python"))
NODE_MODULES = REPOSITORY / "web" / "node_modules" / ".package-lock.json"


@pytest.fixture
def folder(tmp_path, copy_bundles) -> Iterator[Path]:
    """A folder in the place of the repository's root; its bundles are copies. The servers of a failed test end here."""
    copy_bundles("enet")
    for entry in REPOSITORY.iterdir():
        if entry.name not in ("bundles", "runs", "build") and not entry.name.startswith("."):
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "bin").mkdir()
    for name, command in {"python": PYTHON, "segment": f"{PYTHON} -m student_runner"}.items():
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    yield tmp_path
    for file in tmp_path.glob("*.pid"):
        process = Path("/proc", file.read_text().strip())
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (process / "cwd").readlink() == tmp_path:
                os.kill(int(process.name), signal.SIGTERM)


@pytest.mark.skipif(not PYTHON.exists(), reason="no environment of make venv")
@pytest.mark.skipif(not shutil.which("npm"), reason="no npm")
def test_from_annotation_to_a_student_in_the_reading_room(folder, free_port):
    if not NODE_MODULES.exists():
        subprocess.run(["make", NODE_MODULES.relative_to(REPOSITORY)], cwd=REPOSITORY, check=True)
    made = {"PY": PYTHON, "LABEL_PY": sys.executable, "NODE_PY": PYTHON}
    for ready in ("READY", "LABEL_READY", "NODE_READY"):
        made[ready] = folder / ready.lower()
        made[ready].touch()
    made["NODE_MODULES"] = NODE_MODULES
    shorter = {"SIZE": "32", "EPOCHS": "1", "CASES": "4"}
    shorter |= {name: str(free_port()) for name in ("PORT", "PAGE", "NODE", "HEALTH")}
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'runner'}",
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in made.items()),
        "TMPDIR": str(folder),
    }
    page = REPOSITORY / "docs" / "tutorials" / "reading-room.md"
    follow(page, folder, shorter, environment, fork=False)

    models = folder / "runs" / "enet" / "models"
    record = read_json(models / "provenance.json")
    assert {part: len(cases) for part, cases in record["cases"].items()} == {"training": 3, "validation": 1}
    assert file_sha256(models / "model.pt") == record["weights_sha256"]
    images = sorted((folder / "studies").glob("*.nii.gz"))
    assert [mask.name for mask in sorted((folder / "masks").iterdir())] == [image.name for image in images]
    # The viewer's proposal and the workstation's mask are the same.
    proposal, mask = (nibabel.load(file) for file in (folder / "proposal.nii.gz", folder / "masks" / images[0].name))
    np.testing.assert_allclose(proposal.affine, mask.affine, atol=1e-4)
    assert np.mean(proposal.get_fdata() != mask.get_fdata()) < 1e-3
    assert "<title>" in (folder / "index.html").read_text()
    assert (folder / "health.txt").read_text().startswith("ok")
    end = time.monotonic() + 30
    while running := [name for name in ("PORT", "PAGE", "NODE") if is_open(int(shorter[name]))]:
        assert time.monotonic() < end, f"told to end, and still running: {running}"
        time.sleep(0.2)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
