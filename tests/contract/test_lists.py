"""Whole lists, into and out of SQLite and PostgreSQL."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from pipeline.exporting import as_csv, as_json_lines
from pipeline.importing import Decision, foresee_rows
from pipeline.store import Store, open_store
from pipeline.store.bulk import CHUNK, Bulk
from pipeline.store.suppressions import Suppression
from subscribers.addresses import normalise
from subscribers.consent import ConsentKind, ConsentRecord, verify
from subscribers.importing import ImportProblem, ListFile
from subscribers.subscriber import SubscriberState
from subscribers.suppression import SuppressionReason
from subscribers.taking_in import Claim, Fate, Wanted, understood
from subscribers.tokens import Signer
from tests.builders import NOW

GIVEN = datetime(2024, 5, 1, tzinfo=UTC)
CLAIM = Claim(confirmed=True, source="old list", at=GIVEN, language="nl")


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    opened.shadows.know(Signer(b"k" * 32, scope="one").shadows)
    yield opened
    opened.close()


def wanted(listed: str, claim: Claim = CLAIM) -> list[Wanted]:
    found = []
    for row in ListFile(io.BytesIO(listed.encode())):
        assert not isinstance(row, ImportProblem), row
        one = understood(row, claim, now=NOW)
        assert isinstance(one, Wanted)
        found.append(one)
    return found


def take(
    store: Store, listed: str, claim: Claim = CLAIM, *, size: int = CHUNK, whole: bool = False
) -> list[Fate]:
    rows = wanted(listed, claim)
    chunks: Iterator[Sequence[Wanted]] = iter([rows[at : at + size] for at in range(0, len(rows), size)])
    bulk = Bulk(store.engine, store.shadows)
    return [fate for fates in bulk.take_in(chunks, now=NOW, whole=whole) for fate in fates]


def state(store: Store) -> list[tuple[object, ...]]:
    """Everything that can be seen from outside, without numbers and moments of insertion."""
    people = [
        (
            person.address,
            person.name,
            person.state,
            person.confirmed_at,
            [(one.kind, one.source, one.occurred_at) for one in store.subscribers.consents(person.id)],
        )
        for person in store.subscribers.listed()
    ]
    kept = [(one.address_key, one.reason, one.since) for one in store.suppressions.listed()]
    return [*sorted(people, key=lambda each: each[0]), *kept]


MIXED = (
    "email,name,status\n"
    "anna@x.example,Anna,active\n"
    "bo@x.example,Bo,unsubscribed\n"
    "ANNA@x.example,Anna again,active\n"
    "cor@x.example,Cor,bounced\n"
    "dee@x.example,Dee,complained\n"
    "eva@x.example,Eva,pending\n"
    "fay@x.example,Fay,active\n"
    "fay@x.example,Fay,unsubscribed\n"
    "bo@x.example,Bo,active\n"
)


@pytest.mark.fault(91)
@pytest.mark.fault(86)
def test_a_mixed_list_brings_in_only_those_who_may_be_mailed(store: Store) -> None:
    assert take(store, MIXED) == [
        *(Fate.ADDED, Fate.KEPT_OUT, Fate.ALREADY_ACTIVE, Fate.KEPT_OUT, Fate.KEPT_OUT),
        *(Fate.UNCONFIRMED, Fate.ADDED, Fate.KEPT_OUT, Fate.SUPPRESSED),
    ]
    active = [one.address for one in store.subscribers.listed(state=SubscriberState.ACTIVE)]
    assert active == ["anna@x.example"]
    assert store.subscribers.audience_size() == 1
    assert {one.address_key: one.reason for one in store.suppressions.listed()} == {
        "bo@x.example": SuppressionReason.UNSUBSCRIBED,
        "cor@x.example": SuppressionReason.HARD_BOUNCE,
        "dee@x.example": SuppressionReason.COMPLAINT,
        "fay@x.example": SuppressionReason.UNSUBSCRIBED,
    }
    [given] = store.subscribers.consents(1)
    assert (given.kind, given.source, given.occurred_at) == (ConsentKind.IMPORTED, "old list", GIVEN)
    verdict = verify(store.consents.chain())
    assert (verdict.broken, verdict.records) == (None, 3)


@pytest.mark.fault(92)
@pytest.mark.parametrize("size", [1, 2, 4, CHUNK])
def test_twice_is_once_wherever_the_cuts_fall(store: Store, size: int) -> None:
    take(store, MIXED)
    once = state(store)
    take(store, MIXED, size=size)
    assert state(store) == once


@pytest.mark.fault(92)
@pytest.mark.parametrize("size", [1, 3])
def test_where_the_list_is_cut_makes_no_difference(store: Store, size: int) -> None:
    take(store, MIXED, size=size)
    assert [each[:3] for each in state(store)][:2] == [
        ("anna@x.example", "Anna", SubscriberState.ACTIVE),
        ("fay@x.example", "Fay", SubscriberState.UNSUBSCRIBED),
    ]
    fay = store.subscribers.by_key("fay@x.example")
    assert fay is not None
    kinds = [one.kind for one in store.subscribers.consents(fay.id)]
    assert kinds == [ConsentKind.IMPORTED, ConsentKind.UNSUBSCRIBED]


@pytest.mark.fault(92)
def test_half_and_then_all_is_all(store: Store) -> None:
    lines = MIXED.splitlines(keepends=True)
    take(store, "".join(lines[:5]))
    take(store, MIXED)
    assert store.subscribers.audience_size() == 1
    assert len(list(store.suppressions.listed())) == 4


@pytest.mark.fault(91)
@pytest.mark.standard("D-06")
def test_nobody_who_left_is_brought_back_and_nobody_who_was_erased_is_written_down(store: Store) -> None:
    shadow = store.shadows.of("erased@x.example")[0]
    store.suppressions.add([])
    for key, reason in (
        ("left@x.example", SuppressionReason.UNSUBSCRIBED),
        (shadow, SuppressionReason.ERASED),
    ):
        store.subscribers.suppress(key, reason, source="test", at=GIVEN)
    text = "email,status\nleft@x.example,active\nerased@x.example,active\nerased@x.example,unsubscribed\n"
    assert take(store, text) == [Fate.SUPPRESSED, Fate.SUPPRESSED, Fate.KEPT_OUT_ALREADY]
    assert list(store.subscribers.listed()) == []
    assert {one.address_key for one in store.suppressions.listed()} == {"left@x.example", shadow}


def test_a_complaint_outranks_a_goodbye(store: Store) -> None:
    take(store, "email,status\na@x.example,unsubscribed\na@x.example,complained\na@x.example,unsubscribed\n")
    assert store.subscribers.suppression("a@x.example") is SuppressionReason.COMPLAINT


def test_who_left_there_and_joined_here_afterwards_stays(store: Store) -> None:
    later = ConsentRecord(
        kind=ConsentKind.IMPORTED, wording="", source="test", page="", language="nl", occurred_at=GIVEN
    )
    store.subscribers.add_confirmed(normalise("a@x.example"), name="", language="nl", consent=later)
    form = "email address,member rating,unsub time\n"
    assert take(store, form + "a@x.example,2,2023-01-01 10:00:00\n") == [Fate.CAME_BACK]
    assert take(store, form + "a@x.example,2,2025-01-01 10:00:00\n") == [Fate.KEPT_OUT]
    assert store.subscribers.audience_size() == 0


def test_without_word_of_consent_people_are_to_be_asked_and_nothing_is_stored(store: Store) -> None:
    unsaid = Claim(confirmed=False, language="nl")
    assert take(store, "email\na@x.example\n", unsaid) == [Fate.ASKED]
    assert take(store, "email\na@x.example\n", Claim(confirmed=True, language="nl")) == [Fate.ASKED]
    assert list(store.subscribers.listed()) == []
    take(store, "email\na@x.example\n")
    store.subscribers.unsubscribe(1, at=GIVEN, how="test")
    assert take(store, "email\na@x.example\n", unsaid) == [Fate.SUPPRESSED]


@pytest.mark.fault(91)
def test_a_list_that_is_taken_whole_leaves_nothing_when_it_breaks_off(store: Store) -> None:
    def broken() -> Iterator[Sequence[Wanted]]:
        yield wanted("email\na@x.example\n")
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        list(Bulk(store.engine, store.shadows).take_in(broken(), now=NOW, whole=True))
    assert list(store.subscribers.listed()) == []
    assert take(store, MIXED, whole=True, size=2)[0] is Fate.ADDED
    assert store.subscribers.audience_size() == 1


def test_what_is_foreseen_is_what_happens(store: Store) -> None:
    take(store, "email\nold@x.example\n")
    text = MIXED + "old@x.example,Old,active\n"
    foreseen: list[Fate] = []
    before = state(store)
    counts = foresee_rows(
        store,
        ListFile(io.BytesIO(text.encode())),
        claim=CLAIM,
        now=NOW,
        told=lambda one: foreseen.append(one.fate) if isinstance(one, Decision) else None,
    )
    assert state(store) == before
    assert take(store, text) == foreseen
    assert counts == Counter(foreseen)


HOSTILE = [
    "=1+1",
    "+31 6",
    "-x",
    "@home",
    "'=1",
    "''+",
    "t'Hooft",
    "=cmd|'/C calc'!A1",
    'Zoë; "Bos", é',
    "عربي",
]


@pytest.mark.fault(144)
@pytest.mark.fault(90)
def test_an_export_runs_nowhere_and_comes_back_as_it_was(store: Store) -> None:
    for number, name in enumerate(HOSTILE):
        consent = ConsentRecord(
            kind=ConsentKind.IMPORTED, wording="", source=name, page="", language="nl", occurred_at=GIVEN
        )
        person = normalise(f"{'=+-'[number % 3]}p{number}@x.example")
        store.subscribers.add_confirmed(person, name=name, language="nl", consent=consent)
    store.subscribers.unsubscribe(2, at=NOW, how="test")
    store.subscribers.suppress("stranger@x.example", SuppressionReason.COMPLAINT, source="hook", at=NOW)
    text = "".join(as_csv(Bulk(store.engine, store.shadows).held()))
    for cells in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in cells)
    again = ListFile(io.BytesIO(text.encode()))
    assert again.format.name == "weekbrief"
    rows = [row for row in again if not isinstance(row, ImportProblem)]
    assert [row.name for row in rows] == [*HOSTILE, ""]
    assert [row.consent_source for row in rows] == [*HOSTILE, ""]
    assert rows[1].status is not None
    assert rows[1].status.reason is SuppressionReason.UNSUBSCRIBED
    assert rows[-1].status is not None
    assert rows[-1].status.reason is SuppressionReason.COMPLAINT


def test_what_is_exported_can_be_imported_elsewhere(store: Store, tmp_path: object) -> None:
    take(store, MIXED)
    text = "".join(as_csv(Bulk(store.engine, store.shadows).held()))
    elsewhere = open_store(f"sqlite:///{tmp_path}/other.db", now=NOW)
    try:
        take(elsewhere, text, Claim(confirmed=True, language="nl"))
        assert [each[:2] for each in state(elsewhere)][1:] == [each[:2] for each in state(store)][2:]
        anna = elsewhere.subscribers.by_key("anna@x.example")
        assert anna is not None
        assert (anna.state, anna.confirmed_at) == (SubscriberState.ACTIVE, GIVEN)
    finally:
        elsewhere.close()


def test_json_lines_hold_all_of_it_and_no_trace_of_an_address_that_was_erased(store: Store) -> None:
    take(store, MIXED)
    store.subscribers.erase(1, shadow=store.shadows.of("anna@x.example")[0], at=NOW)
    lines = [json.loads(line) for line in as_json_lines(Bulk(store.engine, store.shadows).held())]
    by_email = {line["email"]: line for line in lines}
    assert [one["kind"] for one in by_email["fay@x.example"]["consents"]] == ["imported", "unsubscribed"]
    assert by_email["cor@x.example"]["status"] == "hard_bounce"
    assert [line["erased"] for line in lines if line.get("erased")] == [store.shadows.of("anna@x.example")[0]]
    assert "anna@x.example" not in json.dumps(lines)


# Others at work on the same people

on_postgresql = pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
"""On SQLite there is one writer at a time, so nobody can wait in a circle."""


def wait_until_blocked(store: Store) -> None:
    """Until some connection to this database waits for another, 60 seconds at most."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with store.engine.connect() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for anybody")


