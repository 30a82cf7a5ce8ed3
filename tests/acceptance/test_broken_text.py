"""Text that is not UTF-8 in an SQLite file: called by its row, and not by an address."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store import Counts
from subscribers.suppression import SuppressionReason
from tests.acceptance.faulty import NOW, Faulty, faulty
from tests.builders import NOW as THEN

BROKEN = "CAST(x'616e6eff406578616d706c652e6f7267' AS TEXT)"
"""`ann`, the byte FF, `@example.org`."""


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", f"sqlite:///{tmp_path}/weekbrief.db", concurrency=1) as made:
        made.subscribe(4)
        with made.store() as store:
            store.subscribers.suppress("gone@example.org", SuppressionReason.MANUAL, source="x", at=THEN)
        yield made


def do(letter: Faulty, statement: str) -> None:
    with closing(sqlite3.connect(letter.storage.removeprefix("sqlite:///"))) as database, database:
        database.execute(statement)


def told(letter: Faulty, *words: str) -> str:
    done = letter.weekbrief(*words)
    assert done.returncode == 3, done.stderr
    assert "not UTF-8" in done.stderr
    assert "example.org" not in done.stderr, "no address is told"
    return done.stderr


def test_a_subscriber_whose_address_is_no_text_is_named_by_row(letter: Faulty) -> None:
    do(letter, f"UPDATE subscriber SET address = {BROKEN}, address_key = {BROKEN} WHERE id = 2")
    for words in (
        ("subscribers", "list"),
        ("subscribers", "export", "--output", str(letter.path / "all.csv")),
    ):
        assert "subscriber where rowid = 2 (address, address_key)" in told(letter, *words)
    said = told(letter, "run", "--now", NOW)
    assert "delivery where edition_id = 1 and ordinal = 2 (address, address_key)" in said
    assert letter.copies() == {}
    do(
        letter,
        "UPDATE subscriber SET address = NULL, address_key = NULL, state = 'unsubscribed' WHERE id = 2",
    )
    do(letter, "UPDATE delivery SET address = NULL, address_key = NULL WHERE ordinal = 2")
    assert letter.weekbrief("run", "--now", NOW).returncode == 0
    assert letter.counts() == Counts(frozen=4, accepted=3, skipped=1)
    assert letter.weekbrief("subscribers", "list").returncode == 0


def test_a_suppression_that_is_no_text_is_named_by_row(letter: Faulty) -> None:
    do(letter, f"UPDATE suppression SET address_key = {BROKEN}")
    for words in (
        ("suppressions", "list"),
        ("subscribers", "export", "--output", str(letter.path / "all.csv")),
    ):
        assert "suppression where rowid = 1 (address_key)" in told(letter, *words)
    assert letter.weekbrief("run", "--now", NOW).returncode == 0
    assert letter.counts() == Counts(frozen=4, accepted=4)


def test_of_many_such_rows_the_first_are_named(letter: Faulty) -> None:
    letter.subscribe(8, prefix="more")
    do(letter, "UPDATE subscriber SET name = CAST(x'fe' AS TEXT)")
    said = told(letter, "subscribers", "list")
    assert "subscriber where rowid = 5 (name); and others" in said
