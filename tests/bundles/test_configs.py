"""Every config of every bundle parses, names only things that exist, and has the keys that MONAI needs."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pydoc import locate
from typing import Any

import pytest
from monai.bundle import ComponentLocator, ConfigComponent, ConfigParser
from shipped_bundles import FOLDERS, NAMES

CONFIGS = [
    bundle / "configs" / f"{kind}.json"
    for bundle in FOLDERS
    for kind in ("preprocessing", "train", "evaluate", "inference")
]
LOCATOR = ComponentLocator()


def walk(value: Any) -> Iterator[Any]:
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)


def is_module(path: str) -> bool:
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:  # the path goes through a class or a module, not through a package
        return False


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_config_is_whole(config):
    parser = ConfigParser()
    parser.read_config(config)
    parser.parse()
    values = list(walk(parser.config))
    targets = [value["_target_"] for value in values if isinstance(value, dict) and "_target_" in value]
    assert targets
    for target in targets:
        path = ConfigComponent({"_target_": target}, locator=LOCATOR).resolve_module_name()
        assert callable(locate(path)), f"{target} does not exist"
        # From Python 3.12 on, MONAI would find the module and not the function of the same name.
        assert not is_module(path), f"{target} is also a module"
    texts = [value for value in values if isinstance(value, str)]
    # A macro is resolved against the working directory; "import" beside a reference is a SyntaxError in MONAI.
    assert not [text for text in texts if text.startswith("%")]
    assert not [text for text in texts if text.startswith("$") and "import" in text and "@" in text]
    for text in texts:
        for reference in parser.ref_resolver.match_refs_pattern(text):
            assert reference in parser, f"{text}: nothing is called {reference}"


@pytest.mark.parametrize("bundle", FOLDERS, ids=NAMES)
def test_a_bundle_has_all_its_files(bundle):
    for name in ("LICENSE", "docs/README.md", "configs/metadata.json", "configs/logging.conf", "bundle.yaml"):
        assert (bundle / name).read_text().strip()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_handler_is_a_component(config):
    """MONAI's property check and MONAI Label assume this."""
    content = json.loads(config.read_text())
    handlers = [*content.get("handlers", []), *content.get("train", {}).get("handlers", [])]
    assert all("_target_" in handler for handler in handlers)
