"""An HTML parser reads the HTML page as a browser reads it."""

import base64
from html.parser import HTMLParser
from typing import get_args

import pytest
from matplotlib.figure import Figure

from reporting.blocks import Block, Conclusion, Facts, Folded, Gallery, Heading, Headline, Note, Picture, Section
from reporting.html_page import html_page
from reporting.table import Line, Table

NAME = """<b>&"'{{ 1 }}{% if %}"""  # markup, and text that Jinja would run as code


class Page(HTMLParser):
    """The tags, the texts and the attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())

    def of(self, tag):
        return [attributes for name, attributes in self.attributes if name == tag]


BLOCKS = {
    Conclusion: Conclusion(NAME),
    Headline: Headline(NAME, NAME),
    Note: Note(NAME),
    Heading: Heading(NAME),
    Picture: Picture(Figure(figsize=(2.5, 1)), NAME),
    Gallery: Gallery([Picture(Figure(figsize=(1, 1)), NAME, [NAME, NAME])] * 2),
    Facts: Facts({NAME: [NAME, 2]}),
    Folded: Folded(NAME, [Heading(NAME), Note(NAME)]),
    Table: Table([NAME, "role", "n"], [Line([NAME, NAME, "1"], "student")], texts=2),
}


def page_of(*blocks, title="title", summary="summary"):
    return html_page(title, summary, [Section("section", list(blocks))])


def test_each_kind_of_block_is_tried_here():
    assert set(BLOCKS) == set(get_args(Block))


def test_title_summary_and_section_show_a_name_as_it_is_written():
    page = Page(html_page(NAME, NAME, [Section(NAME, [])]))
    assert page.texts.count(NAME) == 4  # the title also names the window
    assert "b" not in page.tags


@pytest.mark.parametrize(
    ("kind", "tags", "texts"),
    [
        (Conclusion, ["p"], [NAME]),
        (Headline, ["div", "p", "strong", "p"], [NAME, NAME]),
        (Note, ["p"], [NAME]),
        (Heading, ["h3"], [NAME]),
        (Picture, ["img"], []),
        (Gallery, ["div", *["figure", "img", "figcaption", "p", "p"] * 2], [NAME] * 4),
        (Folded, ["details", "summary", "h3", "h4", "p"], [NAME] * 3),
        (Facts, ["dl", "dt", "dd"], [NAME, f"{NAME}, 2"]),
        (Table, ["div", "table", "thead", "tr", "th", "th", "th", "tbody", "tr", "th", "td", "td"], None),
    ],
)
def test_a_block_shows_a_name_as_it_is_written(kind, tags, texts):
    page = Page(page_of(BLOCKS[kind]))
    assert page.tags[page.tags.index("h2") + 1 :] == tags
    shown = page.texts[page.texts.index("section") + 1 :]
    assert shown == (texts if texts is not None else [NAME, "role", "n", NAME, NAME, "1"])


def test_a_picture_is_a_png_in_the_page_with_its_width_and_its_description():
    (image,) = Page(page_of(BLOCKS[Picture])).of("img")
    assert (image["alt"], image["width"]) == (NAME, "240")  # 2.5 inches of 96 pixels each
    data = image["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")


def test_words_roles_and_groups_of_lines_are_marked_for_the_style():
    lines = [Line(["A", "x", "1"], kind) for kind in ("teacher", "teacher", "student")]
    page = Page(page_of(Table(["model", "site", "n"], lines, texts=2)))
    assert [row.get("class") for row in page.of("tr")] == [None, "teacher opens", "teacher", "student opens"]
    assert [cell.get("class") for cell in page.of("td")] == ["words", None] * 3
    assert [cell.get("class", cell.get("scope")) for cell in page.of("th")[:4]] == ["words", "words", "col", "row"]
    assert [cell["scope"] for cell in page.of("th")] == ["col"] * 3 + ["row"] * 3


def test_a_table_that_scrolls_can_be_reached_with_the_keyboard_and_has_a_name():
    table = Table(["model"], [Line(["A"])])
    regions = Page(page_of(table, Heading("HK"), table, Folded("All", [table]), table)).of("div")
    assert [region["aria-label"] for region in regions] == ["Table: section", "Table: HK", "Table: All", "Table: HK"]
    assert {(region["role"], region["tabindex"]) for region in regions} == {("region", "0")}


def test_an_answer_without_detail_is_one_paragraph():
    page = Page(page_of(Headline("Yes.", "")))
    assert page.tags[page.tags.index("h2") + 1 :] == ["div", "p", "strong"]


def test_the_page_loads_no_other_file():
    text = page_of(*BLOCKS.values())
    page = Page(text)
    assert not {"link", "script", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert ".conclusion {" in text  # the style is in the page


def test_the_script_of_a_sortable_page_is_in_the_page():
    page = Page(html_page("title", "summary", [Section("section", [BLOCKS[Table]])], sortable=True))
    assert page.of("script") == [{"type": "module"}]
    assert any("function sort(" in text for text in page.texts)


def test_values_keep_their_underscores_and_names_lose_them():
    facts = Facts({"image_size": 96, "site groups": ["A_B", "C"]})
    assert facts.as_texts() == {"image size": "96", "site groups": "A_B, C"}
