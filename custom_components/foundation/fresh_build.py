"""The build of a wheel from nothing: setuptools' command that pyproject.toml and runner/pyproject.toml choose.

setuptools copies the modules into the folder ``build`` and packs all that lies there, also the files of an earlier
build whose sources no longer exist. setuptools imports this module before the project is installed, so it imports
nothing else of the project.
"""

import shutil

from setuptools.command.build import build


class FreshBuild(build):
    """The command ``build``, which first removes what earlier builds have left."""

    def run(self) -> None:
        """Remove the folder ``build``, then build."""
        shutil.rmtree(self.build_base, ignore_errors=True)
        super().run()
