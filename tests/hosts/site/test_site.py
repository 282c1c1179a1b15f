"""The site that ``make docs`` has written: nothing comes from elsewhere, and all that configs name has an entry."""

import functools
import json
import re
import sys
import threading
from collections.abc import Iterator
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SITE = REPOSITORY / "build" / "site"
PAGES = sorted(SITE.rglob("*.html"))
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "docs" / "site")]

from docstrings import as_markdown  # noqa: E402
from pages import api_page, targets_of  # noqa: E402

from benchmarks.chromium import PROGRAM, Chromium  # noqa: E402


def text_of(page: str) -> str:
    html = (SITE / page / "index.html").read_text()
    return unescape(re.sub(r"<[^>]+>", "", html.partition("<article")[2]))


def test_there_is_a_page_for_every_markdown_page():
    for pattern in ("docs/**/*.md", "integrations/*/README.md", "runner/README.md"):
        for page in REPOSITORY.glob(pattern):
            place = page.relative_to(REPOSITORY).with_suffix("")
            assert (SITE / (place.parent if place.name == "README" else place) / "index.html").is_file(), place
    assert "Prostate distillation" in text_of(".")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(SITE).as_posix())
def test_a_page_loads_nothing_from_elsewhere(page):
    """A link may lead elsewhere. But what a browser loads by itself has an address on the site."""
    html = page.read_text()
    loaded = re.findall(r"<(?:script|img|iframe|source|video|embed|object)\b[^>]*?\b(?:src|data)=\"?([^\s\">]+)", html)
    loaded += re.findall(r"<link\b[^>]*?\bhref=\"?([^\s\">]+)", html)
    assert loaded
    assert [address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)] == []


def test_a_style_sheet_loads_nothing_from_elsewhere():
    sheets = list(SITE.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()) == []


def configured() -> list[str]:
    """All of this project that the bundles' configs name by ``_target_``, read as text."""
    found = set()
    for file in REPOSITORY.glob("bundles/*/configs/*.json"):
        found |= set(re.findall(r'"_target_": "(custom_components\.[\w.]+)"', file.read_text()))
    return sorted(found)


def test_the_configs_name_networks_and_losses():
    assert {"custom_components.networks.ENet", "custom_components.losses.DistillationLoss"} <= set(configured())


@pytest.mark.parametrize("name", configured())
def test_what_a_config_names_has_an_entry_with_its_docstring(name):
    html = (SITE / "docs" / "reference" / "api" / name.split(".")[1] / "index.html").read_text()
    assert f'id="{name}"' in html
    entry = html.partition(f'id="{name}"')[2].partition('<div class="doc doc-object')[0]
    assert re.search(r'<div class="doc doc-contents[^>]*>.*?<p>\s*\S', entry, re.DOTALL), entry


def test_targets_are_found_at_any_depth_and_text_in_an_expression_is_none():
    config = json.loads('{"a": [{"_target_": "x.A", "b": {"_target_": "x.B"}}], "c": "$\\"_target_\\"", "_target_": 3}')
    assert sorted(targets_of(config)) == ["x.A", "x.B"]
    assert api_page("x", ["x.A"]) == "# custom_components.x\n\n::: x.A\n"


def test_an_example_becomes_a_block_and_a_role_becomes_code():
    text = "As :class:`~a.B`.\n\n>>> x = 1\n>>> x\n1\n\n>>> y\n2\n\nThe end."
    block = "```pycon\n>>> x = 1\n>>> x\n1\n\n>>> y\n2\n```"
    assert as_markdown(text) == f"As `a.B`.\n\n{block}\n\nThe end."


@pytest.fixture
def address() -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium")
def test_a_browser_shows_and_searches_the_site_without_the_internet(address):
    with Chromium(()) as browser:
        browser.open(f"{address}?q=quarantine")
        browser.wait("!!document.querySelector('.md-search-result__link')", seconds=20)
        assert "/docs/" in browser.run("document.querySelector('.md-search-result__link').href")
        browser.open(f"{address}docs/reference/api/losses/")
        browser.wait("document.querySelector('article')?.innerText.includes('DistillationLoss(')", seconds=20)
        strangers = [url for url in browser.requests if not url.startswith((address, "data:", "blob:"))]
        assert (strangers, browser.complaints) == ([], [])
