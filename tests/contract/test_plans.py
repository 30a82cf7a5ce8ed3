"""How the database finds one person's rows among all editions: by an index, never by reading the whole table
of deliveries, which holds everybody for every week."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from emails.events import Event, EventKind
from pipeline.store import Store, open_store, tables
from pipeline.store.engine import is_sqlite
from pipeline.store.events import Report
from tests import builders
from tests.builders import NOW

EDITIONS, PEOPLE = 12, 250
HASH = "a" * 40


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    builders.subscribe(opened, PEOPLE)
    for week in range(EDITIONS):
        slot = builders.slot(date(2026, 1, 4) + timedelta(weeks=week))
        mailing = builders.mailing(edition=slot.day.isoformat())
        made = opened.editions.create(slot, builders.brief(), mailing, now=NOW, approved=True)
        assert made is not None
        opened.editions.freeze(made, provider="resend", now=NOW)
    with opened.engine.begin() as connection:
        connection.execute(update(tables.delivery).values(state="accepted"))
        about = {"edition_id": 1, "first": 3, "last": 4, "size": 2, "provider": "resend", "key": "k"}
        connection.execute(insert(tables.batch).values(**about, state="uncertain", last_submit_at=NOW))
        doubted = tables.delivery.c
        connection.execute(
            update(tables.delivery)
            .where(doubted.edition_id == 1, doubted.ordinal.in_((3, 4)))
            .values(state="submitted", batch_id=1)
        )
        if not is_sqlite(opened.engine):
            connection.execute(text("ANALYZE"))
    yield opened
    opened.close()


def tell(store: Store) -> None:
    """That the mailbox of reader 17 refuses for now: then their earlier weeks are looked at."""
    row = tables.delivery.c
    with store.engine.connect() as connection:
        query = tables.delivery.select().where(row.edition_id == EDITIONS, row.subscriber_id == 17)
        found = connection.execute(query).one()
    bounce = Event(
        provider="resend",
        key="e1",
        kind=EventKind.SOFT_BOUNCE,
        delivery_id=found.delivery_id,
        occurred_at=NOW,
    )
    assert store.events.take([Report(event=bounce, received_at=NOW, signed=True)]).new == 1


ACTS: dict[str, Callable[[Store], object]] = {
    "what is held of somebody": lambda store: store.preferences.holdings(17),
    "erasing": lambda store: store.subscribers.erase(17, shadow=HASH, at=NOW),
    "leaving": lambda store: store.subscribers.unsubscribe(17, at=NOW, how="page"),
    "proof for one person": lambda store: list(store.doubts.audit(1, address_key="reader17@example.org")),
    "everyone in doubt": lambda store: store.doubts.listed(),
    "giving a doubt up": lambda store: store.doubts.write_off([1], who="Marijke", reason="old", now=NOW),
    "a mailbox that refuses": tell,
}


@pytest.mark.parametrize("what", ACTS)
def test_one_persons_rows_are_found_without_reading_everybodys(store: Store, what: str) -> None:
    with recorded(store) as ran:
        assert ACTS[what](store) is not False
    assert what == "leaving" or ran, "there is a plan to look at"
    for statement, values in ran:
        plan = plan_of(store, statement, values)
        assert "SCAN delivery" not in plan, f"{statement}\n{plan}"
        assert "Seq Scan on delivery" not in plan, f"{statement}\n{plan}"


def test_everyone_in_doubt_is_still_listed_in_order(store: Store) -> None:
    assert [(doubt.batch, doubt.address, doubt.state) for doubt in store.doubts.listed()] == [
        (1, "reader3@example.org", "uncertain"),
        (1, "reader4@example.org", "uncertain"),
    ]


@contextmanager
def recorded(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of, or done to, the deliveries in the block."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if "delivery" in statement.split("WHERE")[0] and not many:
            ran.append((statement, values))

    event.listen(store.engine, "before_cursor_execute", note)
    yield ran
    event.remove(store.engine, "before_cursor_execute", note)


def plan_of(store: Store, statement: str, values: Any) -> str:
    """PostgreSQL is told to avoid reading whole tables: so small ones show, too, whether it can."""
    with store.engine.connect() as connection:
        word = "EXPLAIN QUERY PLAN" if is_sqlite(connection) else "EXPLAIN"
        if not is_sqlite(connection):
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.exec_driver_sql(f"{word} {statement}", values).all()
        connection.rollback()
    return "\n".join(str(row[-1]) for row in rows)