@on_postgresql
def test_two_lists_with_the_same_people_in_another_order_do_not_wait_in_a_circle(store: Store) -> None:
    one, other = "email\na@x.example\nb@x.example\n", "email\nb@x.example\na@x.example\n"
    rows = wanted(one)
    slow = Bulk(store.engine, store.shadows).take_in(iter([rows[:1], rows[1:]]), now=NOW, whole=True)
    fates = next(slow)
    with ThreadPoolExecutor(1) as pool:
        quick = pool.submit(take, store, other, size=1, whole=True)
        wait_until_blocked(store)
        fates += [fate for some in slow for fate in some]
        assert quick.result(60) == [Fate.ALREADY_ACTIVE, Fate.ALREADY_ACTIVE]
    assert fates == [Fate.ADDED, Fate.ADDED]


@on_postgresql
def test_a_list_of_suppressions_and_one_of_people_do_not_wait_in_a_circle(store: Store) -> None:
    """The list of people has b and comes to a, which is suppressed already; the other begins with a."""
    bounced = SuppressionReason.HARD_BOUNCE
    store.subscribers.suppress("a@x.example", bounced, source="hook", at=NOW)
    rows = wanted("email,status\nb@x.example,complained\na@x.example,complained\n")
    slow = Bulk(store.engine, store.shadows).take_in(iter([rows[:1], rows[1:]]), now=NOW, whole=True)
    fates = next(slow)
    by_hand = [
        Suppression(address_key=key, reason=SuppressionReason.MANUAL, source="by hand", since=NOW)
        for key in ("a@x.example", "b@x.example")
    ]
    with ThreadPoolExecutor(1) as pool:
        quick = pool.submit(store.suppressions.add, by_hand)
        wait_until_blocked(store)
        fates += [fate for some in slow for fate in some]
        assert quick.result(60) == 2
    assert fates == [Fate.KEPT_OUT, Fate.KEPT_OUT]
    found = {each.address_key: each.reason for each in store.suppressions.listed()}
    assert found == dict.fromkeys(("a@x.example", "b@x.example"), SuppressionReason.MANUAL)


