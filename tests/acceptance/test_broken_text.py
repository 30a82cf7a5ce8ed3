"""Text that is not UTF-8 in an SQLite file: called by its row, and not by an address."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.store import Counts, tables
from pipeline.store.incoming import Raw
from subscribers.suppression import SuppressionReason
from tests.acceptance.faulty import DAY, NOW, Faulty, faulty
from tests.builders import NOW as THEN
from tests.webhooks import About, providers

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


def test_a_report_about_an_odd_row_of_an_old_edition_keeps_no_letter(letter: Faulty) -> None:
    letter.ask("run", "--now", NOW)
    letter.add_post("two", "2026-09-13", "Een ander stuk")
    do(letter, f"UPDATE delivery SET address_key = {BROKEN} WHERE ordinal = 2")
    keep(letter, "complaint", 2)
    keep(letter, "complaint", 3)
    done = letter.weekbrief("run", "--now", "2026-12-06T08:05")
    assert done.returncode == 0, done.stderr
    assert "example.org" not in done.stderr
    copies = letter.copies()
    assert copies["reader1@example.org"] == 2
    assert copies["reader3@example.org"] == 1, "the report behind the odd one is read"
    for _ in range(3):
        letter.weekbrief("run", "--now", "2026-12-06T08:05")
    with letter.store() as store:
        assert store.incoming.waiting(limit=9, after=0, last=99) == [], "set aside after three tries"
        assert store.incoming.unread() == (0, 1)


def test_the_service_logs_no_such_address(letter: Faulty) -> None:
    day = datetime.now(UTC).strftime("%A").lower()
    written = letter.file.read_text("utf-8").replace("on: sunday", f"on: {day}")
    letter.file.write_text(
        written.replace('at: "08:00"', 'at: "00:00"').replace("Europe/Amsterdam", "UTC"), "utf-8"
    )
    do(letter, f"UPDATE subscriber SET address = {BROKEN}, address_key = {BROKEN} WHERE id = 2")
    process = letter.start("serve", "--port", "0")
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if "not UTF-8" in line:
            break
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=60)[1]
    assert "not UTF-8" in said
    assert "@" not in said


def keep(letter: Faulty, kind: str, place: int) -> None:
    """A report about somebody of the edition, as a service stored it."""
    with letter.store() as store:
        with store.engine.connect() as connection:
            delivery = connection.execute(
                select(tables.delivery.c.delivery_id).where(tables.delivery.c.ordinal == place)
            ).scalar_one()
        about = About(
            installation=store.installation.id,
            edition=DAY,
            delivery=delivery,
            id=f"{kind}-{place}",
            address="somebody@example.net",
            at=THEN,
        )
        call = providers()["resend"].call(kind, about, now=THEN)
        raw = Raw(provider="resend", received_at=THEN, body=call.body, headers=dict(call.headers))
        store.incoming.keep([raw])
