"""The report as Markdown, without its pictures: for a repository, a ticket or a mail."""

from collections.abc import Sequence

from experiments.report.content import summary
from experiments.report.study import Study
from reporting import Block, Facts, Finding, Heading, Note, Picture, Section, Table


def markdown_page(study: Study, sections: Sequence[Section]) -> str:
    """The report of a study as Markdown; a section that only has pictures is left to the page."""
    parts = [f"# {study.title}", summary(study)]
    for section in sections:
        if all(isinstance(block, Picture | Note | Heading) for block in section.blocks):
            continue
        parts += [f"## {section.title}", *filter(None, map(_block, section.blocks))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Finding(text):
            return f"**{text}**"
        case Note(text):
            return text
        case Heading(text):
            return f"### {text}"
        case Facts(facts):
            return "\n".join(f"- {name}: {value}" for name, value in facts.items())
        case Table():
            return block.as_markdown()
    return ""
