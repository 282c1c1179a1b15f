"""``make web``: the page, its server, and the line that a user gets if one of them cannot be."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request

import pytest
from conftest import WEB, WHOLE

REPOSITORY = WEB.parent


def make(*words, path=None):
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    command = [shutil.which("make"), "--no-print-directory", "web", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)


def line_of(*words, **options):
    """The error of a run that must fail, without what make adds."""
    done = make(*words, **options)
    assert done.returncode == 2
    (line, *_) = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    return line


def test_make_web_serves_the_page_with_its_headers(students, tmp_path):
    out = tmp_path / "O'Brien's page"
    program = ("make", "-C", REPOSITORY, "--no-print-directory", "web", f"STUDENT={students[WHOLE]}", f"OUT={out}")
    process = subprocess.Popen([*program, "PORT=0"], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout.readline() == f"{out}: the page with Prostate MRI student: ESPNet 0.1.0\n"
        address = process.stdout.readline().split()[1]
        assert address.startswith("http://127.0.0.1:")
        wanted = json.loads((WEB / "headers.json").read_text())
        for file, kind in (
            ("", "text/html"),
            ("src/worker.js", "text/javascript"),
            ("vendor/onnxruntime-web/ort-wasm-simd-threaded.mjs", "text/javascript"),
            ("vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm", "application/wasm"),
        ):
            with urllib.request.urlopen(address + file) as answer:
                assert {name: answer.headers[name] for name in wanted} == wanted
                assert answer.headers["Content-Type"].split(";")[0] == kind
        policy = wanted["Content-Security-Policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self';"
        )
        assert f'content="{policy}"' in (out / "index.html").read_text()
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def test_the_page_holds_the_licence_of_each_package(pages):
    folder = pages[WHOLE] / "licences"
    for name in ("@niivue__niivue", "@niivue__dcm2niix", "onnxruntime-web", "gl-matrix", "nifti-reader-js", "fflate"):
        assert len((folder / f"{name}.txt").read_text()) > 500
        assert f'href="{name}.txt"' in (folder / "index.html").read_text()
    assert not list(pages[WHOLE].rglob("*.map"))


def test_a_second_page_replaces_the_first(students, tmp_path):
    for _ in range(2):
        subprocess.run(["node", WEB / "build.js", students[WHOLE], tmp_path / "page"], check=True, capture_output=True)
        assert (tmp_path / "page" / "index.html").is_file()
        (tmp_path / "page" / "old.txt").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page"]


def test_what_a_user_can_get_wrong(students, tmp_path):
    student = f"STUDENT={students[WHOLE]}"
    network = students[WHOLE].with_name("model.onnx")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").touch()
    assert line_of(f"OUT={tmp_path}") == "error: give the student, STUDENT=<student.onnx of make export>"
    assert line_of(student) == "error: give the folder to write to, OUT=<folder>"
    out = f"OUT={tmp_path / 'page'}"
    missing = tmp_path / "no.onnx"
    assert line_of(f"STUDENT={missing}", out) == f"error: {missing}: no such file or directory"
    assert line_of(f"STUDENT={network}", out) == (
        f"error: {network}: the student file is no student of this version (it is another model); "
        "give the student.onnx that 'make export' wrote"
    )
    assert line_of(student, f"OUT={taken}") == f"error: {taken}: holds other files; give a new folder"
    assert line_of(student, f"OUT={taken / 'thesis.txt'}") == f"error: {taken / 'thesis.txt'}: not a directory"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["taken", "thesis.txt"]


def test_a_port_that_is_taken(students, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = line_of(f"STUDENT={students[WHOLE]}", f"OUT={tmp_path / 'page'}", f"PORT={port}")
    assert line == f"error: port {port} cannot be used (address already in use); give another one, PORT=<number>"


@pytest.mark.parametrize("has_old_node", [False, True])
def test_without_node_one_line_says_so(students, tmp_path, has_old_node):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "test", "python3"):
        (programs / name).symlink_to(shutil.which(name))
    if has_old_node:
        for name in ("node", "npm"):
            (programs / name).write_text("#!/bin/sh\nexit 1\n")
            (programs / name).chmod(0o755)
    assert line_of(f"STUDENT={students[WHOLE]}", f"OUT={tmp_path / 'page'}", path=str(programs)) == (
        "error: writing the page needs Node 20 or later with npm; install it, or write the page on another computer "
        "and copy its folder: python3 serve.py in it serves the page without Node"
    )
    assert not (tmp_path / "page").exists()
