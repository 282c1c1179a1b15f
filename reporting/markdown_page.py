"""A report as Markdown, without its pictures: for a repository, a ticket or a mail."""

from collections.abc import Sequence

from reporting.blocks import Block, Conclusion, Facts, Folded, Gallery, Heading, Headline, Note, Picture, Section
from reporting.table import Table


def markdown_page(title: str, summary: str, sections: Sequence[Section]) -> str:
    """A report as Markdown. A section whose only content is pictures is left out.

    Args:
        title: title of the report.
        summary: the line below the title.
        sections: the parts of the report, in their order.
    """
    parts = [f"# {title}", summary]
    for section in sections:
        if all(isinstance(block, Picture | Gallery | Note | Heading) for block in section.blocks):
            continue
        parts += [f"## {section.title}", *filter(None, map(_block, section.blocks))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Conclusion(text):
            return f"**{text}**"
        case Headline(text, detail):
            return f"**{text}** {detail}"
        case Note(text):
            return text
        case Heading(text):
            return f"### {text}"
        case Facts():
            return "\n".join(f"- {name}: {value}" for name, value in block.as_texts().items())
        case Folded(title, blocks):
            return "\n\n".join([f"### {title}", *filter(None, map(_block, blocks))])
        case Table():
            return block.as_markdown()
    return ""
