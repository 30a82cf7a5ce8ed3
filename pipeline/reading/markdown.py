"""Markdown into blocks: markdown-it renders it (CommonMark with tables), the HTML reader does the rest."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from pipeline.post import Block
from pipeline.reading.html import read_html
from pipeline.reading.plain import read_plain

LONGEST_LINE = 20_000
LONGEST_TEXT = 6_000_000
"""Beyond these a file is no hand-written Markdown, and its inline marks are left as they stand."""

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

# Short codes of static site generators are instructions to a program, not words to a reader.
_SHORT_CODES = re.compile(r"\{\{[^{}]{0,500}\}\}|\{%[^%{}]{0,500}%\}")
_ATTRIBUTES = re.compile(r"\{[:.#][^{}\n]{0,200}\}")
_ICONS = re.compile(r"(?m)^[ \t]*::?:?[\w-]+::?:?[ \t]*$|::[\w-]+::")
_DIRECTIVES = re.compile(r"(?m)^[ \t]*:::.*$")
_FOOTNOTES = re.compile(
    r"(?m)^\[\^[^\]\n]{1,60}\]:.*(?:\n(?: {2,}|\t).*)*"
    r"|\[\^[^\]\n]{1,60}\](?=[\"”»)]*(?:[.!?…:]|[^\S\n]*$))|(?<=[.!?…”»)])\[\^[^\]\n]{1,60}\]"
)
"""Footnotes, and their marks at the end of a sentence. A mark inside one stays, so that no quote hides it."""
_DROPPED_WHOLE = re.compile(r"(?is)<(script|style)\b[^>]*>.*?</\1\s*>")


def read_markdown(source: str) -> tuple[str, tuple[Block, ...]]:
    """The normalised text and blocks of Markdown without its front matter. Time is linear in its length."""
    source = _SHORT_CODES.sub(" ", source)
    for rule in (_FOOTNOTES, _ATTRIBUTES, _ICONS, _DIRECTIVES):
        source = rule.sub("", source)
    if len(source) > LONGEST_TEXT or any(len(line) > LONGEST_LINE for line in source.split("\n")):
        return read_plain(source)
    content = read_html(_MARKDOWN.render(source))
    return content.text, content.blocks
