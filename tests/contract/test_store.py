"""The store keeps its promises on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from pipeline.store import Counts, Store, open_store, sender_lock, tables
from pipeline.store import schema as schemas
from pipeline.store.editions import LedgerMismatch
from pipeline.store.engine import StorageError, is_sqlite, open_engine, readers
from pipeline.store.lock import AnotherRun
from pipeline.store.schema import HEAD, migrate
from subscribers.addresses import normalise
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.ports import AddOutcome
from subscribers.subscriber import SubscriberState
from subscribers.suppression import SuppressionReason
from tests import builders
from tests.builders import NOW


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    yield opened
    opened.close()


def test_the_schema_of_the_migrations_is_the_schema_of_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_head_is_the_newest_migration() -> None:
    folder = ScriptDirectory(str(schemas.__file__).replace("schema.py", "migrations"))
    assert folder.get_current_head() == HEAD


@pytest.mark.fault(40)
def test_two_processes_that_migrate_at_once_end_with_one_schema(storage: str) -> None:
    engines = [open_engine(storage) for _ in range(4)]
    changed: list[bool] = []
    threads = [threading.Thread(target=lambda e=engine: changed.append(migrate(e))) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [False, False, False, True]
    for engine in engines:
        engine.dispose()


@pytest.mark.fault(42)
def test_a_newer_database_is_refused(store: Store, storage: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer than this program"):
        open_store(storage, now=NOW)


@pytest.mark.fault(22)
def test_commits_are_synced(store: Store) -> None:
    with readers(store.engine).connect() as connection:
        if is_sqlite(store.engine):
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


@pytest.mark.fault(26)
def test_concurrent_read_then_write_loses_nothing(store: Store) -> None:
    """Writers begin IMMEDIATE: a read that turns into a write neither fails nor overwrites."""

    def bump() -> None:
        for _ in range(50):
            with store.engine.begin() as connection:
                column = tables.installation.c.ledger_seq
                query = select(column).with_for_update()
                seq = connection.execute(query).scalar_one()
                connection.execute(update(tables.installation).values(ledger_seq=seq + 1))

    threads = [threading.Thread(target=bump) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.engine.connect() as connection:
        assert connection.execute(select(tables.installation.c.ledger_seq)).scalar_one() == 200


def test_the_installation_keeps_its_name(store: Store, storage: str) -> None:
    again = open_store(storage, now=NOW + timedelta(days=1))
    assert again.installation.id == store.installation.id
    assert again.installation.created_at == NOW
    again.close()


def test_a_changed_secret_is_refused(store: Store) -> None:
    store.installations.adopt_secret("one")
    store.installations.adopt_secret("one")
    with pytest.raises(StorageError, match="Put the old secret back"):
        store.installations.adopt_secret("two")


def test_a_second_sender_is_turned_away(store: Store, storage: str) -> None:
    other = open_store(storage, now=NOW)
    with sender_lock(store.engine), pytest.raises(AnotherRun), sender_lock(other.engine):
        pytest.fail("two senders at once")
    with sender_lock(other.engine):
        pass
    other.close()


@pytest.mark.fault(107)
def test_one_slot_has_one_winner(store: Store) -> None:
    won: list[bool] = []

    def take() -> None:
        made = store.editions.create(
            builders.slot(), builders.brief(), builders.mailing(), now=NOW, approved=True
        )
        won.append(made is not None)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_an_edition_reads_back_as_it_was_frozen(store: Store) -> None:
    made = builders.edition(store)
    again = store.editions.find("2026-W48")
    assert again == made == store.editions.find("2026-11-29")
    assert made.mailing == builders.mailing()
    assert store.editions.covered() == {"eerste.md"}


def test_the_audience_is_frozen_once(store: Store) -> None:
    edition = builders.edition(store, people=7)
    assert store.editions.freeze(edition, provider="sandbox", now=NOW) == 7
    builders.subscribe(store, 3, prefix="late")
    assert store.editions.freeze(edition, provider="sandbox", now=NOW) == 7
    counts = store.check_sum(edition.id)
    assert (counts.frozen, counts.pending) == (7, 7)


def test_the_suppressed_the_pending_and_the_departed_are_not_in_the_audience(store: Store) -> None:
    edition = builders.edition(store, people=5)
    gone = store.subscribers.by_key("reader1@example.org")
    assert gone is not None
    store.subscribers.unsubscribe(gone.id, at=NOW, how="page")
    store.subscribers.suppress("reader2@example.org", SuppressionReason.HARD_BOUNCE, source="test", at=NOW)
    asked = ConsentRecord(
        kind=ConsentKind.REQUESTED, wording="Ja", source="page", page="", language="nl", occurred_at=NOW
    )
    store.subscribers.request(normalise("new@example.org"), name="", language="nl", consent=asked)
    assert store.subscribers.audience_size() == 3
    assert store.editions.freeze(edition, provider="sandbox", now=NOW) == 3


def test_delivery_ids_are_long_and_differ(store: Store) -> None:
    edition = builders.edition(store, people=50)
    store.editions.freeze(edition, provider="sandbox", now=NOW)
    with store.engine.connect() as connection:
        ids = list(connection.execute(select(tables.delivery.c.delivery_id)).scalars())
    assert len(set(ids)) == 50
    assert all(len(found) == 40 and int(found, 16) for found in ids)
    assert len({found[:32] for found in ids}) == 50
    assert all(found == found.lower() for found in ids), "events name them as they were sent"


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_delivery_id_ends_in_the_place_of_its_person(store: Store, shuffled: bool) -> None:
    edition = builders.edition(store, people=50)
    store.editions.freeze(edition, provider="sandbox", now=NOW, shuffled=shuffled)
    person = tables.delivery.c
    with store.engine.connect() as connection:
        rows = connection.execute(
            select(person.delivery_id, person.ordinal, person.subscriber_id).order_by(person.ordinal)
        ).all()
    assert all(int(row.delivery_id[32:], 16) == row.ordinal for row in rows)
    assert ([row.subscriber_id for row in rows] == sorted(row.subscriber_id for row in rows)) != shuffled
    assert len({row.ordinal for row in rows}) == 50


def test_an_edition_counts_the_same_whatever_became_of_its_people(store: Store) -> None:
    edition = builders.edition(store, people=9)
    store.editions.freeze(edition, provider="sandbox", now=NOW)
    states = ["pending", "claimed", "submitted", "accepted", "refused", "skipped", "unconfirmed", "accepted"]

    def put(state: str, at: int) -> None:
        with store.engine.begin() as connection:
            connection.execute(
                update(tables.delivery).where(tables.delivery.c.ordinal == at).values(state=state)
            )

    assert store.counts(edition.id) == Counts(frozen=9, pending=9)
    for place, state in enumerate(states, start=1):
        put(state, place)
    found = Counts(frozen=9, pending=3, submitted=1, accepted=2, refused=1, skipped=1, unconfirmed=1)
    assert store.counts(edition.id) == found
    for place in range(1, 10):
        put("accepted", place)
    assert store.check_sum(edition.id) == Counts(frozen=9, accepted=9)
    with store.engine.begin() as connection:
        connection.execute(delete(tables.delivery).where(tables.delivery.c.ordinal == 9))
    with pytest.raises(LedgerMismatch):
        store.check_sum(edition.id)


@pytest.mark.parametrize("double", [{"subscriber_id": 1}, {"address_key": "reader1@example.org"}])
def test_the_database_forbids_a_second_row_for_a_person(store: Store, double: dict[str, object]) -> None:
    edition = builders.edition(store, people=2)
    store.editions.freeze(edition, provider="sandbox", now=NOW)
    row = {
        "edition_id": edition.id,
        "ordinal": 99,
        "subscriber_id": 99,
        "delivery_id": "x",
        "address": "other@example.org",
        "address_key": "other@example.org",
        "state": "pending",
    }
    with pytest.raises(IntegrityError), store.engine.begin() as connection:
        connection.execute(insert(tables.delivery).values({**row, **double}))


def test_an_import_never_brings_back_who_left(store: Store) -> None:
    builders.subscribe(store, 2)
    person = store.subscribers.by_key("reader1@example.org")
    assert person is not None
    assert store.subscribers.unsubscribe(person.id, at=NOW, how="one-click")
    outcome = store.subscribers.add_confirmed(
        normalise("reader1@example.org"), name="", language="nl", consent=builders.imported()
    )
    assert outcome is AddOutcome.SUPPRESSED
    again = store.subscribers.by_key("reader1@example.org")
    assert again is not None
    assert again.state is SubscriberState.UNSUBSCRIBED


def test_a_fresh_confirmation_ends_the_suppression_that_leaving_made(store: Store) -> None:
    builders.subscribe(store, 1)
    person = store.subscribers.by_key("reader1@example.org")
    assert person is not None
    store.subscribers.unsubscribe(person.id, at=NOW, how="page")
    asked = ConsentRecord(
        kind=ConsentKind.REQUESTED, wording="Ja", source="page", page="", language="nl", occurred_at=NOW
    )
    store.subscribers.request(normalise("reader1@example.org"), name="", language="nl", consent=asked)
    assert store.subscribers.confirm(person.id, at=NOW, how="page")
    assert store.subscribers.suppression("reader1@example.org") is None
    kinds = [record.kind for record in store.subscribers.consents(person.id)]
    assert kinds == ["imported", "unsubscribed", "requested", "confirmed"]


def test_everyone_is_listed_page_by_page(store: Store) -> None:
    builders.subscribe(store, 1_050)
    assert len(list(store.subscribers.listed())) == 1_050
    assert store.subscribers.by_state()[SubscriberState.ACTIVE] == 1_050


@pytest.mark.parametrize("odd", [0, -5, 1 << 32, (1 << 32) + 77])
def test_numbers_that_no_delivery_id_holds_keep_nobody_from_being_found(store: Store, odd: int) -> None:
    """Ours never come near; another program may have put such a subscriber there."""
    edition = builders.edition(store, people=5)
    with store.engine.begin() as connection:
        connection.execute(delete(tables.consent).where(tables.consent.c.subscriber_id == 3))
        connection.execute(update(tables.subscriber).where(tables.subscriber.c.id == 3).values(id=odd))
    assert store.editions.freeze(edition, provider="sandbox", now=NOW) == 5
    person = tables.delivery.c
    with store.engine.connect() as connection:
        rows = connection.execute(select(person.delivery_id, person.ordinal, person.subscriber_id)).all()
    assert {row.ordinal for row in rows} == {1, 2, 3, 4, 5}
    assert all(len(row.delivery_id) == 40 and int(row.delivery_id[32:], 16) == row.ordinal for row in rows)
    assert odd in {row.subscriber_id for row in rows}
