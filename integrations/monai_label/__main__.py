"""Start the server: ``python -m integrations.monai_label --studies <folder or DICOMweb URL> --models enet espnet``."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from custom_components.bundle import find_bundle
from custom_components.foundation.errors import InputError
from data_prep.dicom import SeriesChoice

APP_DIR = Path(__file__).resolve().parent
REPOSITORY = APP_DIR.parents[1]
LAST_PORT = 65535


def main() -> None:
    """Run the command line."""
    options = _parser().parse_args()
    work_dir = Path(options.work_dir).resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    # Uploads of clients lie in a temporary folder. It is removed when the server ends, also if the server is
    # terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="uploads-", dir=work_dir) as uploads:
        os.environ.update(_settings(options, work_dir) | {"TMPDIR": uploads})
        tempfile.tempdir = uploads
        # MONAI Label reads the settings when it is imported.
        from integrations.monai_label.server import serve

        serve(options.host, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integrations.monai_label", description="A MONAI Label server.")
    parser.add_argument("--studies", required=True, help="folder of NIfTI volumes, or DICOMweb URL of a PACS")
    parser.add_argument("--models", required=True, nargs="+", metavar="BUNDLE", help="bundles, by name or folder")
    parser.add_argument("--teachers", default=[], nargs="*", metavar="BUNDLE", help="trained bundles to distil from")
    parser.add_argument("--work-dir", default="runs/label", help="the server's own folder (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="other machines reach the server only with 0.0.0.0")
    parser.add_argument("--port", type=_port, default=8000, help="port of the server (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 1 to {LAST_PORT}")
    return int(text)


def _settings(options: argparse.Namespace, work_dir: Path) -> dict[str, str]:
    """MONAI Label's settings, as environment variables, which its child processes inherit."""
    studies = options.studies
    SeriesChoice.from_environment()  # a fault ends the start, not the first request
    if "://" not in studies:
        if not Path(studies).is_dir():
            raise InputError(f"{studies}: no such folder; give the studies' folder, or the DICOMweb URL of a PACS")
        studies = str(Path(studies).resolve())
    conf = {
        "models": _bundles(options.models),
        "teachers": _bundles(options.teachers),
        "work_dir": str(work_dir),
    }
    return {
        "PYTHONPATH": str(REPOSITORY),
        "MONAI_LABEL_APP_DIR": str(APP_DIR),
        "MONAI_LABEL_STUDIES": studies,
        "MONAI_LABEL_APP_CONF": json.dumps(conf),
        "MONAI_LABEL_SERVER_PORT": str(options.port),
        "MONAI_LABEL_SESSION_PATH": str(work_dir / "sessions"),
    }


def _bundles(names: Sequence[str]) -> dict[str, str]:
    """The folders of the bundles by name."""
    folders = [find_bundle(name, REPOSITORY / "bundles") for name in names]
    bundles = {folder.name: str(folder) for folder in folders}
    if len(bundles) < len(folders):
        raise InputError(f"{' '.join(names)}: two bundles of one name; rename a folder")
    return bundles


if __name__ == "__main__":
    main()
