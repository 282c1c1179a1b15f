"""Make a Python environment, or add packages to it: ``python install.py .venv -r requirements.txt``.

uv installs in a tenth of pip's time, and packages that several environments share take their disk space once. uv does
not read pip's settings, so this program hands them on. Where uv cannot be had, fails, or has no counterpart of a
setting, pip installs. All arguments after the environment's folder are those of ``pip install``.

Exit codes: 0 done; 1 not done, the line on stderr says why; 130 interrupted, and the same command goes on.
"""

import ast
import itertools
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

OLDEST_PYTHON = (3, 11)
UV = "0.13.9"
UV_FOLDER = Path(__file__).parent / ".uv"  # one for all environments
QUIET = ("--quiet", "--disable-pip-version-check")
TRUE = ("1", "true", "yes", "on", "y", "t")

# uv has these settings of pip as options. An option is given once for each word of the setting.
OPTIONS = {
    "index-url": "--index-url",
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraints",
    "trusted-host": "--allow-insecure-host",
    "only-binary": "--only-binary",
    "no-binary": "--no-binary",
    "keyring-provider": "--keyring-provider",
}
SWITCHES = {"no-index": "--no-index", "no-cache-dir": "--no-cache", "require-hashes": "--require-hashes"}
# uv has these settings as variables of the environment.
VARIABLES = {
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
}
# These settings of pip do not change the packages that are installed.
HARMLESS = {
    *(
        "cache-dir",
        "config-file",
        "debug",
        "disable-pip-version-check",
        "log",
        "no-color",
        "no-input",
        "no-python-version-warning",
    ),
    *("no-warn-script-location", "progress-bar", "quiet", "require-virtualenv", "retries", "root-user-action"),
    *("use-deprecated", "use-feature", "verbose", "exists-action", "compile", "no-compile", "break-system-packages"),
}


class UnknownSettingError(Exception):
    """uv has no counterpart of a setting of pip."""


def read_settings(listing: str) -> dict[str, str]:
    """The settings that hold for ``pip install``, by name, from the output of ``pip config list``.

    A setting of the command replaces one for all commands, and a variable of the environment replaces both.

    >>> read_settings("global.find-links='/a'\\n:env:.find-links='/b /c'\\ninstall.no-index='true'")
    {'find-links': '/b /c', 'no-index': 'true'}
    """
    levels: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        found = re.fullmatch(r"(global|install|:env:)\.([\w-]+)=(.*)", line)
        if found:
            levels[found[1]][found[2].lower().replace("_", "-")] = ast.literal_eval(found[3])
    return {name: value for level in levels.values() for name, value in level.items()}


def for_uv(settings: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The options and the variables that tell uv pip's settings.

    pip takes the best version of all indexes and folders, and torch's build for the CPU is in an index of its own. So
    uv compares all of them too.

    Raises:
        UnknownSettingError: if a setting may change the packages and uv has no counterpart of it.

    >>> for_uv({"find-links": "/a /b", "no-index": "yes", "timeout": "9"})[0]
    ['--index-strategy', 'unsafe-best-match', '--find-links', '/a', '--find-links', '/b', '--no-index']
    """
    options, variables = ["--index-strategy", "unsafe-best-match"], {}
    for name, value in settings.items():
        if name in OPTIONS:
            for word in value.split():
                options += [OPTIONS[name], os.path.expanduser(word)]
        elif name in SWITCHES:
            options += [SWITCHES[name]] if value.lower() in TRUE else []
        elif name in VARIABLES:
            variables |= dict.fromkeys(VARIABLES[name], os.path.expanduser(value))
        elif name not in HARMLESS:
            raise UnknownSettingError(f"pip's setting {name}={value}")
    return options, variables


def install(folder: Path, arguments: Sequence[str]) -> None:
    """Install packages into the environment in ``folder``, which is made if it is not there.

    Raises:
        CalledProcessError: if pip cannot install them either.
        OSError: if a file cannot be read, or the environment cannot be written.
    """
    python = folder / "bin" / "python"
    # pip comes last, so an environment without it is one whose making was interrupted.
    if not (folder / "bin" / "pip").is_file():
        try:
            venv.create(folder, with_pip=True, symlinks=True)
        except ValueError as error:  # the folder is a file, or its path has a colon
            raise OSError(f"no environment can be made here: {error}") from None
        except subprocess.CalledProcessError:
            raise OSError(
                "Python cannot put pip into a new environment (Debian: apt-get install python3-venv)"
            ) from None
    if not python.is_file():
        raise OSError("its Python is gone; remove this folder, and type the command again")
    reason = _with_uv(python, arguments)
    if reason:
        print(f"{folder}: {reason}, so pip installs, which takes minutes", file=sys.stderr)
        _with_pip(python, arguments)


def _with_uv(python: Path, arguments: Sequence[str]) -> str | None:
    """Install with uv; return the reason if it is not done."""
    pip = [str(python), "-m", "pip"]
    listing = subprocess.run([*pip, "config", "list"], capture_output=True, text=True)
    if listing.returncode:
        return "pip cannot read its settings"
    try:
        options, variables = for_uv(read_settings(listing.stdout))
    except UnknownSettingError as error:
        return f"uv does not know {error}"
    uv = UV_FOLDER / "bin" / "uv"
    if not _is_pinned(uv):
        # One retry is enough: pip, which comes next, tries longer.
        get = [*pip, "install", *QUIET, "--retries", "1", "--upgrade", "--target", str(UV_FOLDER), f"uv=={UV}"]
        if subprocess.run(get, capture_output=True).returncode or not _is_pinned(uv):
            return "uv cannot be had here"
    line = [str(uv), "pip", "install", "--python", str(python), *options, *arguments]
    if sys.dont_write_bytecode:
        # Python would compile every module at each import, which takes 13 s for MONAI.
        variables["UV_COMPILE_BYTECODE"] = "1"
    # A variable that the user has set for uv itself has the last word.
    done = subprocess.run(line, env={**variables, **os.environ})
    return "uv has failed (see above)" if done.returncode else None


def _is_pinned(uv: Path) -> bool:
    try:
        return subprocess.run([str(uv), "--version"], capture_output=True, text=True).stdout.split()[1:2] == [UV]
    except OSError:
        return False


def _with_pip(python: Path, arguments: Sequence[str]) -> None:
    pip = [str(python), "-m", "pip", "install", *QUIET]
    # torch comes first and alone, so that no other package pulls in another build of it.
    files = [Path(value) for flag, value in itertools.pairwise(arguments) if flag == "-r"]
    lines = [line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    if torch := [line for line in lines if line.startswith("torch==")]:
        subprocess.run([*pip, torch[0]], check=True)
    subprocess.run([*pip, *arguments], check=True)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) < 2:
        print("usage: python install.py FOLDER [arguments of pip install]", file=sys.stderr)
        return 2
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        advice = "give another one, as in PYTHON=python3.11"
        print(f"error: the project needs Python 3.11 or later, and this is {found}; {advice}", file=sys.stderr)
        return 1
    folder, start = Path(arguments[0]), time.monotonic()
    print(f"{folder}: installing {' '.join(arguments[1:])}", flush=True)
    try:
        install(folder, arguments[1:])
    except subprocess.CalledProcessError:
        print(
            f"error: {folder}: pip cannot install {' '.join(arguments[1:])}; the lines above say why", file=sys.stderr
        )
        return 1
    except OSError as error:
        print(f"error: {error.filename or folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{folder}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(f"{folder}: done in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
