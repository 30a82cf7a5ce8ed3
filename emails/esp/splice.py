"""JSON made once per edition and spliced per recipient.

Escaping and encoding a 20 kB letter costs far more than putting one address into it, and a batch repeats the
same letter a hundred times: so that work is done once, on the pieces between what differs, and a batch is one
join of bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emails.merge import Merge


def dump(value: Any) -> str:
    """Compact JSON, characters as they are: the same text on every build for equal input."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def inside(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string (RFC 8259 7)."""
    return dump(text)[1:-1]


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a JSON text where recipients differ."""

    name: str


class Splice:
    """A JSON text with holes, in UTF-8.

    Made of JSON as it stands, holes, and letters (`emails.merge.Merge`), which become the inside of a JSON
    string, their merge fields being holes of the same name.
    """

    __slots__ = ("_holes", "_parts")

    def __init__(self, *parts: str | Hole | Merge) -> None:
        self._parts: list[bytes] = []
        self._holes: list[tuple[int, str]] = []
        after_hole = True
        for piece in (piece for part in parts for piece in _cut(part)):
            if isinstance(piece, Hole):
                self._holes.append((len(self._parts), piece.name))
                self._parts.append(b"")
            elif after_hole:
                self._parts.append(piece)
            else:
                self._parts[-1] += piece
            after_hole = isinstance(piece, Hole)

    def fill(self, values: Mapping[str, bytes]) -> list[bytes]:
        """The text for one recipient, in pieces to be joined. `values` are JSON as it stands in each hole.

        Raises KeyError for a hole without a value.
        """
        filled = self._parts.copy()
        for place, name in self._holes:
            filled[place] = values[name]
        return filled


_LONG = 256
"""Octets from which a piece is worth a hash of its own."""


def digest(pieces: Sequence[bytes]) -> str:
    """SHA-256 of a JSON text made of `pieces`, where a long piece counts by its own SHA-256.

    A batch repeats the same long pieces for everybody, and each of them is read only once here: a letter of
    20 kB costs a tenth of what it would. JSON holds no NUL octet (RFC 8259 7), so nothing else in it can look
    like what stands for a long piece: equal digests mean equal pieces.
    """
    marks = {piece: b"\0" + hashlib.sha256(piece).digest() for piece in set(pieces) if len(piece) >= _LONG}
    return hashlib.sha256(b"".join([marks.get(piece, piece) for piece in pieces])).hexdigest()


def _cut(part: str | Hole | Merge) -> list[bytes | Hole]:
    if isinstance(part, Hole):
        return [part]
    if isinstance(part, str):
        return [part.encode()]
    cut: list[bytes | Hole] = [inside(part.pieces[0]).encode()]
    for name, piece in zip(part.fields, part.pieces[1:], strict=True):
        cut += (Hole(name), inside(piece).encode())
    return cut
