"""The one normalised text of a post, and the blocks that are spans of it.

Every citation is a span of this text, so its rules are fixed and few (docs/condensing.md says them to
editors):

1. Unicode NFC. Letters, punctuation, quotes and dashes stay as the author wrote them.
2. Soft hyphens, zero-width characters, byte-order marks and other invisible format or control characters go.
   Zero-width joiners stay, but for those at a Latin, Greek or Cyrillic letter: emoji and several scripts need
   them. The controls from U+0080 to U+009F are what
   Windows-1252 has there, since that is what was meant (WHATWG HTML, 13.2.5.80, says so of `&#146;`).
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
    "[\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffc\ufffe"
    "\uffff\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]"
    "|(?<=[A-Za-z\u00c0-\u04ff])\u200d|\u200d(?=[A-Za-z\u00c0-\u04ff])"
)
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|[\U000e0000-\U000e007f]")
"""Flags of regions are spelled with tags behind a black flag; anywhere else tags are hidden text."""
_CONTROLS = re.compile("[\x80-\x9f]")
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_BREAKS = re.compile(r" ?\n[ \n]*")
FORCED_BREAK = "\x1e"
"""Stands for a forced line break in text handed to `clean_inline`; every other break there is mere layout."""


def clean(text: str) -> str:
    """`text` under rules 1-3 with every line break kept as one line feed."""
    text = _CONTROLS.sub(_meant, text.replace("\r\n", "\n").replace("\r", "\n"))
    text = unicodedata.normalize("NFC", _TAGS.sub(r"\1", _INVISIBLE.sub("", text)))
    return _AROUND_BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()


def _meant(control: re.Match[str]) -> str:
    return control[0].encode("latin-1").decode("cp1252", "replace")


def clean_inline(text: str) -> str:
    """`text` of one block whose layout breaks mean nothing; only `FORCED_BREAK` becomes a line feed."""
    parts = map(clean_line, text.split(FORCED_BREAK))
    return "\n".join(part for part in parts if part)


def clean_line(text: str) -> str:
    """`text` as one line, such as a title."""
    return clean(text).replace("\n", " ")


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
