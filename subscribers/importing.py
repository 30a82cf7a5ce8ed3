"""Reading a list of subscribers from CSV, a row at a time, in bounded memory.

Good rows come out as `ImportRow`, bad ones as `ImportProblem` with the line they begin on; a bad row never
takes its neighbours along. What a row means for an address (consent, suppression) is decided elsewhere.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from subscribers.addresses import Address, AddressError, clean_name, normalise

COLUMNS: Final[tuple[str, ...]] = ("email", "name", "language")
MAX_LINE: Final = 10_000
"""Characters of a line that are looked at."""
MAX_QUOTED_LINES: Final = 20
"""Lines that one quoted field may run over; after them the quote counts as never closed."""

_KNOWN_AS: Final = {
    "email": "email",
    "e-mail": "email",
    "email address": "email",
    "e-mail address": "email",
    "emailadres": "email",
    "e-mailadres": "email",
    "name": "name",
    "naam": "name",
    "first name": "name",
    "voornaam": "name",
    "language": "language",
    "lang": "language",
    "taal": "language",
}
_DELIMITERS: Final = (",", ";", "\t")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}\Z")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One person on the list."""

    line: int
    """Line of the file that the row begins on, counted from 1."""
    address: Address
    name: str
    language: str | None
    """BCP 47 tag, lower-cased; None when the file does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """One row, or the whole file, that could not be used."""

    line: int
    field: str
    """`email`, `name`, `language`, `row` or `file`; after a problem with the file nothing follows."""
    message: str
    """What is wrong and how to mend it. Holds no address."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.message}"


def read_subscribers(file: BinaryIO, *, encoding: str | None = None) -> Iterator[ImportRow | ImportProblem]:
    """The rows and problems of a CSV file, in its order, each as soon as it is read.

    The file is UTF-8, or UTF-16 with a byte order mark, or what `encoding` says. Columns are told by the
    first line, in any order, separated by commas, semicolons or tabs; other columns are passed over. A file
    without such a line is read as `email,name,language` if its first cell is an address. The file stays open.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, file))
    codec = _encoding(buffered.peek(4)[:4], encoding)
    errors = "surrogateescape" if codec == "utf-8-sig" else "replace"
    text = io.TextIOWrapper(buffered, codec, errors=errors, newline="")
    try:
        yield from _rows(_Lines(text), named=encoding)
    finally:
        text.detach()
        buffered.detach()


def _encoding(start: bytes, named: str | None) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if named is None or codecs.lookup(named).name in {"utf-8", "utf-8-sig"}:
        return "utf-8-sig"
    return named


class _Lines:
    """Numbered lines, none longer than `MAX_LINE`, with room to put some back."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._number = 0
        self._back: deque[tuple[int, str, bool]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str, bool]]:
        return self

    def __next__(self) -> tuple[int, str, bool]:
        """Number, text, and whether the line was too long to be kept whole."""
        if self._back:
            return self._back.popleft()
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self._number += 1
        too_long = len(line) == MAX_LINE and not line.endswith(("\n", "\r"))
        rest = line
        while too_long and rest and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(MAX_LINE)
        return self._number, line, too_long

    def put_back(self, lines: list[tuple[int, str, bool]]) -> None:
        self._back.extendleft(reversed(lines))


def _rows(lines: _Lines, *, named: str | None) -> Iterator[ImportRow | ImportProblem]:
    header = _header(lines)
    if isinstance(header, ImportProblem):
        yield header
        return
    for numbered in lines:
        cells = _cells(numbered, lines, header.delimiter)
        if isinstance(cells, ImportProblem):
            yield cells
        elif any(cell.strip() for cell in cells):
            yield _row(numbered[0], cells, header, named)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    delimiter: str
    places: dict[str, int]
    width: int


