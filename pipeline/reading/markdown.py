"""Markdown into blocks: markdown-it renders it (CommonMark with tables), the HTML reader does the rest.

What notebooks and site generators add to Markdown (call-outs, links between notes, tick boxes) is taken away
or turned into words first: nobody who reads the site sees its signs."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from pipeline.post import Block
from pipeline.reading.html import read_html
from pipeline.reading.plain import read_plain

LONGEST_LINE = 20_000
LONGEST_TEXT = 6_000_000
MOST_LINES = 50_000
"""Beyond these a file is no hand-written Markdown, and its marks are left as they stand."""

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
_CALL_OUTS = re.compile(r"(?m)^((?:[ \t]*>)+[ \t]*)\[![\w-]{1,30}\][+-]?[ \t]*(.*)$")
"""`> [!note] Title`"""
_ADMONITIONS = re.compile(
    r'(?m)^(?:!!!|\?\?\?)\+?[ \t]+[\w-]{1,40}(?:[ \t]+"([^"\n]{0,200})")?[ \t]*\n'
    r"((?:(?: {4}|\t)[^\n]*\n?|[ \t]*\n(?= {4}|\t))+)"
)
"""`!!! note "Title"`, and what stands below it."""
_TICK_BOXES = re.compile(r"(?m)^([ \t>]*(?:[-*+]|\d{1,3}[.)])[ \t]+)\[[ xX]\][ \t]+")
_NOTES = re.compile(
    r"(?<![\w%])%%(?![%\s])[^%\n]{0,500}(?<!\s)%%(?![\w%])|(?<![\w%])%% [^%\n]{0,500} %%(?![\w%])"
    r"|!\[\[[^\[\]\n]{1,300}\]\]|\[\[_?toc_?\]\]"
    r"|(?m:[ \t]\^(?-i:(?=[a-z-]*[\d-])[a-z][a-z0-9-]{2,39}|(?=[a-z]*\d)[a-z0-9]{6})[ \t]*$)",
    re.IGNORECASE,
)
"""Comments on one line, other notes shown within this one, a table of contents, and names of paragraphs as
Obsidian makes them. A lone `%%` may be anything: per cent, or an instruction to a notebook."""
_NOTE_LINKS = re.compile(r"\[\[(?:[^\[\]|\n]{1,300}\|)?([^\[\]|\n#]{1,300})(?:#[^\[\]|\n]{0,300})?\]\](?!\()")
"""Not a link of Markdown itself whose words stand in brackets: `[[1]](https://…)`."""
_HIGHLIGHTS = re.compile(r"(?<![=\w])==(?=[^\s=>])([^=\n]{1,500})(?<=[^\s<])==(?![=\w])")
_NAMED_SIGNS = {
    "bulb": "💡", "question": "❓", "grey_question": "❔", "thinking": "🤔", "thinking_face": "🤔",
    "thought_balloon": "💭", "seedling": "🌱", "sparkles": "✨", "mag_right": "🔎", "lotus_position": "🧘",
    "mirror": "🪞", "point_right": "👉", "arrow_right": "➡️",
}  # fmt: skip
"""Of the emoji with which writers mark a question."""
_NAMED_SIGN = re.compile(rf"(?<![\w:]):({'|'.join(_NAMED_SIGNS)}):(?![\w:])")
_OLD_REFERENCES = re.compile(r"&#(?:0{0,5}(12[89]|1[345]\d)|[xX]0{0,4}([89][0-9a-fA-F]));")
"""`&#146;` and the like: to browsers what Windows-1252 has there, to CommonMark unreadable."""
_DROPPED_WHOLE = re.compile(r"(?is)<(script|style)\b[^>]*>.*?</\1\s*>")


def _character(reference: re.Match[str]) -> str:
    return chr(int(reference[1]) if reference[1] else int(reference[2], 16))


def _call_out(first_line: re.Match[str]) -> str:
    quoted, title = first_line[1], first_line[2].strip()
    return f"{quoted}###### {title}\n{quoted}" if title else quoted


def _admonition(found: re.Match[str]) -> str:
    body = re.sub(r"(?m)^(?: {4}|\t)", "", found[2])
    return f"###### {found[1]}\n\n{body}" if found[1] else f"\n{body}"


def read_markdown(source: str) -> tuple[str, tuple[Block, ...]]:
    """The normalised text and blocks of Markdown without its front matter. Time is linear in its length."""
    source = _NAMED_SIGN.sub(lambda name: _NAMED_SIGNS[name[1]], source)
    source = _SHORT_CODES.sub(" ", _OLD_REFERENCES.sub(_character, source))
    for rule in (_NOTES, _FOOTNOTES, _ATTRIBUTES, _ICONS, _DIRECTIVES):
        source = rule.sub("", source)
    source = _TICK_BOXES.sub(r"\1", _ADMONITIONS.sub(_admonition, _CALL_OUTS.sub(_call_out, source)))
    source = _HIGHLIGHTS.sub(r"\1", _NOTE_LINKS.sub(r"\1", source))
    lines = source.split("\n")
    if len(source) > LONGEST_TEXT or len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST_LINE:
        return read_plain(source)
    content = read_html(_MARKDOWN.render(source))
    return content.text, content.blocks
