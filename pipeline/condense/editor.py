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
    # Both with single spaces; a place in that text is found again by the words before it.
    spaced = " ".join(text.split())
    begins = spaced.find(" ".join(wanted.split()))
    if begins < 0:
        return None
    return _place(text, begins), _place(text, begins + len(" ".join(wanted.split())) - 1) + 1


def _place(text: str, spaced: int) -> int:
    """Where the character at `spaced` of the text with single spaces stands in the text itself."""
    for word in re.finditer(r"\S+", text):
        if spaced < len(word[0]):
            return word.start() + spaced
        spaced -= len(word[0]) + 1
    raise ValueError(spaced)
