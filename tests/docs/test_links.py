"""Every link of every page leads to a file of the repository, and every anchor to a heading of its page."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NO_PAGES = {"_base", "build", "dist", "node_modules", "runs", "models", "output"}
PAGES = sorted(
    page
    for page in REPOSITORY.rglob("*.md")
    if not any(part in NO_PAGES or part.startswith(".") for part in page.relative_to(REPOSITORY).parts)
)

FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
TARGETS = (
    re.compile(r"\]\(\s*<?([^\s)>]+)"),  # [text](target), also of a picture
    re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE),  # [name]: target
    re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src)=[\"']([^\"']+)"),
)
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:", re.IGNORECASE)


def broken_links(page: Path, root: Path) -> Iterator[str]:
    """The links of a page that lead to no file below a root, or to no anchor of their page."""
    text = CODE.sub("", FENCE.sub("", page.read_text()))
    for target in (match[1] for pattern in TARGETS for match in pattern.finditer(text)):
        if ELSEWHERE.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not (file.is_relative_to(root) and file.is_file()) or (anchor and anchor not in anchors(file)):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give to the headings of a page, and those that the page names itself."""
    text = FENCE.sub("", page.read_text())
    named = set(re.findall(r"<\w+ [^>]*?\b(?:id|name)=[\"']([^\"']+)", text))
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        named.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return named


def test_the_pages_are_found():
    found = {page.relative_to(REPOSITORY).as_posix() for page in PAGES}
    assert {"README.md", "docs/how-to/data.md", "runner/README.md", "bundles/enet/docs/README.md"} <= found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert list(broken_links(page, REPOSITORY)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_a_list_follows_an_empty_line_so_that_the_site_shows_it_as_a_list(page):
    text = FENCE.sub("", page.read_text())
    items = re.findall(r"^(?! *(?:[-*]|\d+\.) |[|>#]| *$)(?! {2}).+\n(?:[-*]|\d+\.) .*", text, re.MULTILINE)
    assert items == []


OTHER = """# One heading, `code` and a [link](x.md)

## Dünn: 2 × 3_a -- b

```
# no heading
```

## Twice

## Twice

<a id="by-hand"></a>
"""


@pytest.mark.parametrize(
    "link",
    [
        "[a](other.md)",
        "[a](<other.md> 'title')",
        "![a](sub/picture.png)",
        "[a](#here)",
        "[a](other.md#one-heading-code-and-a-link)",
        "[a](other.md#d%C3%BCnn-2--3_a----b)",
        "[a](other.md#twice-1)",
        "[a](other.md#by-hand)",
        "[a][b]\n\n[b]: other.md#twice",
        '<img src="sub/picture.png">',
        "[a](https://example.org/lost.md#x)",
        "`[a](lost.md)`",
        "```\n[a](lost.md)\n```",
    ],
)
def test_a_good_link(tmp_path, link):
    assert list(broken_links(page_with(tmp_path, link), tmp_path)) == []


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("[a](lost.md)", "lost.md"),
        ("![a](sub/lost.png)", "sub/lost.png"),
        ("[two\nlines](lost.md)", "lost.md"),
        ("[a](sub)", "sub"),
        ("[a](/other.md)", "/other.md"),
        ("[a](../outside.md)", "../outside.md"),
        ("[a](#lost)", "#lost"),
        ("[a](other.md#no-heading)", "other.md#no-heading"),
        ("[a](other.md#twice-2)", "other.md#twice-2"),
        ("[a](other.md#Twice)", "other.md#Twice"),
        ("[a][b]\n\n[b]: lost.md", "lost.md"),
        ("<a href='lost.md'>a</a>", "lost.md"),
        ("| [`a`](lost.md) |", "lost.md"),
    ],
)
def test_a_broken_link(tmp_path, link, target):
    (tmp_path.parent / "outside.md").touch()
    assert list(broken_links(page_with(tmp_path, link), tmp_path)) == [target]


def page_with(folder: Path, text: str) -> Path:
    (folder / "sub").mkdir()
    (folder / "sub" / "picture.png").touch()
    (folder / "other.md").write_text(OTHER)
    (folder / "page.md").write_text(f"# Page\n\n{text}\n\n## Here\n")
    return folder / "page.md"
