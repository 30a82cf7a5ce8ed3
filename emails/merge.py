"""Putting in what differs per recipient: split a rendered letter once, join for everyone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from emails.edition import MERGE_NAMES, Letter

_FIELD = re.compile("|".join(f"({re.escape(field)})" for field in MERGE_NAMES.values()))
_NAMES = tuple(MERGE_NAMES)
_SAFE = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/\-]*)?(?:\?[A-Za-z0-9._~/=\-]*)?"
).fullmatch


class UnsafeMergeValue(ValueError):
    """A merge value that would need escaping somewhere, or that a field has none of."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A text cut at its merge fields: `pieces[0] fields[0] pieces[1] fields[1] … pieces[-1]`."""

    pieces: tuple[str, ...]
    fields: tuple[str, ...]
    """Names as in `MERGE_NAMES`, one fewer than pieces."""

    def fill(self, values: Mapping[str, str]) -> str:
        """The text for one recipient.

        Values are ASCII web addresses made of characters that mean themselves in HTML, plain text, JSON
        and quoted URLs alike, so no context needs to escape them. Raises `UnsafeMergeValue` for others.
        """
        try:
            if len(self.fields) == 1:
                return safe(values[self.fields[0]]).join(self.pieces)
            filled = (safe(values[name]) for name in self.fields)
            return "".join(chain.from_iterable(zip(self.pieces, chain(filled, ("",)), strict=True)))
        except KeyError as error:
            raise UnsafeMergeValue(f"no value for merge field {error.args[0]!r}") from error

    def mapped(self, escape: Callable[[str], str]) -> Merge:
        """The same fields between pieces that went through `escape`, e.g. into the inside of a JSON string.

        `escape` must work on a piece as it would on the whole (JSON escaping does).
        """
        return Merge(tuple(map(escape, self.pieces)), self.fields)


@dataclass(frozen=True, slots=True)
class Parts:
    """Both bodies of a letter, ready to be filled for recipient after recipient."""

    html: Merge
    text: Merge


def safe(value: str) -> str:
    """`value` if it needs no escaping anywhere (RFC 3986 unreserved characters in path and query).

    Raises `UnsafeMergeValue` otherwise.
    """
    if not _SAFE(value):
        raise UnsafeMergeValue(f"a merge value must be a plain ASCII web address, not {value!r}")
    return value


def cut(text: str) -> Merge:
    """`text` cut at each of `MERGE_FIELDS`."""
    pieces, fields, end = [], [], 0
    for match in _FIELD.finditer(text):
        pieces.append(text[end : match.start()])
        fields.append(_NAMES[(match.lastindex or 1) - 1])
        end = match.end()
    return Merge((*pieces, text[end:]), tuple(fields))


@lru_cache(maxsize=16)
def split(letter: Letter) -> Parts:
    """Both bodies of `letter` cut at the merge fields; remembered, so asking per recipient is cheap."""
    return Parts(html=cut(letter.html), text=cut(letter.text))
