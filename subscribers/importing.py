"""Reading a list of subscribers from CSV, a row at a time, in bounded memory.

Good rows come out as `ImportRow`, bad ones as `ImportProblem` with the line they begin on; a bad row never
takes its neighbours along. What a row means for an address (consent, suppression) is decided in
`subscribers.taking_in`; which columns mean what, in `subscribers.import_formats`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Final, cast

from subscribers.addresses import Address, AddressError, clean_name, normalise
from subscribers.cells import plain
from subscribers.import_formats import PLAIN, Format, ListStatus, named, recognised, title

COLUMNS: Final[tuple[str, ...]] = ("email", "name", "language", "status", "consent_at", "consent_source")
"""What a row is read into, and what `--map` may name."""
MAX_LINE: Final = 10_000
"""Characters of a line that are looked at."""
MAX_QUOTED_LINES: Final = 20
"""Lines that one quoted field may run over; after them the quote counts as never closed."""
MAX_SOURCE: Final = 200
"""Characters of what a file says about where consent came from."""

_DELIMITERS: Final = (",", ";", "\t")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}\Z")
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?)? ?(Z|UTC|[+-]\d\d:?\d\d)?\Z", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One person on the list."""

    line: int
    """Line of the file that the row begins on, counted from 1."""
    address: Address
    name: str
    language: str | None
    """BCP 47 tag, lower-cased; None when the file does not say."""
    status: ListStatus | None = None
    """None when the file does not say."""
    left_at: datetime | None = None
    """When they left, or stopped being mailed; None when the file does not say."""
    consent_at: datetime | None = None
    consent_source: str = ""
    """Where they agreed, in the file's own words, or the program and column that the date stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """One row, or the whole file, that could not be used."""

    line: int
    field: str
    """One of `COLUMNS`, `row` or `file`; after a problem with the file nothing follows."""
    message: str
    """What is wrong and how to mend it. Holds no address."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is to be read; what is left out is told by the file itself."""

    encoding: str | None = None
    program: str | None = None
    """Name of an entry of `import_formats`."""
    columns: Mapping[str, Sequence[str]] | None = None
    """One of `COLUMNS` → titles in the file, joined with a space; none of them: pass that over."""
    status: ListStatus | None = None
    """What everyone in the file is, whatever stands in it."""
    file_name: str = ""


class ListFile:
    """A list in a file: what was found out about it, and its rows and problems in order, once.

    The file is UTF-8, or UTF-16, or Windows-1252 if every letter in it that is not ASCII says so, or what
    `encoding` names. Columns are told by the first line, in any order, separated by commas, semicolons or
    tabs; other columns are passed over. A file without such a line is read as `email,name,language` if its
    first cell is an address. The file stays open.
    """

    def __init__(self, file: BinaryIO, reading: Reading | None = None) -> None:
        self._reading = reading or Reading()
        start = _start(file)
        self.encoding = _encoding(start, self._reading.encoding, file)
        self._buffered = io.BufferedReader(cast(io.RawIOBase, file))
        errors = "surrogateescape" if self.encoding == "utf-8-sig" else "replace"
        self._text = io.TextIOWrapper(self._buffered, self.encoding, errors=errors, newline="")
        self._lines = _Lines(self._text)
        self._header = _header(self._lines, self._reading)
        self._named = "windows-1252" if self.guessed else self._reading.encoding

    @property
    def guessed(self) -> bool:
        """True if the encoding was concluded from the letters, so that a person should look."""
        return self._reading.encoding is None and self.encoding == "cp1252"

    @property
    def format(self) -> Format:
        return PLAIN if isinstance(self._header, ImportProblem) else self._header.format

    @property
    def tells_consent(self) -> bool:
        """True if there is a column for when people agreed."""
        return not isinstance(self._header, ImportProblem) and bool(self._header.consent_at)

    def __iter__(self) -> Iterator[ImportRow | ImportProblem]:
        try:
            yield from _rows(self._lines, self._header, replace(self._reading, encoding=self._named))
        finally:
            self._text.detach()
            self._buffered.detach()


def read_subscribers(file: BinaryIO, *, encoding: str | None = None) -> Iterator[ImportRow | ImportProblem]:
    """The rows and problems of a CSV file, in its order, each as soon as it is read (see `ListFile`)."""
    return iter(ListFile(file, Reading(encoding=encoding)))