@on_postgresql
def test_suppressions_that_another_program_is_in_the_way_of_are_taken_in_again(store: Store) -> None:
    keys = ("a@x.example", "b@x.example")
    for key in keys:
        store.subscribers.suppress(key, SuppressionReason.HARD_BOUNCE, source="hook", at=NOW)
    found = [
        Suppression(address_key=key, reason=SuppressionReason.MANUAL, source="by hand", since=NOW)
        for key in keys
    ]
    lock = "SELECT 1 FROM suppression WHERE address_key = '{}' FOR UPDATE"
    with ThreadPoolExecutor(1) as pool, store.engine.begin() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        connection.execute(text(lock.format("b@x.example"))).all()
        done = pool.submit(store.suppressions.add, found)
        wait_until_blocked(store)
        connection.execute(text(lock.format("a@x.example"))).all()
        connection.commit()
        assert done.result(60) == 2


@on_postgresql
def test_a_chunk_that_another_program_is_in_the_way_of_is_taken_in_again(store: Store) -> None:
    """Somebody else has the suppression and wants the person; the list has the person and wants the
    suppression. PostgreSQL ends the one who has waited for a second."""
    take(store, "email\na@x.example\n")
    bounced = SuppressionReason.HARD_BOUNCE
    store.subscribers.suppress("b@x.example", bounced, source="hook", at=NOW)
    with ThreadPoolExecutor(1) as pool, store.engine.begin() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        lock = text("SELECT 1 FROM suppression WHERE address_key = 'b@x.example' FOR UPDATE")
        connection.execute(lock).all()
        done = pool.submit(take, store, "email,status\na@x.example,active\nb@x.example,complained\n")
        wait_until_blocked(store)
        connection.execute(text("SELECT 1 FROM subscriber WHERE address_key = 'a@x.example' FOR UPDATE"))
        connection.commit()
        assert done.result(60) == [Fate.ALREADY_ACTIVE, Fate.KEPT_OUT]
    assert store.subscribers.suppression("b@x.example") is SuppressionReason.COMPLAINT
