"""The one normalised text of a post, and the blocks that are spans of it.

Every citation is a span of this text, so its rules are fixed and few (docs/condensing.md says them to
editors):

1. Unicode NFC. Letters, punctuation, quotes and dashes stay as the author wrote them.
2. Soft hyphens, zero-width characters, byte-order marks and other invisible format or control characters go.
   Zero-width joiners stay: emoji and several scripts need them.
3. Every run of white space inside a line (no-break spaces too) is one ordinary space.
4. A line break the author forced is one line feed. Blocks stand apart by two line feeds.
5. Nothing else is added, dropped or moved.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from pipeline.post import Block, BlockKind

_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffc"
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]"
)
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_BREAKS = re.compile(r" ?\n[ \n]*")
FORCED_BREAK = "\x1e"
"""Stands for a forced line break in text handed to `Pages.add`; every other break there is mere layout."""


def clean(text: str) -> str:
    """`text` under rules 1-3 with every line break kept as one line feed."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    return _AROUND_BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()


def clean_inline(text: str) -> str:
    """`text` of one block whose layout breaks mean nothing; only `FORCED_BREAK` becomes a line feed."""
    parts = (clean(part).replace("\n", " ") for part in text.split(FORCED_BREAK))
    return "\n".join(part for part in parts if part)


@dataclass(slots=True)
class TextBuilder:
    """Collects blocks in reading order and gives the post's text with their offsets."""

    _parts: list[str] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)
    _length: int = 0

    def add(self, kind: BlockKind, text: str, *, level: int = 0) -> None:
        """Appends one block of already clean text; empty text adds nothing."""
        if not text:
            return
        start = self._length + (2 if self._parts else 0)
        self._parts.append(text)
        self._length = start + len(text)
        self._blocks.append(Block(kind=kind, start=start, end=self._length, level=level))

    def build(self) -> tuple[str, tuple[Block, ...]]:
        """The normalised text and its blocks."""
        return "\n\n".join(self._parts), tuple(self._blocks)
