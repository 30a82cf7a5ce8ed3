"""Counters of sign-ups in the store, on both databases: exact, whoever counts at once, and short-lived."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.store import Store, open_store
from subscribers.limits import Doorkeeper, Limits, window
from subscribers.tokens import Signer
from tests.builders import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    yield opened
    opened.close()


@pytest.mark.fault(125)
def test_of_many_at_once_exactly_as_many_pass_as_there_is_room_for(storage: str, store: Store) -> None:
    other = open_store(storage, now=NOW)
    try:
        with ThreadPoolExecutor(8) as pool:
            passed = list(
                pool.map(lambda n: (store, other)[n % 2].joins.count("all", since=NOW, most=17), range(80))
            )
    finally:
        other.close()
    assert sum(passed) == 17
    assert store.joins.number("all", since=NOW) == 17, "and what is over the limit is not even written"


def test_windows_and_scopes_are_apart_and_a_smaller_limit_sees_what_the_larger_let_in(store: Store) -> None:
    assert store.joins.count("a", since=NOW, most=1)
    assert not store.joins.count("a", since=NOW, most=1)
    assert store.joins.count("a", since=NOW, most=2)
    assert store.joins.count("b", since=NOW, most=1)
    assert store.joins.count("a", since=NOW + HOUR, most=1)
    assert not store.joins.count("a", since=NOW, most=1)
    assert not store.joins.count("c", since=NOW, most=0)


def test_old_windows_go_and_young_ones_stay(store: Store) -> None:
    for hours in range(5):
        store.joins.count("all", since=NOW + hours * HOUR, most=9)
    assert store.joins.forget(before=NOW + 3 * HOUR) == 3
    assert [store.joins.number("all", since=NOW + hours * HOUR) for hours in range(5)] == [0, 0, 0, 1, 1]


def test_the_doorkeeper_counts_networks_under_a_keyed_hash(store: Store) -> None:
    signer, another = Signer(b"x" * 32, scope="one"), Signer(b"x" * 32, scope="two")
    keeper = Doorkeeper(store.joins, Limits(per_network=4, overall=3), scope_of=signer.network_scope)
    network, at = "203.0.113.0/24", NOW + timedelta(minutes=7)
    assert [keeper.network_has_room(network, stamped=False, at=at) for _ in range(3)] == [True, True, False]
    assert [keeper.network_has_room(network, stamped=True, at=at) for _ in range(3)] == [True, True, False]
    assert [keeper.has_room(stamped=True, at=at) for _ in range(4)] == [True, True, True, False]
    assert all(keeper.network_has_room("", stamped=True, at=at) for _ in range(9)), "nobody knows who it was"
    assert store.joins.number(signer.network_scope(network), since=window(at)) == 4
    assert signer.network_scope(network) != another.network_scope(network)
    assert len(signer.network_scope(network)) == 32
