"""The files in the runner's package, and the packages that it needs."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from old_builds import leave_old_build
from wheels import build_wheel

RUNNER = Path(__file__).parents[2] / "runner"
PROJECT = tomllib.loads((RUNNER / "pyproject.toml").read_text())
SHARED = PROJECT["tool"]["setuptools"]["py-modules"]
OWN = ("custom_components", "data_prep", "student_runner")
# Packages that a user of the runner does not have. (Pillow comes with highdicom.)
ABSENT = ("torch", "monai", "scipy", "skimage", "matplotlib", "itk", "yaml", "filelock", "ignite")


def imported(file):
    """The modules of the project that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OWN:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in OWN)


def file_of(module, repository):
    path = (RUNNER if module.startswith("student_runner") else repository) / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_package_holds_all_modules_that_it_uses_and_no_other(repository):
    files = (RUNNER / "student_runner").rglob("*.py")
    to_read = {".".join(file.relative_to(RUNNER).with_suffix("").parts) for file in files if file.stem != "__init__"}
    used = set()
    while to_read:
        module = to_read.pop()
        used.add(module)
        to_read |= set(imported(file_of(module, repository))) - used
    modules = {module for module in used if not file_of(module, repository).name.startswith("__init__")}
    assert {module for module in modules if not module.startswith("student_runner")} == set(SHARED)


# The packages of each extra, and the modules that need them.
DICOM, NODE = ("pydicom", "highdicom", "PIL", "gdcm"), ("pynetdicom", "dicomweb_client", "yaml", "filelock")
FOR_NODE = ("custom_components.foundation.locks", "student_runner.node")


@pytest.mark.parametrize("extra", ["", "dicom", "node"])
def test_it_loads_where_torch_and_monai_cannot_be_loaded(extra, repository):
    absent = [*ABSENT, *(() if extra else DICOM), *(NODE if extra != "node" else ())]
    absent = [name for name in absent if extra != "node" or name not in NODE]
    modules = [*SHARED, "student_runner.__main__", "student_runner.niftis", "student_runner.studies"]
    modules += ["student_runner.node.__main__", "student_runner.node.answering"]
    for_dicom = ("data_prep.dicom", "student_runner.studies")
    modules = [module for module in modules if extra or not module.startswith(for_dicom)]
    modules = [module for module in modules if extra == "node" or not module.startswith(FOR_NODE)]
    code = f"""
import sys
sys.path[:0] = [{str(RUNNER)!r}, {str(repository)!r}]
sys.modules.update(dict.fromkeys({absent}))
for name in {modules}:
    __import__(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dicom_study_without_the_extra_is_one_line(repository):
    code = f"""
import sys
sys.path[:0] = [{str(RUNNER)!r}, {str(repository)!r}]
sys.modules.update(pydicom=None)
import student_runner.studies
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip().endswith(
        "a DICOM study needs the package pydicom; install it with the runner: pip install './runner[dicom]'"
    )


def test_nothing_of_an_earlier_build_is_in_a_wheel(repository, tmp_path):
    for folder in ("runner", "custom_components", "data_prep"):
        shutil.copytree(repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    leave_old_build(tmp_path / "runner")
    with zipfile.ZipFile(build_wheel(tmp_path / "runner", tmp_path)) as archive:
        modules = {name for name in archive.namelist() if name.endswith(".py") and "__init__" not in name}
    files = (RUNNER / "student_runner").rglob("*.py")
    own = {file.relative_to(RUNNER).as_posix() for file in files if file.stem != "__init__"}
    assert modules == own | {f"{module.replace('.', '/')}.py" for module in SHARED}


@pytest.mark.parametrize("package", NODE)
def test_a_node_without_the_extra_is_one_line(package, repository):
    code = f"""
import sys
sys.path[:0] = [{str(RUNNER)!r}, {str(repository)!r}]
sys.modules.update({package}=None)
import student_runner.node.__main__
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        *(
            1,
            f"error: the node needs the package {package}; install it with the runner: pip install './runner[node]'\n",
        ),
    )


def test_the_versions_are_those_that_the_project_is_tested_with(repository):
    # MONAI Deploy pins Pillow, which the project's own requirements leave to other packages.
    files = [repository / folder / "requirements.txt" for folder in ("integrations/monai_deploy", "tests", ".")]
    pins = dict(pin for file in files for pin in re.findall(r"^([\w-]+)==(\S+)$", file.read_text(), re.MULTILINE))
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    own, *for_node = extras["node"]
    assert own == f"{project['name']}[dicom]"
    for asked in (*project["dependencies"], *extras["dicom"], *for_node):
        name, version = asked.split("==")
        assert pins[name] == version, name


def test_the_licence_is_the_projects(repository):
    assert (RUNNER / "LICENSE").read_text() == (repository / "LICENSE").read_text()