def _start(file: BinaryIO) -> bytes:
    """The first octets, without passing them; none if the file can only be read onwards."""
    if not file.seekable():
        return b""
    at = file.tell()
    start = file.read(4)
    file.seek(at)
    return start


def _encoding(start: bytes, named: str | None, file: BinaryIO) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if named is not None:
        return "utf-8-sig" if codecs.lookup(named).name in {"utf-8", "utf-8-sig"} else named
    if len(start) == 4 and start[0] and start[2] and not start[1] and not start[3]:
        return "utf-16-le"
    if len(start) == 4 and start[1] and start[3] and not start[0] and not start[2]:
        return "utf-16-be"
    return "cp1252" if file.seekable() and _windows(file) else "utf-8-sig"


def _windows(file: BinaryIO) -> bool:
    """True if no line with letters beyond ASCII is UTF-8, and there is at least one: then the whole file
    was written in something older. A file with both is UTF-8 with damaged rows."""
    at, older = file.tell(), False
    try:
        while line := file.readline(64 * 1024):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                older = True
            else:
                return False
        return older
    finally:
        file.seek(at)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Where everything stands: places of cells."""

    format: Format
    delimiter: str
    width: int
    titles: tuple[str, ...]
    email: int
    names: tuple[int, ...]
    language: int | None
    status: int | None
    otherwise: tuple[tuple[int, ListStatus], ...]
    left_at: tuple[int, ...]
    consent_at: tuple[int, ...]
    consent_source: int | None


def _rows(
    lines: _Lines, header: _Header | ImportProblem, reading: Reading
) -> Iterator[ImportRow | ImportProblem]:
    if isinstance(header, ImportProblem):
        yield header
        return
    for numbered in lines:
        cells = _cells(numbered, lines, header.delimiter)
        if isinstance(cells, ImportProblem):
            yield cells
        elif any(cell.strip() for cell in cells):
            try:
                yield _row(numbered[0], cells, header, reading)
            except _Bad as bad:
                yield ImportProblem(line=numbered[0], field=bad.field, message=bad.message)


def _header(lines: _Lines, reading: Reading) -> _Header | ImportProblem:
    """The columns, from the first line that is not empty or a spreadsheet's `sep=;`."""
    for number, line, too_long in lines:
        if not line.strip("\0 \t\r\n") or line.strip().lower().removeprefix("sep=") in _DELIMITERS:
            continue
        for delimiter in _DELIMITERS:
            cells = _parse(line, delimiter) or [line]
            found = _columns(cells, delimiter, reading)
            if found is not None:
                return found
        for delimiter in _DELIMITERS:
            if not reading.columns and _is_address((_parse(line, delimiter) or [""])[0]):
                lines.put_back([(number, line, too_long)])
                columns = _columns(["email", "name", "language"], delimiter, Reading())
                if columns is not None:
                    return columns
        return ImportProblem(line=number, field="file", message=_no_column(reading))
    return ImportProblem(line=1, field="file", message="it is empty")


def _no_column(reading: Reading) -> str:
    if reading.columns and (wanted := reading.columns.get("email")):
        return f"no column is called {' or '.join(wanted)}; look at the first line of the file"
    if reading.program and reading.program != PLAIN.name:
        return f"this is not the list that {reading.program} exports: it has no column for the address"
    return "no column is called email; let the first line read: email,name,language (or say --map email=…)"


def _columns(cells: Sequence[str], delimiter: str, reading: Reading) -> _Header | None:
    """Where everything stands in a file with these titles; None if no address does."""
    titles = tuple(title(plain(cell)) for cell in cells)
    form = named(reading.program, titles) if reading.program else recognised(titles)
    mapped = {field: [title(one) for one in wanted] for field, wanted in (reading.columns or {}).items()}

    def place(field: str, usual: Sequence[str]) -> int | None:
        return next((titles.index(one) for one in mapped.get(field, usual) if one in titles), None)

    email = place("email", form.email)
    if email is None:
        return None
    wanted = [mapped["name"]] if "name" in mapped else form.names
    names = next((group for group in wanted if any(one in titles for one in group)), ())
    at = mapped.get("consent_at", form.consent_at)
    return _Header(
        format=form,
        delimiter=delimiter,
        width=len(titles),
        titles=tuple(" ".join(cell.split()) for cell in cells),
        email=email,
        names=tuple(titles.index(one) for one in names if one in titles),
        language=place("language", form.language),
        status=place("status", form.status),
        otherwise=tuple((titles.index(one), is_) for one, is_ in form.otherwise.items() if one in titles),
        left_at=tuple(titles.index(one) for one in form.left_at if one in titles),
        consent_at=tuple(titles.index(one) for one in at if one in titles),
        consent_source=place("consent_source", form.consent_source),
    )


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


