"""Reading lists of subscribers as they come out of spreadsheets and other programs."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.importing import ImportProblem, ImportRow, read_subscribers

pytestmark = pytest.mark.fault(91)


def read(data: bytes | str, encoding: str | None = None) -> tuple[list[ImportRow], list[str]]:
    """The rows, and the problems as printed."""
    raw = data.encode() if isinstance(data, str) else data
    found = list(read_subscribers(io.BytesIO(raw), encoding=encoding))
    rows = [one for one in found if isinstance(one, ImportRow)]
    return rows, [str(one) for one in found if isinstance(one, ImportProblem)]


def plain(rows: list[ImportRow]) -> list[tuple[int, str, str, str | None]]:
    return [(row.line, row.address.address, row.name, row.language) for row in rows]


def test_a_plain_file_is_read_with_the_line_of_each_row() -> None:
    rows, problems = read("email,name,language\nlena@x.example,Lena,nl\n\nbo@x.example,,\n")
    assert plain(rows) == [(2, "lena@x.example", "Lena", "nl"), (4, "bo@x.example", "", None)]
    assert problems == []


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffemail;naam;taal\r\nlena@x.example;Zoë;NL\r\n".encode(),
        "naam\ttaal\te-mail\nZoë\tnl\tlena@x.example".encode(),
        "email,name,language\rlena@x.example,Zoë,nl\r".encode(),
        "sep=;\r\nEmail;Name;Language\r\nlena@x.example;Zoë;nl".encode(),
        "email\tname\tlanguage\r\nlena@x.example\tZoë\tnl\r\n".encode("utf-16"),
        "\ufeffemail,name,language\nlena@x.example,Zoë,nl\n".encode("utf-16-be"),
        b'"email","name","language"\nlena@x.example,"Zo\xc3\xab","nl"',
        '"E-mail address",status,"First name",lang\n"lena@x.example",active,Zoë,nl\n'.encode(),
        "lena@x.example,Zoë,nl\n".encode(),
        "lena@x.example;Zoë;nl\n".encode(),
    ],
)
def test_marks_separators_quotes_and_column_order_make_no_difference(data: bytes) -> None:
    rows, problems = read(data)
    assert problems == []
    assert [(row.address.key, row.name, row.language) for row in rows] == [("lena@x.example", "Zoë", "nl")]


def test_bad_rows_are_named_by_line_and_the_good_ones_around_them_are_kept() -> None:
    rows, problems = read(
        "email,name,language\n"
        "a@x.example,A,nl\n"
        "not an address,B,nl\n"
        "b@x.example,B,Dutch please\n"
        "c@x.example,C,nl,one,too many\n"
        'd@x.example,"D" d,nl\n'
        "e@x.example,E,nl_BE\n"
    )
    assert plain(rows) == [(2, "a@x.example", "A", "nl"), (7, "e@x.example", "E", "nl-be")]
    assert problems == [
        "line 3: email: it contains a space",
        "line 4: language: it is not a language code; write nl, en, de …, or leave it empty",
        "line 5: row: it has 5 cells where the first line has 3; put quotes around a comma",
        'line 6: row: a quote is not closed or stands in the wrong place; write "" for a quote inside quotes',
    ]


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    body = "".join(f"p{n}@x.example,P,nl\n" for n in range(100))
    rows, problems = read('email,name,language\nbad@x.example,"Jan,nl\n' + body)
    assert len(rows) == 100
    assert rows[0].line == 3
    assert len(problems) == 1
    assert problems[0].startswith("line 2: row: a quote is not closed")


def test_a_quoted_name_may_run_over_lines_and_the_count_of_lines_stays_right() -> None:
    rows, problems = read('email,name\na@x.example,"Anna\nde ""Rust"" Vries"\nb@x.example,B\n')
    assert problems == []
    assert plain(rows) == [(2, "a@x.example", 'Anna de "Rust" Vries', None), (4, "b@x.example", "B", None)]


def test_damaged_rows_are_told_by_line_with_what_they_would_read_and_the_encoding_can_be_named() -> None:
    damaged = "b@x.example,Zoë\n".encode("cp1252")
    data = "email,name\na@x.example,Renée\n".encode() + damaged + b"c@x.example,Cor\n"
    rows, problems = read(data)
    assert [row.address.address for row in rows] == ["a@x.example", "c@x.example"]
    assert problems == [
        "line 3: row: it holds bytes that are not UTF-8 (in windows-1252 they would read ë); "
        "save the file as UTF-8, or name its encoding"
    ]
    rows, problems = read(b"email,name\n" + damaged, encoding="cp1252")
    assert problems == []
    assert [row.name for row in rows] == ["Zoë"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1: file: it is empty"),
        (b"\n \n", "line 1: file: it is empty"),
        (b"name,language\nLena,nl\n", "line 1: file: no column is called email"),
        (b"\n\nfirst,second\n", "line 3: file: no column is called email"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 1: file: no column is called email"),
    ],
)
def test_a_file_that_is_no_list_is_refused_whole(data: bytes, said: str) -> None:
    rows, problems = read(data)
    assert rows == []
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_a_line_without_end_is_passed_over_and_counted() -> None:
    rows, problems = read("email,name\n" + "x" * 50_000 + "\nb@x.example,B\n")
    assert plain(rows) == [(3, "b@x.example", "B", None)]
    assert problems == ["line 2: row: the line is longer than 10000 characters"]


@pytest.mark.fault(144)
@pytest.mark.parametrize("name", ["=1+1", "+31", "-x", "@home", "=HYPERLINK()"])
def test_what_an_export_neutralised_is_put_back(name: str) -> None:
    rows, _ = read(f"email,name\na@x.example,'{name}\n")
    assert rows[0].name == name


def test_an_apostrophe_that_belongs_to_a_name_stays() -> None:
    rows, _ = read("email,name\na@x.example,'t Hooft\n")
    assert rows[0].name == "'t Hooft"


@pytest.mark.fault(146)
def test_problems_hold_no_address() -> None:
    _, problems = read('email,name\ngeheim@,x\ngeheim@x.example,a,b,c\n"geheim@x.example,a\n')
    assert len(problems) == 3
    assert "geheim" not in "".join(problems)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_stumble(noise: bytes) -> None:
    good = b"email,name,language\nfirst@x.example,F,nl\n"
    found = list(read_subscribers(io.BytesIO(good + noise)))
    assert isinstance(found[0], ImportRow)
    assert all(one.line >= 2 for one in found)
    assert [one.line for one in found] == sorted(one.line for one in found)
    assert all(isinstance(one, ImportRow | ImportProblem) for one in read_subscribers(io.BytesIO(noise)))


class _Endless(io.RawIOBase):
    """A file of many rows that exists nowhere in full."""

    def __init__(self, rows: int) -> None:
        self._chunks: Iterator[bytes] = self._make(rows)
        self._rest = b""

    def _make(self, rows: int) -> Iterator[bytes]:
        yield b"email,name,language\n"
        for n in range(rows):
            yield b"person%d@voorbeeld.example,Person,nl\n" % n

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]  # typeshed: Buffer
        while len(self._rest) < len(into) and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        part, self._rest = self._rest[: len(into)], self._rest[len(into) :]
        into[: len(part)] = part
        return len(part)


def test_a_long_file_is_read_in_little_memory() -> None:
    tracemalloc.start()
    endless = cast(BinaryIO, _Endless(20_000))
    count = 0
    for one in read_subscribers(endless):
        assert isinstance(one, ImportRow)
        count += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 1_000_000, f"{peak} octets at the peak"


def test_the_file_stays_open_for_whoever_opened_it() -> None:
    file = io.BytesIO(b"email\na@x.example\n")
    assert len(list(read_subscribers(file))) == 1
    assert not file.closed
