"""The editor's own question or example: it wins over everything the machine finds."""

from __future__ import annotations

import re

from pipeline.post import Post, Quote
from pipeline.reading.normal import clean

CHOSEN = "chosen by the editor"
WRITTEN = "written by the editor; it does not stand in the post"


def editors_quote(post: Post, words: str, kind: str) -> Quote | None:
    """The editor's words as a quote: the span of the post they stand at, else marked as editor-written.

    Only white space may differ between the editor's words and the post's. None when `words` is blank.
    """
    wanted = clean(words)
    if not wanted:
        return None
    found = _find(post.text, wanted)
    if found is None:
        return Quote(text=wanted, start=0, end=0, reasons=(WRITTEN,), editor_written=True, kind=kind)
    start, end = found
    return Quote(text=post.text[start:end], start=start, end=end, reasons=(CHOSEN,), kind=kind)


def _find(text: str, wanted: str) -> tuple[int, int] | None:
    at = text.find(wanted)
    if at >= 0:
        return at, at + len(wanted)
    match = re.search(r"\s+".join(re.escape(word) for word in wanted.split()), text)
    return match.span() if match else None
