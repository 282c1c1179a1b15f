"""The page with two students of random weights, served as a user serves it, in a headless Chromium."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shipped_bundles import give_random_weights

from benchmarks.chromium import WEBGL, Chromium
from custom_components.bundle import copy_bundle, read_bundle
from custom_components.bundle.student_file import write_student
from custom_components.export import export_onnx
from custom_components.foundation.files import write_json

SIZE, WINDOW_MM = 32, 40.0
WHOLE, WINDOW = "whole", "window"
WEB = Path(__file__).parents[3] / "web"


@pytest.fixture(scope="session")
def students(slices, tmp_path_factory) -> dict[str, Path]:
    """``student.onnx`` of two ESPNets: ``WHOLE`` sees whole images, ``WINDOW`` a window."""
    files = {}
    for name, field_of_view in ((WHOLE, None), (WINDOW, WINDOW_MM)):
        folder = tmp_path_factory.mktemp(name) / "espnet"
        copy_bundle("espnet", folder, SIZE, field_of_view)
        bundle = read_bundle(str(folder))
        give_random_weights(bundle, slices(SIZE))
        write_json(bundle.provenance_file, {"trained": "never"})
        network = folder / "models" / "model.onnx"
        export_onnx(bundle, network)
        files[name] = folder / "models" / "student.onnx"
        write_student(bundle, network, files[name])
    return files


@pytest.fixture(scope="session")
def build(tmp_path_factory) -> Callable[[Path], Path]:
    """``build(student)`` writes a page and returns its folder."""

    def run(student: Path) -> Path:
        folder = tmp_path_factory.mktemp("page") / "site"
        subprocess.run(["node", WEB / "build.js", student, folder], check=True, capture_output=True)
        return folder

    return run


@pytest.fixture(scope="session")
def pages(students, build) -> dict[str, Path]:
    return {name: build(student) for name, student in students.items()}


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., str]]:
    """``serve(folder)`` starts the server of a page and returns its address."""
    running = []

    def start(folder: Path, program: tuple[object, ...] = ()) -> str:
        command = program or (sys.executable, folder / "serve.py", "--port", "0")
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return re.search(r"http://[\w.:]+/", process.stdout.readline())[0]

    yield start
    for process in running:
        process.kill()
        process.wait()


class Page:
    """The page in a browser, as a person sees it."""

    def __init__(self, browser: Chromium, address: str) -> None:
        self.browser, self.address = browser, address
        browser.open(address)
        browser.wait(
            "document.readyState === 'complete' && (!document.querySelector('#open-file').disabled "
            "|| !document.querySelector('#error').hidden)"
        )

    def open(self, *paths: Path, wait: bool = True) -> None:
        """Choose files, or a folder, with the buttons of the page."""
        self.forget()
        self.browser.give_files("#folder" if paths[0].is_dir() else "#file", paths)
        if wait:
            self.wait_for_end()

    def forget(self) -> None:
        """Hide the end of the last volume, so that the page shows only the end of the next one."""
        self.browser.run("['result', 'error', 'series'].forEach((id) => (document.getElementById(id).hidden = true))")

    def wait_for_end(self) -> None:
        """Wait until a volume is segmented, a series is asked for, or an error is shown."""
        self.browser.wait("['result', 'error', 'series'].some((id) => !document.getElementById(id).hidden)")

    def text(self, selector: str) -> str | None:
        """The text of an element; None if it is hidden."""
        found = f"document.querySelector({json.dumps(selector)})"
        return self.browser.run(f"{found}?.checkVisibility() ? {found}.value ?? {found}.innerText : null")

    def click(self, selector: str) -> None:
        self.browser.run(f"document.querySelector({json.dumps(selector)}).click()")

    def download(self, name: str) -> Path:
        self.click("#download")
        return self.browser.downloaded(name)


@pytest.fixture
def open_page(pages, serve) -> Iterator[Callable[..., Page]]:
    """``open_page(WHOLE)`` opens the page of a student in a new browser. It fails if a request went elsewhere."""
    opened = []

    def start(student: str = WHOLE, flags: tuple[str, ...] = WEBGL, address: str | None = None) -> Page:
        opened.append(Page(Chromium(flags), address or serve(pages[student])))
        return opened[-1]

    yield start
    for page in opened:
        strangers = [url for url in page.browser.requests if not url.startswith((page.address, "data:", "blob:"))]
        page.browser.__exit__()
        assert strangers == []
