"""Text that is not UTF-8 in an SQLite file: another program wrote it there. SQLite takes it, and nobody can
read it; what it says of it names an address and no row. PostgreSQL refuses such text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    String,
    Table,
    cast,
    literal_column,
    select,
)
from sqlalchemy.engine import ExceptionContext

from pipeline.store import tables
from pipeline.store.engine import StorageTrouble, is_sqlite, readers

MOST = 5
"""Rows that are named."""
LOOKED_AT = (tables.subscriber, tables.suppression, tables.delivery, tables.address_change, tables.consent)
"""What other programs write lists of people into."""


class BrokenText(StorageTrouble):
    """Where such text stands; never what it says."""


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Raises `BrokenText`, which names the rows, where the block cannot read a text."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not is_sqlite(engine) or not _is_it(error):
            raise
        raise _trouble(engine) from None


def in_plain_words(context: ExceptionContext) -> BaseException | None:
    """The same for whatever goes by SQLAlchemy: for its event `handle_error`."""
    found = context.engine is not None and _is_it(context.original_exception)
    return _trouble(context.engine) if found and context.engine is not None else None


def _is_it(error: BaseException) -> bool:
    # Python's own words (Modules/_sqlite/cursor.c); there is no code for it.
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode to UTF-8")


def _trouble(engine: Engine) -> BrokenText:
    rows = _rows(engine)
    where = "; ".join(rows[:MOST]) or "a table that holds no people"
    more = "; and others" if len(rows) > MOST else ""
    return BrokenText(
        f"text that is not UTF-8 stands in {where}{more}: another program wrote it there. Write it anew with "
        "the program sqlite3, then run again; where the address of a delivery is made NULL, they are skipped",
        passing=False,
    )


def _rows(engine: Engine) -> list[str]:
    """`subscriber where rowid = 2 (address, name)`, one more than are named."""
    with readers(engine).connect() as connection:
        every = (row for table in LOOKED_AT for row in _rows_of(connection, table))
        return list(islice(every, MOST + 1))


def _rows_of(connection: Connection, table: Table) -> Iterator[str]:
    # A key may be such a text itself, so a row is called by its number, where it has one.
    numbered = table.dialect_options["sqlite"]["with_rowid"]
    key: list[ColumnElement[Any]] = [literal_column("rowid")] if numbered else list(table.primary_key)
    texts = [column for column in table.columns if isinstance(column.type, String)]
    query = select(*key, *(cast(text, LargeBinary) for text in texts)).select_from(table)
    for row in connection.execute(query):
        values = zip(texts, row[len(key) :], strict=True)
        broken = [text.name for text, value in values if not _is_sound(value)]
        if broken:
            numbers = [f"{column.name} = {value}" for column, value in zip(key, row, strict=False)]
            yield f"{table.name} where {' and '.join(numbers)} ({', '.join(broken)})"


def _is_sound(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
