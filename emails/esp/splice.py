"""JSON made once per edition and spliced per recipient.

Escaping and encoding a 20 kB letter costs far more than putting one address into it, and a batch repeats the
same letter a hundred times: so that work is done once, on the pieces between what differs, and a batch is one
join of bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

    __slots__ = ("_parts",)

    def __init__(self, *parts: str | Hole | Merge) -> None:
        made: list[bytes | Hole] = []
        for part in parts:
            made += _cut(part)
        self._parts = tuple(made)

    def fill(self, values: Mapping[str, bytes]) -> list[bytes]:
        """The text for one recipient, in pieces to be joined. `values` are JSON as it stands in each hole.

        Raises KeyError for a hole without a value.
        """
        return [values[part.name] if isinstance(part, Hole) else part for part in self._parts]


def _cut(part: str | Hole | Merge) -> list[bytes | Hole]:
    if isinstance(part, Hole):
        return [part]
    if isinstance(part, str):
        return [part.encode()]
    cut: list[bytes | Hole] = [inside(part.pieces[0]).encode()]
    for name, piece in zip(part.fields, part.pieces[1:], strict=True):
        cut += (Hole(name), inside(piece).encode())
    return cut
