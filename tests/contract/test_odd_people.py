"""People in the database whom no message can name or reach: they cost nobody else the letter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from emails.delivery import Answer, AnswerClass, DeliveryState, Esp, Receipt, Recipient, Request
from emails.edition import Mailing
from emails.esp import make_esp, provider_names
from emails.message import build_message, unwritable
from pipeline.line import NO_ADDRESS
from pipeline.patience import StopReason
from pipeline.store import Counts, Store, tables
from tests import builders
from tests.contract.test_deliver import Desk, store
from tests.contract.test_esp_names import SECRETS

__all__ = ["store"]

ODD_ADDRESSES = (
    "=?utf-8?q?=0abcc:x?=@example.org",
    "ann@=?utf-8?q?x?=.example",
    "ann\r\nBcc: eve@evil.example",
    "ann@example.org\neve@evil.example",
    "ann\x07@example.org",
    "ann\u2028@example.org",
    "ann@example.org,eve@evil.example",
    "ann@home@example.org",
    "Ann <ann@example.org>",
    "no address at all",
    "@example.org",
    "",
)
"""All but the last two things a database takes: NUL, which PostgreSQL refuses, and a bare surrogate."""
ODD_NAMES = (
    "=?utf-8?q?=0aBcc=3a_x?=",
    "Ann\r\nBcc: eve@evil.example",
    "Ann\nBcc: eve@evil.example",
    "Ann\x1b[2J",
    "Ann\u2029",
    "Ann\x85",
)
NEVER_STORED = "\x00", "\ud800"


class Building:
    """A provider's own way of building, and nobody at the other end: everything is taken."""

    def __init__(self, real: Esp) -> None:
        self._real = real
        self.capabilities = replace(real.capabilities, search=None)
        self.taken: list[str] = []
        self.bodies: list[bytes] = []

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        return self._real.build(mailing, recipients, key)

    def submit(self, request: Request, deadline: float) -> Answer:
        self.taken += [person.address for person in request.recipients]
        self.bodies.append(request.body)
        receipts = tuple(
            Receipt(delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED)
            for person in request.recipients
        )
        return Answer(kind=AnswerClass.ACCEPTED, receipts=receipts)

    def close(self) -> None:
        self._real.close()


@pytest.fixture(params=provider_names())
def esp(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = Building(make_esp(request.param, env=SECRETS, outbox_folder=tmp_path / "out"))
    yield made
    made.close()


def spoil(store: Store, column: str, values: Sequence[str]) -> None:
    """Put these into the rows of the first people, as another program might, past every check of ours."""
    with store.engine.begin() as connection:
        for number, value in enumerate(values, start=1):
            connection.execute(
                update(tables.delivery).where(tables.delivery.c.ordinal == number).values({column: value})
            )


@pytest.mark.fault(57)
@pytest.mark.fault(132)
def test_an_address_that_nobody_can_write_to_is_skipped_and_the_others_get_their_letter(
    store: Store, esp: Building, caplog: pytest.LogCaptureFixture
) -> None:
    people = len(ODD_ADDRESSES) + 4
    at = Desk(store, esp, people=people, concurrency=1)
    spoil(store, "address", ODD_ADDRESSES)
    with caplog.at_level(logging.WARNING):
        assert at.run().stopped is StopReason.NONE
    assert at.counts() == Counts(frozen=people, accepted=4, skipped=len(ODD_ADDRESSES))
    assert sorted(esp.taken) == sorted(f"reader{n}@example.org" for n in range(people - 3, people + 1))
    assert "evil" not in caplog.text
    assert "recipients 1, 2, 3" in caplog.text
    assert set(reasons(store)) == {NO_ADDRESS}


def reasons(store: Store) -> list[str]:
    row = tables.delivery.c
    with store.engine.connect() as connection:
        return list(connection.execute(select(row.reason).where(row.state == "skipped")).scalars())


@pytest.mark.fault(132)
def test_a_name_that_no_header_can_hold_is_left_out_and_its_owner_gets_the_letter(
    store: Store, esp: Building
) -> None:
    people = len(ODD_NAMES) + 1
    at = Desk(store, esp, people=people, concurrency=1)
    spoil(store, "name", ODD_NAMES)
    assert at.run().stopped is StopReason.NONE
    assert at.counts() == Counts(frozen=people, accepted=people)
    assert not any(b"evil" in body or b"=0a" in body.lower() for body in esp.bodies)


@pytest.mark.parametrize("name", [*ODD_NAMES, *NEVER_STORED])
def test_the_message_of_someone_with_an_odd_name_has_the_headers_of_any_other(name: str) -> None:
    def headers(who: str) -> list[tuple[str, str]]:
        person = Recipient(
            delivery_id="d1",
            address="ann@example.org",
            name=who,
            unsubscribe_url="https://brief.stillepost.example/u/1",
            message_id="<d1@stillepost.example>",
        )
        built = build_message(builders.mailing(), person, date=builders.NOW)
        return message_from_bytes(built, policy=policy.compat32).items()

    assert headers(name) == headers("")
    assert headers("Ann") != headers("")


@pytest.mark.parametrize("odd", [*NEVER_STORED, "ann\x00@example.org", "ann\ud800@example.org", "ann@\udfff"])
def test_what_no_database_should_hold_is_no_address(odd: str) -> None:
    assert unwritable(["a@example.org", odd, "b@example.org"], ascii_only=False) == [1]


def test_ordinary_addresses_can_all_be_written_to() -> None:
    plain = ["a.b+c@example.org", "o'brien=x@example.org", "x?=y@example.org", "ann@xn--bcher-kva.example"]
    assert unwritable(plain, ascii_only=True) == []
    assert unwritable([], ascii_only=True) == []
    assert unwritable(["ann@bücher.example", *plain], ascii_only=True) == []


def test_a_local_part_beyond_ascii_is_for_the_provider_to_judge_unless_it_surely_cannot(
    store: Store, esp: Building
) -> None:
    """RFC 6531: a file or a mail server gets a finished message, in which it cannot stand."""
    at = Desk(store, esp, people=3, concurrency=1)
    spoil(store, "address", ["jürgen@example.org"])
    assert at.run().stopped is StopReason.NONE
    able = esp.capabilities.eight_bit_local_part is not False
    assert able == (esp.capabilities.name not in {"outbox", "smtp"})
    assert at.counts() == Counts(frozen=3, accepted=3 if able else 2, skipped=0 if able else 1)


def test_a_whole_page_of_odd_people_does_not_end_the_edition(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipeline.line.READ_AHEAD", 3)
    esp = Building(make_esp("smtp", env=SECRETS, outbox_folder=tmp_path))
    at = Desk(store, esp, people=9, concurrency=1, batch_size=1)
    spoil(store, "address", ["nobody"] * 7)
    assert at.run().stopped is StopReason.NONE
    assert at.counts() == Counts(frozen=9, accepted=2, skipped=7)
