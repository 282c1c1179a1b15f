"""The rule of the package: its modules use no other module of the project, and load without torch and MONAI."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from custom_components import foundation

FILES = sorted(Path(foundation.__file__).parent.glob("[!_]*.py"))
OWN = ("custom_components", "data_prep", "experiments", "reporting", "integrations")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_other_module_of_the_project_is_used(file):
    imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    own = {name for name in names if name.split(".")[0] in OWN}
    assert {name for name in own if not name.startswith("custom_components.foundation.")} == set()


def test_all_modules_load_where_torch_and_monai_cannot_be_loaded():
    names = [f"custom_components.foundation.{file.stem}" for file in FILES]
    code = f"""
import sys
sys.modules.update(torch=None, monai=None)
for name in {names}:
    __import__(name)
"""
    assert len(names) >= 7
    subprocess.run([sys.executable, "-c", code], check=True)
