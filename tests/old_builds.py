"""The files that an earlier build of a wheel leaves in a project."""

from pathlib import Path


def leave_old_build(project: Path) -> None:
    """Write a module that no longer exists into the folder ``build``, and into that of an interrupted build."""
    for folder in ("lib", "bdist.linux-x86_64/wheel"):
        old = project / "build" / folder / "data_prep" / "removed.py"
        old.parent.mkdir(parents=True)
        old.touch()
