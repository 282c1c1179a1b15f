"""The pages of the site, for MkDocs: the Markdown files at their places in the repository, and the pages of the API.

The places stay as they are, so that a link leads to the same page on the site as in a checkout.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("*.md", "docs/**/*.md", "integrations/*/README.md", "runner/README.md")
# Files of other kinds that the pages show or link to.
OTHERS = ("docs/**/*.png", "docs/site/*.css", "runner/Containerfile", "runner/systemd/*")
API = "docs/reference/api"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs_dir by those of the repository, and expand the patterns of the navigation."""
    docs = Path(config.docs_dir)
    site = Files([file for file in files if docs not in Path(file.abs_src_path or "/").parents])
    for pattern in PAGES + OTHERS:
        for path in sorted(REPOSITORY.glob(pattern)):
            name = path.relative_to(REPOSITORY).as_posix()
            site.append(File.generated(config, name, abs_src_path=str(path)))
    for package, names in sorted(targets().items()):
        site.append(File.generated(config, f"{API}/{package}.md", content=api_page(package, names)))
    names = [PurePosixPath(file.src_uri) for file in site.documentation_pages()]
    for section in filter(lambda entry: isinstance(entry, dict), config.nav):
        for title, patterns in section.items():
            section[title] = [str(name) for pattern in patterns for name in names if ("/" / name).match(f"/{pattern}")]
    return site


def targets() -> dict[str, list[str]]:
    """All that the bundles' configs name by ``_target_``, by package: ``{"losses": ["custom_components.losses...`` ."""
    found = defaultdict(set)
    for file in REPOSITORY.glob("bundles/*/configs/*.json"):
        for name in targets_of(json.loads(file.read_text())):
            package, _, rest = name.partition(".")
            if package == "custom_components":
                found[rest.partition(".")[0]].add(name)
    return {package: sorted(names, key=str.lower) for package, names in found.items()}


def targets_of(value: Any) -> Iterator[str]:
    """Every ``_target_`` in a config, at any depth."""
    if isinstance(value, dict):
        if isinstance(target := value.get("_target_"), str):
            yield target
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from targets_of(part)


def api_page(package: str, names: list[str]) -> str:
    """The page of a package: an entry for each name, which mkdocstrings fills with the docstring."""
    return "\n\n".join([f"# custom_components.{package}", *(f"::: {name}" for name in names)]) + "\n"
