"""The real server on 127.0.0.1, with small untrained bundles and the tiny dataset's images as studies."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from shipped_bundles import give_random_weights

from custom_components.bundle import copy_bundle, read_bundle

STARTS_WITHIN_S = 180


class Server:
    """A running server, as a client sees it."""

    def __init__(self, process: subprocess.Popen, url: str, work_dir: Path) -> None:
        self.process = process
        self.url = url
        self.work_dir = work_dir

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=120, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=120, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return requests.put(self.url + path, timeout=120, **options)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(self.url + path, timeout=120)

    def save_label(self, image: str, file: Path, tag: str = "final") -> requests.Response:
        return self.put(f"/datastore/label?image={image}&tag={tag}", files={"label": (file.name, file.read_bytes())})

    def finish(self, task: str, deadline_s: float = 300) -> dict[str, Any]:
        """Wait until the last background task of ``/train/`` or ``/batch/infer`` has ended, and return it."""
        until = time.monotonic() + deadline_s
        while time.monotonic() < until:
            last = self.get(task).json()
            if last["status"] not in ("SUBMITTED", "RUNNING"):
                return last
            time.sleep(0.5)
        raise TimeoutError(last)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """``free_port()`` gives a port on which no program listens."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return find


@pytest.fixture(scope="session")
def environment(repository) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    """A folder with the bundles ``enet`` and ``espnet`` at 32x32, with random weights."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate(("enet", "espnet")):
        copy_bundle(name, folder / name, image_size=32)
        give_random_weights(read_bundle(str(folder / name)), seed=seed)
    return folder


@pytest.fixture(scope="module")
def studies(tmp_path_factory, dataset_dir) -> Path:
    """Four phantom volumes and, if there are real data, a real volume."""
    folder = tmp_path_factory.mktemp("studies")
    for image in sorted((dataset_dir / "images").iterdir())[:4]:
        shutil.copy(image, folder)
    if real_data := os.environ.get("PROSTATE_REAL_DATA"):
        image = next(Path(real_data, "promise12_multisite", "UCL").glob("Case??.nii.gz"))
        shutil.copy(image, folder / "real.nii.gz")
    return folder


@pytest.fixture(scope="module")
def start(repository, environment, free_port, tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """``start(studies, "--models", folder, ...)`` starts a server on a free port. The server stops after the module."""
    servers = []

    def run(studies: Path | str, *arguments: str | Path) -> Server:
        port = free_port()
        work_dir = tmp_path_factory.mktemp("work")
        command = [sys.executable, "-m", "integrations.monai_label", "--studies", str(studies), "--port", str(port)]
        command += ["--work-dir", str(work_dir), *map(str, arguments)]
        process = subprocess.Popen(command, cwd=repository, env=environment, stderr=subprocess.STDOUT)
        servers.append(Server(process, f"http://127.0.0.1:{port}", work_dir))
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until:
            assert process.poll() is None, "the server ended"
            try:
                servers[-1].get("/info/")
                return servers[-1]
            except requests.ConnectionError:
                time.sleep(0.3)
        raise TimeoutError("no answer from the server")

    yield run
    for server in servers:
        server.process.terminate()
        assert server.process.wait(30) == 0
        assert not list(server.work_dir.glob("uploads-*"))
