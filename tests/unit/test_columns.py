"""Batches by columns say the same as people one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emails.delivery import Recipient, Recipients
from emails.esp.links import addresses, check_links, delivery_ids, given_addresses, plain, unsubscribe_urls
from emails.merge import UnsafeMergeValue
from emails.message import HeaderError
from pipeline.store.audience import People, Person
from tests import builders

ROWS = [
    (2, "a2", 12, "b@example.org", "B"),
    (5, "a5", 15, "e@example.org", ""),
    (9, "a9", 19, "i@x.example", "I"),
]


def test_people_are_rows_until_one_is_asked_for() -> None:
    people = People(ROWS)
    assert list(people) == [Person._make(row) for row in ROWS]
    assert people[-1].name == "I"
    assert list(people[1:]) == list(people)[1:]
    assert len(people[:2] + people[2:]) == 3
    assert people.ordinals == [2, 5, 9]
    assert people.delivery_ids == ["a2", "a5", "a9"]
    assert people.subscriber_ids == [12, 15, 19]
    assert people.addresses == [row[3] for row in ROWS]
    assert people.names == ["B", "", "I"]
    assert people.without([5, 7]).ordinals == [2, 9]
    assert people.up_to(5).ordinals == [2, 5]
    assert not People()


def recipients(**changes: object) -> Recipients:
    columns = {
        "delivery_ids": ["d1", "d2"],
        "addresses": ["a@example.org", "b@example.org"],
        "names": ["A", "B"],
        "tokens": ["t1", "t2"],
        "base": "https://brief.example/u/",
        "domain": "example.org",
    }
    return Recipients(**{**columns, **changes})  # type: ignore[arg-type]


def test_recipients_by_column_are_recipients() -> None:
    batch = recipients()
    second = Recipient(
        delivery_id="d2",
        address="b@example.org",
        name="B",
        unsubscribe_url="https://brief.example/u/t2",
        message_id="<d2@example.org>",
    )
    assert batch[1] == batch[-1] == second
    assert batch[1:] == [second]
    assert list(batch) == [batch[0], second]
    assert len(batch) == 2
    with pytest.raises(IndexError):
        batch[2]
    one_by_one = list(batch)
    assert delivery_ids(batch) == delivery_ids(one_by_one) == ["d1", "d2"]
    assert unsubscribe_urls(batch) == unsubscribe_urls(one_by_one)
    assert given_addresses(batch) == given_addresses(one_by_one) == addresses(batch)


def problem(batch: object) -> type[Exception] | None:
    try:
        check_links(builders.mailing(), batch)  # type: ignore[arg-type]
    except (HeaderError, UnsafeMergeValue) as error:
        return type(error)
    return None


tokens = st.lists(
    st.text(alphabet='aZ9-_~.%/ é"\n\x00?', max_size=5) | st.just("x" * 900), min_size=2, max_size=2
)
bases = st.sampled_from(
    [
        "https://brief.example/u/",
        "https://brief.example/u",
        "https://brief.example/?u=",
        "https://brief.example/?u/",
        "http://localhost:8000/u/",
        "http://brief.example/u/",
        "https://brief.exämple/u/",
        "https://brief.example/\n/",
        "https://" + "l" * 850 + ".example/u/",
        "",
    ]
)


@given(tokens=tokens, base=bases)
def test_links_are_refused_at_a_glance_as_they_are_one_by_one(tokens: list[str], base: str) -> None:
    batch = recipients(tokens=tokens, base=base)
    assert problem(batch) == problem(list(batch))


@given(st.lists(st.text(max_size=6), max_size=4))
def test_plain_texts_need_no_escape(values: list[str]) -> None:
    odd = set('"(),:;<>[\\]') | {" "}
    assert plain(values) == all(" " < c < "\x7f" and c not in odd for value in values for c in value)
