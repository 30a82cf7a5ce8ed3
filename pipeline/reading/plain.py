"""Plain text, as pasted, into blocks."""

from __future__ import annotations

import re

from pipeline.post import Block, BlockKind
from pipeline.reading.normal import TextBuilder, clean

_BULLET = re.compile(r"(?:[•◦▪‣·●○*+-]|\(?\d{1,2}[.)])\s+(?=\S)")
_LONGEST_HEADING = 100
_MOST_HEADING_WORDS = 16
_ENDS_A_SENTENCE = re.compile(r"[.!?…:;,。！？：][^\w\s]*(?:\s[^\w\s]+)*\Z")
"""Also before an emoji."""
_MORE_THAN = re.compile(r"> ?\d")
_QUOTED = re.compile(r"\A(?:>[^\S\n]?)+")


def read_plain(source: str) -> tuple[str, tuple[Block, ...]]:
    """The normalised text and blocks of plain text.

    Empty lines separate blocks. Inside a chunk every line is a block of its own, unless the lines look
    broken by an editor at a fixed width: then they are joined. A short line of its own without a closing
    full stop is a heading; a line that starts with a bullet or number is a list item, and the bullet is not
    part of it. Lines that all start with `>` are quoted, as in mail.
    """
    builder = TextBuilder()
    for chunk in re.split(r"\n[^\S\n]*(?:\n[^\S\n]*)+", source.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [line for line in clean(chunk).split("\n") if line]
        quoted = all(line.startswith(">") for line in lines) and not any(map(_MORE_THAN.match, lines[:1]))
        if quoted:
            lines = [line for line in (_QUOTED.sub("", line, count=1) for line in lines) if line]
        for line in _unwrap(lines):
            _add_line(builder, line, alone=len(lines) == 1, quoted=quoted)
    return builder.build()


def _unwrap(lines: list[str]) -> list[str]:
    """Joins lines that were broken at a fixed width: all but the last are about as long, none much longer."""
    if len(lines) < 2 or any(_BULLET.match(line) for line in lines):
        return lines
    longest = max(map(len, lines))
    if 45 <= longest <= 100 and all(len(line) >= 0.6 * longest for line in lines[:-1]):
        return [" ".join(lines)]
    return lines


def _add_line(builder: TextBuilder, line: str, *, alone: bool, quoted: bool) -> None:
    if quoted:
        builder.add(BlockKind.QUOTE, line)
    elif bullet := _BULLET.match(line):
        builder.add(BlockKind.LIST_ITEM, line[bullet.end() :])
    elif alone and _is_heading(line):
        builder.add(BlockKind.HEADING, line, level=2)
    else:
        builder.add(BlockKind.PARAGRAPH, line)


def _is_heading(line: str) -> bool:
    return (
        len(line) <= _LONGEST_HEADING
        and len(line.split()) <= _MOST_HEADING_WORDS
        and line[0].isalnum()
        and not _ENDS_A_SENTENCE.search(line)
    )
