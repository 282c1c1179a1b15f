"""A name means one thing: no two classes of the project share a name, and no module has a noise word as its name."""

import ast
from collections import defaultdict

import pytest

PACKAGES = (
    "benchmarks",
    "bundles",
    "custom_components",
    "data_prep",
    "experiments",
    "integrations",
    "reporting",
    "runner/student_runner",
)
SAY_NOTHING = {"common", "content", "helpers", "misc", "page", "stuff", "tools", "util", "utils"}


@pytest.fixture(scope="module")
def modules(repository):
    return [path for package in PACKAGES for path in sorted((repository / package).rglob("*.py"))]


def test_no_two_classes_share_a_name(modules, repository):
    places = defaultdict(list)
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(repository)))
    assert len(places) > 50  # the search found the classes
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_each_module_has_a_name_that_says_something(modules, repository):
    assert [str(path.relative_to(repository)) for path in modules if path.stem in SAY_NOTHING] == []
