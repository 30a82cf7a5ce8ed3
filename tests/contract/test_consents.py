"""The chain of consents in the store, on both databases: every write is in it, whoever writes at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, update

from pipeline.store import Store, open_store, tables
from subscribers.addresses import normalise
from subscribers.consent import FORM, ConsentKind, ConsentRecord, Verdict, verify
from tests import builders
from tests.builders import NOW

consent = tables.consent


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    yield opened
    opened.close()


def requested(network: str = "203.0.113.0/24") -> ConsentRecord:
    return ConsentRecord(
        kind=ConsentKind.REQUESTED,
        wording="Ja, stuur mij de brief — één ‘vraag’ per week 💡",
        source="page",
        page="https://brief.voorbeeld.example/join",
        language="nl",
        occurred_at=NOW + timedelta(microseconds=123_456),
        form=FORM,
        network=network,
    )


def ask(store: Store, address: str, network: str = "203.0.113.0/24") -> int:
    found = store.subscribers.request(normalise(address), name="", language="nl", consent=requested(network))
    assert found is not None
    return found.id


def walk(store: Store) -> Verdict:
    return verify(store.consents.chain())


def a_life(store: Store, address: str) -> int:
    """Ask, confirm, leave, come back, be added: every kind of write."""
    person = ask(store, address)
    people = store.subscribers
    assert people.confirm(person, at=NOW, how="page", wording="Ja", page="https://b.example/c/", network="")
    assert people.unsubscribe(person, at=NOW, how="one-click")
    assert people.resubscribe(person, at=NOW, how="page")
    people.add_confirmed(normalise(f"x{address}"), name="", language="nl", consent=builders.imported())
    return person


@pytest.mark.standard("G-02")
def test_every_write_is_in_the_chain_and_reads_back_as_it_was_written(store: Store) -> None:
    builders.subscribe(store, 2_500)
    person = a_life(store, "lena@voorbeeld.example")
    verdict = walk(store)
    assert (verdict.records, verdict.older, verdict.broken) == (2_505, 0, None)
    first, second, *_ = store.consents.of(person)
    assert first.record == requested()
    assert (second.record.kind, second.record.wording, second.record.form) == ("confirmed", "Ja", FORM)
    assert [found.record for found in store.consents.of(person)] == store.subscribers.consents(person)


def test_a_person_who_is_there_already_adds_nothing(store: Store) -> None:
    builders.subscribe(store, 10)
    builders.subscribe(store, 12)
    assert walk(store).records == 12


@pytest.mark.parametrize("column", ["wording", "source", "page", "language", "kind", "form", "network"])
def test_a_row_edited_in_the_database_is_found(store: Store, column: str) -> None:
    for number in range(4):
        ask(store, f"r{number}@voorbeeld.example")
    with store.engine.begin() as connection:
        connection.execute(update(consent).where(consent.c.id == 2).values({column: "imported"}))
    verdict = walk(store)
    assert (verdict.broken, verdict.records) == (2, 1)


def test_a_row_taken_out_or_written_past_the_program_is_found(store: Store) -> None:
    for number in range(4):
        ask(store, f"r{number}@voorbeeld.example")
    with store.engine.begin() as connection:
        row = {"subscriber_id": 1, "kind": "confirmed", "occurred_at": NOW}
        connection.execute(insert(consent).values(row))
    assert walk(store).broken == 5
    with store.engine.begin() as connection:
        connection.execute(delete(consent).where(consent.c.id == 2))
    assert walk(store).broken == 3


def test_rows_from_before_the_chain_come_first_and_new_ones_follow(store: Store) -> None:
    person = ask(store, "lena@voorbeeld.example")
    with store.engine.begin() as connection:
        bare = {"previous": "", "sha256": "", "network_sha256": "", "network": None}
        connection.execute(update(consent).values(bare))
    store.subscribers.confirm(person, at=NOW, how="page")
    verdict = walk(store)
    assert (verdict.older, verdict.records, verdict.broken) == (1, 1, None)


def test_twenty_writers_at_once_make_one_chain_and_none_waits_for_ever(store: Store) -> None:
    """Single moves and imports of overlapping lists at the same time: no fork, no gap, no deadlock."""

    def work(number: int) -> int:
        if number % 4:
            return a_life(store, f"reader{number}@voorbeeld.example")
        builders.subscribe(store, 300, prefix=f"import{number % 8}-")
        return 0

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(20)))
    verdict = walk(store)
    assert verdict.broken is None, verdict
    with store.engine.connect() as connection:
        heads = connection.execute(
            select(func.count()).select_from(consent).group_by(consent.c.previous)
        ).scalars()
        assert set(heads) == {1}, "no two records follow the same one"
    assert verdict.records == 15 * 5 + 2 * 300


def test_erasing_takes_the_network_and_leaves_the_chain(store: Store) -> None:
    person, other = (
        ask(store, "lena@voorbeeld.example"),
        ask(store, "bo@voorbeeld.example", "198.51.100.0/24"),
    )
    assert store.subscribers.erase(person, shadow="0" * 32, at=NOW)
    assert [found.record.network for found in store.consents.of(person)] == [""]
    assert [found.record.network for found in store.consents.of(other)] == ["198.51.100.0/24"]
    with store.engine.connect() as connection:
        salts = connection.execute(select(consent.c.network_salt).order_by(consent.c.id)).scalars().all()
    assert salts[0] is None
    assert len(salts[1] or "") == 32
    assert walk(store).broken is None


@pytest.mark.standard("G-02")
def test_networks_are_forgotten_after_their_time(store: Store) -> None:
    person = ask(store, "lena@voorbeeld.example")
    assert store.consents.forget_networks(before=NOW) == 0
    assert store.consents.forget_networks(before=NOW + timedelta(days=1)) == 1
    assert store.consents.of(person)[0].record.network == ""
    assert walk(store).broken is None
