"""An entry of a feed becomes a post. Touches nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.post import Post
from pipeline.reading.html import HtmlContent, read_html
from pipeline.reading.language import identify, two_letters
from pipeline.reading.normal import clean_line
from pipeline.reading.plain import read_plain
from pipeline.reading.read import first_paragraph
from pipeline.sameness import GOES_ON
from pipeline.sources.feed_format import LONGEST_ENTRY, Entry

_SHORT = 1500
"""Characters; a summary that is longer is taken for the post."""
_VERY_SHORT = 500
_INLINE = re.compile(r"data:image/[^\"'\s<>)]*")


def dates(entries: Sequence[Entry], now: datetime) -> list[datetime]:
    """When each was published. One without a date comes a second before the one above it, so that the feed's
    order, newest first, holds."""
    found: list[datetime] = []
    for entry in entries:
        above = min(found[-1], now) if found else now + timedelta(seconds=1)
        found.append(entry.published or above - timedelta(seconds=1))
    return found


def post_of(entry: Entry, *, key: str, published: datetime, language: str, remarks: list[str]) -> Post | None:
    name = entry.title or entry.link or key
    body = entry.body if len(entry.body) <= LONGEST_ENTRY else _INLINE.sub("", entry.body)
    if len(body) > LONGEST_ENTRY:
        remarks.append(f"“{name[:80]}” is longer than any post and was not read")
        return None
    content = _content(body, html=entry.body_is_html)
    if not content.text:
        if not entry.link:
            remarks.append(f"“{name[:80]}” holds no text")
            return None
        content = replace(content, text=clean_line(name), blocks=())
    title = _line(entry.title, html=entry.title_is_html) or _opening(content.text)
    if "\ufffd" in content.text or "\ufffd" in title:
        remarks.append(f"“{title[:80]}” has characters that could not be read (�)")
    lead = _line(entry.summary, html=entry.summary_is_html) if entry.whole else ""
    return Post(
        key=key,
        title=title,
        language=identify(content.text) or two_letters(entry.language) or language,
        published=published,
        text=content.text,
        blocks=content.blocks,
        url=entry.link or None,
        stable_key=False,
        lead=lead if 0 < len(lead) <= 400 else first_paragraph(content),
    )


def is_teaser(entry: Entry, post: Post) -> bool:
    if not entry.link:
        return False
    length = len(post.text)
    if entry.whole:
        return length < _VERY_SHORT and GOES_ON.search(post.text) is not None
    return length < _SHORT


def _content(body: str, *, html: bool) -> HtmlContent:
    if html:
        return read_html(body)
    text, blocks = read_plain(body)
    return HtmlContent(text=text, blocks=blocks)


def _line(text: str, *, html: bool) -> str:
    return clean_line(read_html(text).text.replace("\n", " ") if html else text)


def _opening(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 80 else line[:80].rsplit(" ", 1)[0] + "…"
