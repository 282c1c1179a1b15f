"""``install.py``: uv gets pip's settings and picks the build that pip would pick; pip installs where uv cannot."""

import doctest
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
import install  # noqa: E402

REAL_UV = install.UV_FOLDER
FAKE_UV = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("uv {version} (stand-in)")
else:
    names = ("SSL_CERT_FILE", "UV_HTTP_TIMEOUT", "HTTPS_PROXY", "UV_COMPILE_BYTECODE")
    open({calls!r}, "w").write(json.dumps([sys.argv[1:], {{name: os.environ.get(name) for name in names}}]))
    sys.exit({code})
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A new environment with pip."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    install.venv.create(folder, with_pip=True, symlinks=True)
    return folder


@pytest.fixture(autouse=True)
def no_settings(tmp_path, monkeypatch):
    """pip has no settings of this machine."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in [name for name in install.os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "UV_HTTP_TIMEOUT", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake_uv(tmp_path, monkeypatch):
    """``fake_uv(code)`` puts a stand-in for uv in place that exits with the code; its arguments are in the file."""

    def put(code: int) -> Path:
        calls = tmp_path / "calls"
        uv = tmp_path / "uv" / "bin" / "uv"
        uv.parent.mkdir(parents=True)
        uv.write_text(FAKE_UV.format(python=sys.executable, version=install.UV, calls=str(calls), code=code))
        uv.chmod(0o755)
        monkeypatch.setattr(install, "UV_FOLDER", tmp_path / "uv")
        return calls

    return put


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel that holds one module with the version."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return folder


def index(folder: Path, name: str, version: str) -> str:
    """The address of an index of one package."""
    (file,) = wheel(folder / name, name, version).glob("*.whl")
    (folder / name / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    return folder.as_uri()


def version_in(environment: Path, name: str) -> str:
    line = [str(environment / "bin" / "python"), "-c", f"import {name}; print({name}.VERSION)"]
    return subprocess.run(line, capture_output=True, text=True).stdout.strip()


def test_the_examples_hold():
    assert doctest.testmod(install).failed == 0


def test_uv_gets_every_setting_of_pip(environment, fake_uv, tmp_path, monkeypatch, capfd):
    calls = fake_uv(0)
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\nindex-url = http://main/simple\nfind-links = /replaced\ncert = /ca.pem\n"
        "[install]\ntrusted-host = main\n    other\nno-index = false\nconstraint = /c.txt\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    monkeypatch.setenv("PIP_FIND_LINKS", "/a ~/b")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://one/simple http://two/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "7")
    monkeypatch.setenv("PIP_PROXY", "http://proxy")
    monkeypatch.setenv("HOME", "/home/me")
    assert install.main([str(environment), "-r", "some.txt"]) == 0
    line, variables = json.loads(calls.read_text())
    assert line[:4] == ["pip", "install", "--python", str(environment / "bin" / "python")]
    assert line[4:6] == ["--index-strategy", "unsafe-best-match"]
    given = list(zip(line[6:-2:2], line[7:-2:2], strict=True))
    assert sorted(given) == [
        ("--allow-insecure-host", "main"),
        ("--allow-insecure-host", "other"),
        ("--constraints", "/c.txt"),
        ("--extra-index-url", "http://one/simple"),
        ("--extra-index-url", "http://two/simple"),
        ("--find-links", "/a"),
        ("--find-links", "/home/me/b"),
        ("--index-url", "http://main/simple"),
    ]
    assert line[-2:] == ["-r", "some.txt"]
    variables.pop("UV_COMPILE_BYTECODE")
    assert variables == {"SSL_CERT_FILE": "/ca.pem", "UV_HTTP_TIMEOUT": "7", "HTTPS_PROXY": "http://proxy"}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("failing", {}, "uv has failed (see above)"),
        ("unknown", {"PIP_PREFER_BINARY": "1"}, "uv does not know pip's setting prefer-binary=1"),
    ],
)
def test_pip_installs_where_uv_cannot(environment, fake_uv, tmp_path, monkeypatch, capfd, name, setting, reason):
    fake_uv(1)
    for variable, value in {**setting, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}.items():
        monkeypatch.setenv(variable, value)
    wheel(tmp_path / "wheels", name, "1.0")
    assert install.main([str(environment), name]) == 0
    assert version_in(environment, name) == "1.0"
    assert capfd.readouterr().err == f"{environment}: {reason}, so pip installs, which takes minutes\n"


def test_pip_installs_where_uv_cannot_be_had(environment, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(install, "UV_FOLDER", tmp_path / "none")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "wheels", "lonely", "1.0")))
    assert install.main([str(environment), "lonely"]) == 0
    assert version_in(environment, "lonely") == "1.0"
    assert capfd.readouterr().err == f"{environment}: uv cannot be had here, so pip installs, which takes minutes\n"


def test_a_package_that_nobody_has_is_one_line_of_the_project(environment, fake_uv, monkeypatch, capfd):
    fake_uv(1)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert install.main([str(environment), "nobody-has-this"]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == f"error: {environment}: pip cannot install nobody-has-this; the lines above say why"


@pytest.mark.parametrize("by_uv", [True, False])
def test_a_local_build_in_a_folder_or_an_index_wins(environment, tmp_path, monkeypatch, by_uv):
    """As torch==2.13.0 becomes the build for the CPU: 2.13.0+cpu of a second place is above 2.13.0 of the first."""
    if by_uv and not install._is_pinned(REAL_UV / "bin" / "uv"):
        pytest.skip("uv is not installed here")
    if not by_uv:
        monkeypatch.setattr(install, "_with_uv", lambda python, arguments: "without uv")
    for number, (name, variable) in enumerate([("links", "PIP_FIND_LINKS"), ("extra", "PIP_EXTRA_INDEX_URL")]):
        name = f"{name}{'uv' if by_uv else 'pip'}"
        first, second = tmp_path / f"first{number}", tmp_path / f"second{number}"
        monkeypatch.setenv("PIP_INDEX_URL", index(first, name, "2.13.0"))
        monkeypatch.setenv(
            variable, index(second, name, "2.13.0+cpu") if number else str(wheel(second, name, "2.13.0+cpu"))
        )
        assert install.main([str(environment), f"{name}==2.13.0"]) == 0
        assert version_in(environment, name) == "2.13.0+cpu"


def test_torch_comes_first_and_alone_with_pip(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(install, "_with_uv", lambda python, arguments: "without uv")
    install.venv.create(tmp_path / "new", with_pip=False, symlinks=True)
    monkeypatch.setattr(install.venv, "create", lambda *arguments, **options: None)
    monkeypatch.setattr(install.subprocess, "run", lambda line, check: lines.append(line[4:]))
    (tmp_path / "r.txt").write_text("numpy\n torch==2.13.0 \n")
    install.install(tmp_path / "new", ["-r", str(tmp_path / "r.txt"), "--editable", "."])
    quiet = list(install.QUIET)
    assert lines == [[*quiet, "torch==2.13.0"], [*quiet, "-r", str(tmp_path / "r.txt"), "--editable", "."]]


def test_an_environment_whose_making_was_interrupted_is_made_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(install, "_with_uv", lambda python, arguments: None)
    install.venv.create(tmp_path / "new", with_pip=False, symlinks=True)
    monkeypatch.setattr(
        install.venv, "create", lambda folder, **options: made.append((folder.name, options["with_pip"]))
    )
    install.install(tmp_path / "new", ["x"])
    (tmp_path / "new" / "bin" / "pip").touch()
    install.install(tmp_path / "new", ["x"])
    assert made == [("new", True)]


def test_an_interruption_is_no_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(folder, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "install", interrupted)
    assert install.main(["new", "x"]) == 130
    assert capsys.readouterr().err == "\nnew: stopped; the same command goes on from here\n"


def test_an_old_python_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))
    assert install.main(["new", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: the project needs Python 3.11 or later, and this is 3.9")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert install.main([str(tmp_path / "file" / ".venv"), "packaging"]) == 1
    assert capfd.readouterr().err == f"error: {tmp_path / 'file' / '.venv'}: Not a directory\n"


@pytest.mark.parametrize("name", ["a_file", "with:colon"])
def test_a_folder_that_venv_refuses_is_one_line(tmp_path, capfd, name):
    (tmp_path / "a_file").touch()
    assert install.main([str(tmp_path / name), "packaging"]) == 1
    said = capfd.readouterr().err
    assert said.startswith(f"error: {tmp_path / name}: no environment can be made here: ")
    assert said.count("\n") == 1


def test_an_environment_whose_python_is_gone_is_one_line(tmp_path, capfd):
    install.venv.create(tmp_path / "new", with_pip=False, symlinks=True)
    (tmp_path / "new/bin/pip").touch()
    (tmp_path / "new/bin/python").unlink()
    (tmp_path / "new/bin/python").symlink_to(tmp_path / "python3.10")
    assert install.main([str(tmp_path / "new"), "packaging"]) == 1
    told = "its Python is gone; remove this folder, and type the command again"
    assert capfd.readouterr().err == f"error: {tmp_path / 'new'}: {told}\n"


def test_settings_that_pip_cannot_read_are_not_ignored(environment, fake_uv, tmp_path, monkeypatch, capfd):
    calls = fake_uv(0)
    (tmp_path / "pip.conf").write_text("[global\nindex-url = http://main/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert install.main([str(environment), "packaging"]) == 1
    first, *_, last = capfd.readouterr().err.splitlines()
    assert first == f"{environment}: pip cannot read its settings, so pip installs, which takes minutes"
    assert last == f"error: {environment}: pip cannot install packaging; the lines above say why"
    assert not calls.exists()


def test_python_without_pip_says_what_to_install(tmp_path, monkeypatch, capfd):
    def create(*arguments, **options):
        raise subprocess.CalledProcessError(1, "ensurepip", output=b"No module named ensurepip")

    monkeypatch.setattr(install.venv, "create", create)
    assert install.main([str(tmp_path / ".venv"), "packaging"]) == 1
    told = "Python cannot put pip into a new environment (Debian: apt-get install python3-venv)"
    assert capfd.readouterr().err == f"error: {tmp_path / '.venv'}: {told}\n"


@pytest.mark.parametrize(("may_not_write", "expected"), [(True, "1"), (False, None)])
def test_modules_are_compiled_where_python_may_not_write_them(
    environment, fake_uv, monkeypatch, may_not_write, expected
):
    monkeypatch.setattr(sys, "dont_write_bytecode", may_not_write)
    monkeypatch.delenv("UV_COMPILE_BYTECODE", raising=False)
    calls = fake_uv(0)
    assert install.main([str(environment), "packaging"]) == 0
    assert json.loads(calls.read_text())[1]["UV_COMPILE_BYTECODE"] == expected