def _header(lines: _Lines) -> _Header | ImportProblem:
    """The columns, from the first line that is not empty or a spreadsheet's `sep=;`."""
    for number, line, too_long in lines:
        if not line.strip("\0 \t\r\n") or line.strip().lower().removeprefix("sep=") in _DELIMITERS:
            continue
        for delimiter in _DELIMITERS:
            cells = _parse(line, delimiter) or [line]
            titles = [_KNOWN_AS.get(cell.strip().lower(), "") for cell in cells]
            if "email" in titles:
                places = {title: titles.index(title) for title in COLUMNS if title in titles}
                return _Header(delimiter=delimiter, places=places, width=len(titles))
        for delimiter in _DELIMITERS:
            if _is_address((_parse(line, delimiter) or [""])[0]):
                lines.put_back([(number, line, too_long)])
                places = {title: place for place, title in enumerate(COLUMNS)}
                return _Header(delimiter=delimiter, places=places, width=len(COLUMNS))
        return ImportProblem(
            line=number,
            field="file",
            message="no column is called email; let the first line read: email,name,language",
        )
    return ImportProblem(line=1, field="file", message="it is empty")


def _cells(numbered: tuple[int, str, bool], lines: _Lines, delimiter: str) -> list[str] | ImportProblem:
    """The cells of the row that begins here; a quoted cell may run on over some lines."""
    number, line, too_long = numbered
    if too_long:
        return ImportProblem(
            line=number, field="row", message=f"the line is longer than {MAX_LINE} characters"
        )
    cells = _parse(line, delimiter)
    if cells is not None:
        return cells
    text = line
    taken: list[tuple[int, str, bool]] = []
    while text.count('"') % 2 and len(taken) < MAX_QUOTED_LINES and (following := next(lines, None)):
        taken.append(following)
        text += following[1]
        cells = None if following[2] else _parse(text, delimiter)
        if cells is not None:
            return cells
    lines.put_back(taken)
    return ImportProblem(
        line=number,
        field="row",
        message='a quote is not closed or stands in the wrong place; write "" for a quote inside quotes',
    )


def _parse(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _row(number: int, cells: list[str], header: _Header, named: str | None) -> ImportRow | ImportProblem:
    def cell(title: str) -> str:
        place = header.places.get(title)
        return _plain(cells[place]) if place is not None and place < len(cells) else ""

    if any(_undecoded(text) for text in cells):
        return ImportProblem(line=number, field="row", message=_wrong_encoding(cells, named))
    if any(text.strip() for text in cells[header.width :]):
        message = (
            f"it has {len(cells)} cells where the first line has {header.width}; put quotes around a comma"
        )
        return ImportProblem(line=number, field="row", message=message)
    try:
        address = normalise(cell("email"))
    except AddressError as error:
        return ImportProblem(line=number, field="email", message=str(error))
    language = cell("language").strip().lower().replace("_", "-")
    if language and not _LANGUAGE.match(language):
        message = "it is not a language code; write nl, en, de …, or leave it empty"
        return ImportProblem(line=number, field="language", message=message)
    return ImportRow(line=number, address=address, name=clean_name(cell("name")), language=language or None)


def _undecoded(text: str) -> bool:
    """Marks of bytes that the encoding has no letter for."""
    return "\ufffd" in text or any("\udc80" <= c <= "\udcff" for c in text)


def _wrong_encoding(cells: list[str], named: str | None) -> str:
    if named is not None:
        return f"it holds bytes that are not {named}"
    raw = " ".join(cells).encode("utf-8", "surrogateescape")
    guess = raw.decode("cp1252", "replace")
    letters = "".join(dict.fromkeys(c for c in guess if not c.isascii() and c.isalpha()))[:5]
    hint = f" (in windows-1252 they would read {letters})" if letters else ""
    return f"it holds bytes that are not UTF-8{hint}; save the file as UTF-8, or name its encoding"


def _plain(cell: str) -> str:
    """Undo what an export does to keep spreadsheets from running a cell as a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _is_address(text: str) -> bool:
    try:
        normalise(text)
    except AddressError:
        return False
    return True
