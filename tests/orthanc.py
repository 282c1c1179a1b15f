"""A real PACS for tests: Orthanc with its DICOMweb plugin on 127.0.0.1, and a connection that a test can cut."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from io import BytesIO
from pathlib import Path

import pydicom
import requests

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
LONGEST_START_S = 60
PIECE_BYTES = 4096


def is_installed() -> bool:
    """Whether Debian's packages orthanc and orthanc-dicomweb are installed."""
    return shutil.which("Orthanc") is not None and PLUGIN.exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Orthanc:
    """An Orthanc on free ports, with its storage in a folder. A test can kill it and start it again.

    Its AE title is ORTHANC; its DICOM port takes images of every sender.
    """

    def __init__(self, folder: Path):
        self.port, self.dicom_port = free_port(), free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self._config = folder / "orthanc.json"
        places = {name: str(folder / "storage") for name in ("StorageDirectory", "IndexDirectory")}
        ports = {"HttpPort": self.port, "DicomPort": self.dicom_port, "RemoteAccessAllowed": False}
        ports |= {"DicomAet": "ORTHANC", "DicomAlwaysAllowStore": True}
        web = {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
        self._settings = {**places, **ports, **web}
        self.start()

    def start(self, **changes: object) -> None:
        """Start with these settings changed, and wait until the server answers."""
        self._config.write_text(json.dumps({**self._settings, **changes}))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(["Orthanc", str(self._config)], **quiet)
        latest = time.monotonic() + LONGEST_START_S
        while True:
            try:
                requests.get(f"{self.root}/system", timeout=5).raise_for_status()
                return
            except requests.RequestException:
                if self._process.poll() is not None or time.monotonic() > latest:
                    raise
                time.sleep(0.2)

    def kill(self) -> None:
        """Stop the server as a power cut would."""
        self._process.kill()
        self._process.wait()

    def add(self, folder: Path) -> None:
        for path in (path for path in folder.rglob("*") if path.is_file()):
            requests.post(f"{self.root}/instances", data=path.read_bytes(), timeout=60).raise_for_status()

    def instances(self, modality: str) -> list[pydicom.Dataset]:
        """All stored instances of a modality."""
        query = {"Level": "Instance", "Query": {"Modality": modality}}
        found = requests.post(f"{self.root}/tools/find", json=query, timeout=60).json()
        files = [requests.get(f"{self.root}/instances/{one}/file", timeout=60).content for one in found]
        return [pydicom.dcmread(BytesIO(file)) for file in files]


class Link:
    """A port in front of the server, which kills the server after a number of bytes in one direction.

    Args:
        server: the server behind the port.
        upload: number of bytes that reach the server before it is killed; None for no limit.
        download: number of bytes that come from the server before it is killed; None for no limit.
    """

    def __init__(self, server: Orthanc, upload: int | None = None, download: int | None = None):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._left = {"up": upload, "down": download}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server.port))
                for way in (("up", client, server), ("down", server, client)):
                    threading.Thread(target=self._relay, args=way, daemon=True).start()

    def _relay(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                if self._left[way] is not None:
                    data = data[: self._left[way]]
                    self._left[way] -= len(data)
                target.sendall(data)
                if self._left[way] == 0:
                    # The server gets time to work on the bytes that it has received.
                    time.sleep(1)
                    self._server.kill()
                    self._listener.close()
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