class _Bad(Exception):
    """A row that cannot be used."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


def _row(number: int, cells: list[str], header: _Header, reading: Reading) -> ImportRow:
    if any(map(_undecoded, cells)):
        raise _Bad("row", _wrong_encoding(cells, reading.encoding))
    if len(cells) > header.width and any(text.strip() for text in cells[header.width :]):
        raise _Bad(
            "row",
            f"it has {len(cells)} cells where the first line has {header.width}; put quotes around a comma",
        )
    cells += [""] * (header.width - len(cells))
    try:
        address = normalise(plain(cells[header.email]))
    except AddressError as error:
        raise _Bad("email", str(error)) from None
    at, source = _consent(cells, header)
    return ImportRow(
        line=number,
        address=address,
        name=clean_name(" ".join(plain(cells[place]) for place in header.names)),
        language=_language(cells, header),
        status=reading.status or _status(cells, header) or header.format.by_file(reading.file_name),
        left_at=_first_date(cells, header.left_at, "status"),
        consent_at=at,
        consent_source=source,
    )


def _language(cells: list[str], header: _Header) -> str | None:
    text = "" if header.language is None else plain(cells[header.language]).strip()
    language = text.lower().replace("_", "-")
    if language and not _LANGUAGE.match(language):
        raise _Bad("language", "it is not a language code; write nl, en, de …, or leave it empty")
    return language or None


def _status(cells: list[str], header: _Header) -> ListStatus | None:
    for place, meaning in header.otherwise:
        if cells[place].strip():
            return meaning
    if header.status is None or not (word := title(plain(cells[header.status]))):
        return None
    known = header.format.statuses.get(word)
    if known is None:
        shown = f" {word!r}" if len(word) <= 30 and "@" not in word else ""
        raise _Bad(
            "status", f"nobody told us what{shown} means here; pass the column over with --map status="
        )
    return known


def _consent(cells: list[str], header: _Header) -> tuple[datetime | None, str]:
    """When they agreed, and the file's word for where."""
    said = ""
    if header.consent_source is not None:
        said = " ".join(plain(cells[header.consent_source]).split())[:MAX_SOURCE]
    for place in header.consent_at:
        if cells[place].strip():
            return _date(
                cells[place], "consent_at"
            ), said or f"{header.format.program}: {header.titles[place]}"
    return None, said


def _first_date(cells: list[str], places: Sequence[int], field: str) -> datetime | None:
    return next((_date(cells[place], field) for place in places if cells[place].strip()), None)


def _date(cell: str, field: str) -> datetime:
    """A date or a moment; without a zone it is UTC. Day and month the other way round would be a guess."""
    parts = _DATE.match(plain(cell).strip())
    try:
        if parts is None:
            raise ValueError
        zone = (parts[3] or "Z").upper().replace("UTC", "Z")
        at = datetime.fromisoformat(f"{parts[1]}T{parts[2] or '00:00'}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Bad(field, "it holds a date we cannot read; write 2024-05-01 or 2024-05-01 13:45") from None
    if at.year < 1990:
        raise _Bad(field, "it holds a date from before there were newsletters")
    return at


def _undecoded(text: str) -> bool:
    """Marks of bytes that the encoding has no letter for."""
    return not text.isascii() and ("\ufffd" in text or any("\udc80" <= c <= "\udcff" for c in text))


def _wrong_encoding(cells: list[str], named: str | None) -> str:
    if named is not None:
        return f"it holds bytes that are not {named}"
    raw = " ".join(cells).encode("utf-8", "surrogateescape")
    guess = raw.decode("cp1252", "replace")
    letters = "".join(dict.fromkeys(c for c in guess if not c.isascii() and c.isalpha()))[:5]
    hint = f" (in windows-1252 they would read {letters})" if letters else ""
    return f"it holds bytes that are not UTF-8{hint}; save the file as UTF-8, or name its encoding"


def _is_address(text: str) -> bool:
    try:
        normalise(text)
    except AddressError:
        return False
    return True
