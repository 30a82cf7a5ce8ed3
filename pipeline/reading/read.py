"""One file's bytes into one post."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import PurePosixPath

from pipeline.post import Block, BlockKind, Post
from pipeline.reading.charsets import decode, named_in_header, named_in_page
from pipeline.reading.frontmatter import BadFrontMatter, FrontMatter, parse_date, split_front_matter
from pipeline.reading.html import HtmlContent, read_html
from pipeline.reading.language import identify, two_letters
from pipeline.reading.markdown import read_markdown
from pipeline.reading.normal import clean_line
from pipeline.reading.plain import read_plain

LARGEST = 20_000_000
"""Bytes of the largest file read as a post."""

_MARKDOWN = {".md", ".markdown", ".mdown", ".mkd", ".mdx"}
_HTML = {".html", ".htm", ".xhtml"}
SUFFIXES = frozenset(_MARKDOWN | _HTML | {".txt", ".text"})
_PAGE = re.compile(r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype html|html)[\s>]", re.IGNORECASE)
"""How no Markdown begins: some servers give a page at the address of the file that it is made from."""
_LIKE_HTML = re.compile(r"\s*<(?:!doctype|html|head|body|article|div|p|h[1-6]|section|!--)", re.IGNORECASE)
_DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_SENTENCE_END = re.compile(r"[.!?…][”’\"')]*(?:\s|\Z)")
_LEAD_LENGTH = 300
_CONTROLS = tuple(map(chr, (*range(9), *range(14, 27), *range(28, 32), 127)))
"""Without tab, line and page ends, and the escape of ISO-2022."""
_ODD_ONE_IN = 30
"""A file with more controls and characters that mean nothing than one in so many is not text: pictures and
packed files have one in eight."""


class Unreadable(ValueError):
    """A file cannot be read as a post. The message names the file, the reason and the mend."""


class Draft(Unreadable):
    """The post's front matter says `draft: true`: it is not published yet."""


def read_post(
    raw: bytes,
    *,
    name: str,
    language: str | None = None,
    modified: datetime | None = None,
    default_language: str = "en",
    drafts: bool = False,
    content_type: str = "",
) -> Post:
    """One post from one file's bytes.

    `name` is the file's path below its source, with `/`; it becomes the post's key and its ending says the
    format (Markdown, HTML; everything else is plain text unless it begins like a page). `language` (two
    letters) overrules what the post says; else the post's own word counts, then what its text looks like,
    then `default_language`. `published` is the front matter's or page's date, else a date in the file's
    name, else `modified`. `content_type` is what an HTTP header says of the bytes.

    Raises Unreadable (a plain ValueError in kind) with the file's name in the message; `Draft` for a draft,
    unless `drafts` are read too.
    """
    text = _decode(raw, name, content_type)
    try:
        front, body = split_front_matter(text)
    except BadFrontMatter as error:
        raise Unreadable(f"{name}: {error}") from error
    if front.draft and not drafts:
        raise Draft(f"{name}: is a draft; remove `draft: true` to publish it")
    content = _read_body(body, name)
    if not content.text:
        raise Unreadable(f"{name}: there is no text in it")
    return _assemble(
        name, front, content, language=language, default_language=default_language, modified=modified
    )


def _decode(raw: bytes, name: str, content_type: str) -> str:
    if len(raw) > LARGEST:
        raise Unreadable(f"{name}: is larger than {LARGEST // 1_000_000} MB, which is no post")
    text, lost = decode(raw, named_in_header(content_type), named_in_page(raw))
    if (lost + sum(map(text.count, _CONTROLS))) * _ODD_ONE_IN > len(text):
        raise Unreadable(f"{name}: is not text, or in a charset that it does not name; save it as UTF-8 text")
    return _with_line_feeds(text.replace("\0", "").lstrip("\ufeff"))


def _with_line_feeds(text: str) -> str:
    """One kind of line end. Text that was copied from word processors and layout programs has others."""
    for end in ("\r\n", "\r", "\x0b", "\x0c", "\u2028"):
        text = text.replace(end, "\n")
    return text.replace("\u2029", "\n\n")


def _read_body(body: str, name: str) -> HtmlContent:
    suffix = PurePosixPath(name).suffix.lower()
    html = suffix in _HTML or _PAGE.match(body) or (suffix not in _MARKDOWN and _LIKE_HTML.match(body))
    if html:
        return read_html(body)
    text, blocks = read_markdown(body) if suffix in _MARKDOWN else read_plain(body)
    return HtmlContent(text=text, blocks=blocks)


def _assemble(
    name: str,
    front: FrontMatter,
    content: HtmlContent,
    *,
    language: str | None,
    default_language: str,
    modified: datetime | None,
) -> Post:
    published = front.published or content.published or _date_in_name(name) or modified
    return Post(
        key=name,
        title=clean_line(unescape(front.title))
        or content.title
        or _first_heading(content)
        or _title_from_name(name),
        language=(
            two_letters(language or "")
            or two_letters(front.language)
            or two_letters(content.language)
            or identify(content.text)
            or default_language
        ),
        published=published or datetime.fromtimestamp(0, UTC),
        text=content.text,
        blocks=content.blocks,
        url=front.url or content.url,
        question=front.question,
        example=front.example,
        lead=clean_line(unescape(front.lead)) or content.lead or first_paragraph(content),
    )


def _date_in_name(name: str) -> datetime | None:
    match = _DATE_IN_NAME.search(PurePosixPath(name).name)
    return parse_date("-".join(match.groups())) if match else None


def _first_heading(content: HtmlContent) -> str:
    for block in content.blocks[:3]:
        if block.kind is BlockKind.HEADING:
            return _words(content, block)
    return ""


def first_paragraph(content: HtmlContent) -> str:
    """The opening of the text: the first paragraph with a sentence in it, not a reading time."""
    for block in content.blocks:
        words = _words(content, block)
        if block.kind is BlockKind.PARAGRAPH and _SENTENCE_END.search(words):
            return words if len(words) <= _LEAD_LENGTH else words[:_LEAD_LENGTH].rsplit(" ", 1)[0] + "…"
    return ""


def _words(content: HtmlContent, block: Block) -> str:
    return content.text[block.start : block.end].replace("\n", " ")


def _title_from_name(name: str) -> str:
    path = PurePosixPath(name)
    stem = path.parent.name if path.stem.lower() in {"index", "_index"} and path.parent.name else path.stem
    stem = re.sub(r"^\d{4}[-_]?\d{2}[-_]?\d{2}[-_ ]*", "", stem)
    words = clean_line(re.sub(r"[-_]+", " ", stem))
    return words[:1].upper() + words[1:] if words else clean_line(name)
