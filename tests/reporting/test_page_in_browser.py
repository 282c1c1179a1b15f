"""A page opened from the file system in a headless Chromium, as a reader opens it."""

import time

import pytest
from matplotlib.figure import Figure

from benchmarks.chromium import NO_WEBGL, PROGRAM, Chromium
from reporting.blocks import Folded, Gallery, Headline, Picture, Section
from reporting.html_page import html_page
from reporting.table import Line, Table

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium")

TABLE = Table(
    ["model", "missed", "params"],
    [
        Line(["Net 10", "2 of 12", "58.00 M"], "teacher"),
        Line(["net 9", "10 of 12", "354 k"], "student"),
        Line(["waits", "–", "–"], "student"),
        Line(["Alone", "0 of 12", "1.06 M"], "baseline"),
    ],
)
NAMES = "[...document.querySelectorAll('tbody th')].map(cell => cell.textContent)"
SORTED_BY = "[...document.querySelectorAll('thead th')].map(head => head.getAttribute('aria-sort'))"


@pytest.fixture(scope="module")
def browser():
    with Chromium(NO_WEBGL) as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    picture = Picture(Figure(figsize=(3, 3)), "a case", ["a case", "its score"])
    wide = Table([f"a long name of column {number}" for number in range(20)], [Line(["1.0"] * 20)])
    sections = [
        Section("Answers", [Headline("Yes.", "Surely."), TABLE, Gallery([picture] * 4)]),
        Section("All results", [Folded("Folded", [wide])]),
    ]
    path.write_text(html_page("title", "summary", sections, sortable=True), encoding="utf-8")
    return path


def opened(browser, file, width=1400, scripts=True):
    browser.requests.clear()
    browser.complaints.clear()
    browser.send("Emulation.setScriptExecutionDisabled", value=not scripts)
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open(file.as_uri())
    browser.wait("document.readyState === 'complete' && document.querySelectorAll('tbody').length === 2")
    return browser


def press(browser, key, text=""):
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text if kind == "keyDown" else "")
    time.sleep(0.05)


def test_a_click_on_a_column_sorts_by_its_numbers_and_a_second_one_turns_them_round(browser, file):
    page = opened(browser, file)
    before = page.run(NAMES)
    click = "document.querySelectorAll('thead button')[{}].click()"
    page.run(click.format(2))
    assert page.run(NAMES)[:4] == ["Net 10", "Alone", "net 9", "waits"]  # 58 M, 1.06 M, 354 k, and no value
    assert page.run(SORTED_BY)[:3] == [None, None, "descending"]
    page.run(click.format(2))
    assert page.run(NAMES)[:4] == ["net 9", "Alone", "Net 10", "waits"]
    page.run(click.format(1))
    assert page.run(NAMES)[:4] == ["net 9", "Net 10", "Alone", "waits"]
    assert page.run(SORTED_BY)[:3] == [None, "descending", None]
    assert sorted(page.run(NAMES)) == sorted(before)  # no line is lost, and the other table stays


def test_names_are_sorted_as_people_sort_them(browser, file):
    page = opened(browser, file)
    page.run("document.querySelector('thead button').click()")
    assert page.run(NAMES)[:4] == ["Alone", "net 9", "Net 10", "waits"]


def test_the_keyboard_sorts_and_unfolds(browser, file):
    page = opened(browser, file)
    page.run("document.querySelectorAll('thead button')[1].focus()")
    press(page, "Enter", "\r")
    assert page.run(NAMES)[:2] == ["net 9", "Net 10"]
    page.run("document.querySelector('summary').focus()")
    press(page, "Enter", "\r")
    assert page.run("document.querySelector('details').open")


def test_without_javascript_the_page_shows_everything(browser, file):
    page = opened(browser, file, scripts=False)
    assert page.run(NAMES)[:4] == ["Net 10", "net 9", "waits", "Alone"]
    assert page.run("document.querySelectorAll('thead button').length") == 0
    page.run("document.querySelector('summary').focus()")
    press(page, "Enter", "\r")
    assert page.run("document.querySelector('details').open")


@pytest.mark.parametrize(("width", "beside_each_other"), [(1400, 4), (800, 2)])
def test_the_page_fits_its_window_and_only_tables_scroll(browser, file, width, beside_each_other):
    page = opened(browser, file, width)
    page.run("document.querySelector('details').open = true")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("document.querySelectorAll('.scroll')[1].scrollWidth > document.querySelector('main').clientWidth")
    tops = page.run("[...document.querySelectorAll('figure')].map(one => one.getBoundingClientRect().top)")
    assert tops.count(tops[0]) == beside_each_other


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser, file):
    page = opened(browser, file)
    page.run("document.querySelector('thead button').click()")
    assert {address.partition(":")[0] for address in page.requests} <= {"file", "data"}
    assert sum(address.startswith("file:") for address in page.requests) == 1
    assert page.complaints == []


def test_a_print_unfolds_every_part(browser, file):
    page = opened(browser, file)
    assert not page.run("document.querySelector('details').open")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.querySelector('details').open")
    page.run("dispatchEvent(new Event('afterprint'))")
    assert not page.run("document.querySelector('details').open")


# WCAG 2.2, 1.4.3: the contrast of text is at least 4.5.
CONTRAST = """
(() => {
  const shares = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const linear = (share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = shares(text).map((share) => linear(share / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const own = getComputedStyle(element).backgroundColor;
    return shares(own)[3] === 0 ? ground(element.parentElement) : own;
  };
  const lowest = [...document.querySelectorAll("h1, h2, h3, p, th, td, button, summary")].map((element) => {
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  });
  return Math.min(...lowest);
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser, file, scheme):
    page = opened(browser, file)
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.run("document.querySelector('details').open = true")
    assert page.run(CONTRAST) >= 4.5
