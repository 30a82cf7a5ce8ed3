"""What providers report (`faults.md` 3.4, and 13, 133 to 135): over real HTTP, on both databases, also while
an edition is on its way."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, insert, select, text, update

from emails.delivery import Answer, AnswerClass, DeliveryState, Receipt, Request
from emails.events import Event, EventKind, ses
from pipeline import events
from pipeline.deliver import Sending
from pipeline.events import Digest, act, digest
from pipeline.pacing import Pace
from pipeline.patience import StopReason
from pipeline.settings import Doubt
from pipeline.store import Counts, Store, tables
from pipeline.store.editions import Edition
from pipeline.store.engine import StorageError, StorageTrouble
from pipeline.store.events import RESTORED, Events, Report
from pipeline.store.facts import facts_of
from pipeline.store.incoming import MAX_TRIES, Raw
from pipeline.store.shadows import Shadows
from pipeline.web.hooks import MAX_CALL, Hooks
from pipeline.web.site import Clock
from subscribers.addresses import normalise
from subscribers.reports import KEEPS_REFUSING
from subscribers.suppression import SuppressionReason
from subscribers.tokens import Signer
from tests import builders, webhooks
from tests.acceptance.faulty import faulty, kill
from tests.builders import NOW
from tests.contract.test_deliver import FakeClock, recipients
from tests.scripted import ScriptedEsp
from tests.serving import Site, newsletter_site
from tests.webhooks import About, Sent, providers

PEOPLE = 25
RESEND = providers()["resend"]
LETTERMINT = providers()["lettermint"]
ALL_SECRETS = {name: value for each in providers().values() for name, value in each.secrets.items()}


@dataclass
class Desk:
    """A newsletter whose providers report over HTTP, with one edition frozen."""

    site: Site
    edition: Edition
    web: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def store(self) -> Store:
        return self.site.opened

    @property
    def base(self) -> str:
        return self.site.base

    @property
    def now(self) -> datetime:
        """The web server's clock."""
        return self.site.clock.now

    @now.setter
    def now(self, at: datetime) -> None:
        self.site.clock.now = at

    # reporting

    def about(self, place: int, **changes: Any) -> About:
        """The edition's person at this place."""
        edition = changes.pop("of", self.edition)
        row = self.row(place, edition)
        known = {
            "installation": self.store.installation.id,
            "edition": edition.day,
            "delivery": row.delivery_id,
            "address": row.address or "erased@example.org",
            "id": f"report-{next(self.numbers)}",
            "at": self.now,
        }
        return About(**{**known, **changes})

    def post(self, name: str, sent: Sent) -> httpx.Response:
        return self.web.post(
            f"{self.base}/hooks/{name}{sent.path}", content=sent.body, headers=dict(sent.headers)
        )

    def tell(self, kind: str, place: int, *, provider: Any = RESEND, **changes: Any) -> httpx.Response:
        about = self.about(place, **changes)
        return self.post(provider.name, provider.call(kind, about, now=self.now))

    def told(self, kind: str, *places: int, provider: Any = RESEND, **changes: Any) -> Digest:
        """Reports about these people came in, and were read."""
        for place in places:
            assert self.tell(kind, place, provider=provider, **changes).status_code == 200
        return digest(self.store)

    # looking

    def row(self, place: int, edition: Edition | None = None) -> Any:
        of = (edition or self.edition).id
        with self.store.engine.connect() as connection:
            return connection.execute(
                select(tables.delivery).where(
                    tables.delivery.c.edition_id == of, tables.delivery.c.ordinal == place
                )
            ).one()

    def state(self, place: int) -> str:
        return str(self.row(place).state)

    def suppression(self, place: int) -> SuppressionReason | None:
        return self.store.subscribers.suppression(f"reader{place}@example.org")

    def rows(self, table: Any) -> list[Any]:
        with self.store.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key)))

    def number_of(self, table: Any) -> int:
        with self.store.engine.connect() as connection:
            found: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
            return found

    def everything(self) -> list[list[Any]]:
        kept = (tables.subscriber, tables.suppression, tables.consent, tables.delivery, tables.batch)
        return [[tuple(row) for row in self.rows(table)] for table in kept]

    def counts(self) -> Counts:
        return self.store.check_sum(self.edition.id)

    def hold(self) -> str | None:
        found = self.store.editions.find(self.edition.day)
        assert found is not None
        return found.hold_reason

    # sending

    def sending(self, esp: ScriptedEsp, **pace: Any) -> Sending:
        epoch = self.store.installations.new_epoch()
        values = {"batch_size": 10, "canary": 5, "concurrency": 1, "patience": 600.0}
        return Sending(
            ledger=self.store.ledger(self.edition.id, epoch=epoch, provider=esp.capabilities.name),
            esp=esp,  # type: ignore[arg-type]
            mailing=self.edition.mailing,
            address_to=recipients,  # type: ignore[arg-type]
            clock=FakeClock(),
            pace=Pace(**{**values, **pace}),
            stop=threading.Event(),
        )

    def run(self, esp: ScriptedEsp, **pace: Any) -> Sending:
        sending = self.sending(esp, **pace)
        sending.run()
        return sending


@pytest.fixture
def people() -> int:
    return PEOPLE


def hooks_of(store: Store, clock: Clock) -> list[Hooks]:
    return [Hooks(store.incoming.keep, secrets=ALL_SECRETS, clock=clock)]


@pytest.fixture
def desk(storage: str, people: int) -> Iterator[Desk]:
    with newsletter_site(storage, at=NOW, rooms=hooks_of) as site:
        edition = builders.edition(site.opened, people=people)
        site.opened.editions.freeze(edition, provider="scripted", now=NOW)
        made = Desk(site, edition)
        with made.web:
            yield made


@pytest.fixture
def sent(desk: Desk) -> Desk:
    """The edition is on its way, and everybody was accepted."""
    desk.run(ScriptedEsp())
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    return desk


@pytest.fixture(autouse=True)
def amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ses, "certificates", ses.Certificates(webhooks.certificate))


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.02)


def answered(kind: AnswerClass, **more: Any) -> Answer:
    return Answer(kind=kind, error="scripted", **more)


# Taking it in


def test_every_provider_s_reports_are_taken_and_act(sent: Desk) -> None:
    for place, provider in enumerate(providers().values(), 1):
        bounced, complained = place, PEOPLE - place
        assert sent.tell("hard_bounce", bounced, provider=provider).status_code == 200
        assert sent.tell("complaint", complained, provider=provider).status_code == 200
        assert sent.suppression(bounced) is None, "it is stored, and read later"
        assert sent.number_of(tables.incoming) == 2
        done = digest(sent.store)
        assert (done.calls, done.taken.new, done.taken.suppressed) == (2, 2, 2), provider.name
        assert sent.suppression(bounced) is SuppressionReason.HARD_BOUNCE
        assert sent.suppression(complained) is SuppressionReason.COMPLAINT
        assert sent.number_of(tables.incoming) == 0
        kinds = {(row.kind, row.delivery_id, row.edition_id) for row in sent.rows(tables.event)}
        assert ("hard_bounce", sent.row(bounced).delivery_id, sent.edition.id) in kinds
        assert ("complaint", sent.row(complained).delivery_id, sent.edition.id) in kinds


def test_no_secret_and_no_address_is_stored_with_a_report(sent: Desk) -> None:
    for provider in providers().values():
        given = provider.call("hard_bounce", sent.about(3))
        headers = {**given.headers, "Authorization": "Basic Y2FuYXJ5", "Cookie": "canary"}
        assert sent.post(provider.name, replace(given, headers=headers)).status_code == 200
        (raw,) = sent.rows(tables.incoming)
        assert "canary" not in raw.headers.lower()
        assert "authorization" not in raw.headers.lower()
        digest(sent.store)
    assert "@" not in str([tuple(row) for row in sent.rows(tables.event)])


@pytest.mark.fault(71)
def test_a_report_that_comes_46_times_counts_once(sent: Desk) -> None:
    call = RESEND.call("complaint", sent.about(3))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sent.post("resend", call).status_code, range(30)))
    digest(sent.store)
    for _ in range(16):
        answers.append(sent.post("resend", call).status_code)
        digest(sent.store)
    assert answers == [200] * 46
    assert len(sent.rows(tables.event)) == 1
    assert sent.store.events.counts(sent.edition.id) == {EventKind.COMPLAINT: 1}
    assert sent.number_of(tables.incoming) == 0


@pytest.mark.fault(71)
def test_two_readers_at_once_count_a_report_once(sent: Desk) -> None:
    for place in range(1, PEOPLE + 1):
        sent.tell("delivered", place)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: digest(sent.store), range(4)))
    assert sum(each.taken.new for each in done) == PEOPLE
    assert sent.store.events.counts(sent.edition.id) == {EventKind.DELIVERED: PEOPLE}
    assert sent.number_of(tables.incoming) == 0


@pytest.mark.fault(133)
def test_what_is_not_proven_is_turned_away_and_leaves_nothing(sent: Desk) -> None:
    for provider in providers().values():
        not_proven(sent, provider.name)


def not_proven(sent: Desk, name: str) -> None:
    provider, before = providers()[name], sent.everything()
    true = provider.call("complaint", sent.about(3))
    other = provider.call("delivered", sent.about(4))
    forgeries = [
        Sent(body=true.body),
        Sent(body=true.body, path="/" + "x" * 30),
        Sent(body=true.body, path="/" + "%00%C3%A9"),
        Sent(body=true.body, headers=dict.fromkeys(true.headers, ""), path=true.path[:-1]),
        Sent(body=true.body, headers={"Authorization": "Basic eDp4"}),
        *([Sent(body=other.body, headers=true.headers)] if provider.signs_body and true.headers else []),
    ]
    if name == "ses":
        forgeries = [Sent(body=true.body.replace(b"abuse", b"fraud")), Sent(body=b'{"Type":"Notification"}')]
    for forged in forgeries:
        answer = sent.post(name, forged)
        assert answer.status_code == 401, forged
        assert "location" not in answer.headers
    assert sent.number_of(tables.incoming) == 0
    assert digest(sent.store) == Digest()
    assert sent.everything() == before
    assert sent.post(name, true).status_code == 200, "and the true one is taken afterwards"
    digest(sent.store)


@pytest.mark.fault(78)
def test_a_body_that_is_none_is_refused_within_bounds(sent: Desk) -> None:
    for provider in providers().values():
        none_at_all(sent, provider.name)


def none_at_all(sent: Desk, name: str) -> None:
    provider = providers()[name]
    for body in (b"", b"{", b"\xff\xfe\x00", b"[" * 200_000, b'{"a":' * 100_000):
        proven = (
            provider.prove(body, sent.now, About()) if name not in ("mailgun", "ses") else Sent(body=body)
        )
        answer = sent.post(name, replace(proven, path=f"/{webhooks.SECRET}"))
        assert answer.status_code == 400, body[:10]
    for head, body in (
        (f"Content-Length: {MAX_CALL + 1}", b""),
        ("Content-Length: 1e9", b""),
        ("Transfer-Encoding: chunked", f"{MAX_CALL + 1:x}\r\n".encode() + b" " * (MAX_CALL + 1)),
    ):
        assert status_of(sent, f"/hooks/{name}/{webhooks.SECRET}", head, body) in (400, 413), head
    assert sent.number_of(tables.incoming) == 0
    assert sent.tell("delivered", 1, provider=provider).status_code == 200
    digest(sent.store)


def status_of(desk: Desk, path: str, head: str, body: bytes) -> int:
    """What is answered to bytes as they stand, before the call has ended."""
    parts = urlsplit(desk.base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
        return int(raw.makefile("rb").readline().split()[1])


@pytest.mark.fault(123)
def test_only_post_reports(sent: Desk) -> None:
    call = RESEND.call("complaint", sent.about(3))
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = sent.web.request(
            method, f"{sent.base}/hooks/resend", content=call.body, headers=dict(call.headers)
        )
        assert answer.status_code == 405
    assert sent.number_of(tables.incoming) == 0


def test_a_provider_nobody_knows_and_one_that_is_not_set_up(storage: str) -> None:
    def rooms(store: Store, clock: Clock) -> list[Hooks]:
        return [Hooks(store.incoming.keep, secrets={}, clock=clock)]

    with newsletter_site(storage, rooms=rooms) as site, httpx.Client() as web:
        assert web.post(f"{site.base}/hooks/nobody", content=b"{}").status_code == 404
        assert web.post(f"{site.base}/hooks/outbox", content=b"{}").status_code == 404
        answer = web.post(f"{site.base}/hooks/resend", content=b"{}")
    assert answer.status_code == 503, "the provider keeps it until the secret is set"
    assert answer.headers["retry-after"]


@pytest.mark.fault(78)
def test_a_true_call_that_cannot_be_read_is_kept_and_tried_three_times(sent: Desk) -> None:
    strange = RESEND.prove(b"[7]", sent.now, About())
    assert sent.post("resend", strange).status_code == 200
    sent.tell("delivered", 1)
    done = [digest(sent.store) for _ in range(MAX_TRIES + 2)]
    assert [each.unreadable for each in done] == [1, 1, 1, 0, 0]
    assert done[0].taken.new == 1, "its neighbour is read all the same"
    (kept,) = sent.rows(tables.incoming)
    assert (kept.body, kept.tries) == (b"[7]", MAX_TRIES)
    assert kept.error
    assert sent.store.incoming.unread() == (0, 1)


def test_whoever_watches_is_told_what_waits_and_what_is_held(sent: Desk) -> None:
    assert (facts_of(sent.store.engine).waiting, facts_of(sent.store.engine).held) == (0, 0)
    sent.post("resend", RESEND.prove(b"[7]", sent.now, About()))
    sent.tell("delivered", 1)
    assert facts_of(sent.store.engine).waiting == 2
    for _ in range(MAX_TRIES):
        digest(sent.store)
    assert facts_of(sent.store.engine).waiting == 0, "what cannot be read is kept, and waits no more"
    assert sent.store.events.stop(sent.edition.id, reason="too many complaints")
    assert facts_of(sent.store.engine).held == 1
    sent.store.editions.resume(sent.edition, who="Marijke", now=NOW)
    assert facts_of(sent.store.engine).held == 0


def test_a_fact_that_is_both_reported_and_asked_for_counts_once(sent: Desk) -> None:
    """Under two names, as some providers give it."""
    sent.told("delivered", 3)
    sent.told("complaint", 3)
    about = sent.about(3)
    again = [
        Event(
            provider="resend",
            key=f"asked-{kind}",
            kind=kind,
            edition=sent.edition.day,
            delivery_id=about.delivery,
        )
        for kind in (EventKind.DELIVERED, EventKind.COMPLAINT)
    ]
    act(sent.store, [Report(event=event, received_at=sent.now, signed=True, asked=True) for event in again])
    assert len(sent.rows(tables.event)) == 4
    once = {EventKind.DELIVERED: 1, EventKind.COMPLAINT: 1}
    assert sent.store.events.counts(sent.edition.id) == once
    found = sent.store.events.strikes(sent.edition.id)
    assert found is not None
    assert found.complaints == 1


def test_what_the_database_refuses_costs_no_other_report(sent: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lets something through which no column takes: its neighbours are read, it is kept."""
    real = events._reports

    def tampered(call: Raw) -> Any:
        return [
            replace(report, event=replace(report.event, occurred_at="no time"))
            if report.event.delivery_id == sent.row(2).delivery_id
            else report
            for report in real(call)
        ]

    monkeypatch.setattr(events, "_reports", tampered)
    for place in (1, 2, 3):
        sent.tell("hard_bounce", place)
    done = digest(sent.store)
    assert (done.taken.new, done.unreadable) == (2, 1)
    assert sent.suppression(1) is sent.suppression(3) is SuppressionReason.HARD_BOUNCE
    assert [row.tries for row in sent.rows(tables.incoming)] == [1]


# Replays


@pytest.mark.fault(134)
@pytest.mark.fault(135)
@pytest.mark.parametrize("name", ["resend", "lettermint", "mailgun", "sendgrid", "ses"])
def test_a_replay_does_nothing_and_an_old_one_is_refused(sent: Desk, name: str) -> None:
    if name not in providers():
        pytest.skip("no openssl to make keys and signatures with")
    call = providers()[name].call("hard_bounce", sent.about(3))
    sent.now += timedelta(hours=23)
    assert sent.post(name, call).status_code == 200, "a retry of a day later, after an outage of ours"
    digest(sent.store)
    assert sent.suppression(3) is SuppressionReason.HARD_BOUNCE
    sent.store.suppressions.lift("reader3@example.org", who="Marijke", reason="asked", now=sent.now)
    sent.now += timedelta(hours=1)
    assert sent.post(name, call).status_code == 200
    assert digest(sent.store).taken.repeated == 1
    assert sent.suppression(3) is None, "the same call again undoes nothing"
    sent.now += timedelta(days=2)
    assert sent.post(name, call).status_code == 401
    assert sent.number_of(tables.incoming) == 0


@pytest.mark.fault(134)
def test_where_the_body_is_not_signed_only_a_known_delivery_acts(sent: Desk) -> None:
    for provider in providers().values():
        if not provider.signs_body:
            only_known(sent, provider.name)


def only_known(sent: Desk, name: str) -> None:
    before = sent.everything()
    number = sent.store.subscribers.by_key("reader3@example.org")
    assert number is not None
    here, real = sent.store.installation.id, sent.row(3).delivery_id
    for changes in (
        {"delivery": real[:31] + ("1" if real[31] == "0" else "0") + real[32:]},
        {"delivery": "0" * 32 + real[32:]},
        {"delivery": ""},
        {"delivery": f"{here}-confirm-{number.id}-1", "edition": "notice"},
    ):
        done = sent.told("complaint", 3, provider=providers()[name], **changes)
        assert done.taken.foreign == 1, changes
    assert sent.everything() == before


@pytest.mark.fault(134)
def test_a_token_of_mailgun_is_used_up_by_its_first_report(sent: Desk) -> None:
    mailgun = providers()["mailgun"]
    one = mailgun.call("delivered", sent.about(3))
    two = mailgun.call("complaint", sent.about(4))
    stolen = {**json.loads(two.body), "signature": json.loads(one.body)["signature"]}
    for call in (one, Sent(body=webhooks.raw(stolen), path=one.path)):
        assert sent.post("mailgun", call).status_code == 200
    digest(sent.store)
    assert sent.suppression(4) is None


# Whose it is


@pytest.mark.fault(75)
def test_a_report_about_nobody_here_is_stored_as_foreign_and_acts_on_nobody(sent: Desk) -> None:
    before = sent.everything()
    real = sent.row(3).delivery_id
    strangers: list[dict[str, Any]] = [
        {"installation": "other1234567"},
        {"edition": "2026-11-22"},
        {"delivery": "f" * 32 + real[32:]},
        {"delivery": real[:32] + "0000ffff"},
        {"delivery": real[:32]},
        {"delivery": real.upper()},
        {"delivery": ""},
        {"delivery": "' OR 1=1 --"},
        {"delivery": "x" * 300},
        {"installation": "", "edition": "", "delivery": ""},
    ]
    for kind in ("complaint", "hard_bounce"):
        for changes in strangers:
            assert sent.told(kind, 3, **changes).taken.foreign == 1, changes
    assert sent.everything() == before
    rows = sent.rows(tables.event)
    assert len(rows) == 2 * len(strangers)
    assert all(row.edition_id is None and row.delivery_id is None for row in rows)
    assert all(row.detail.startswith("foreign") for row in rows)


@pytest.mark.fault(75)
def test_a_foreign_report_beside_a_true_one_about_the_same_delivery_acts_on_nobody(sent: Desk) -> None:
    for changes in ({"installation": "other1234567"}, {"edition": "2026-11-22"}):
        assert sent.tell("complaint", 3, **changes).status_code == 200
    assert sent.tell("delivered", 3).status_code == 200
    done = digest(sent.store)
    assert (done.taken.new, done.taken.foreign, done.taken.suppressed) == (3, 2, 0)
    assert sent.suppression(3) is None


def test_more_who_left_than_one_question_can_name(sent: Desk) -> None:
    """A provider's whole list at once, most of them strangers."""
    gone = [f"stranger{number}@example.org" for number in range(40_000)]
    listed = [
        Report(
            event=Event(
                provider="sendgrid",
                key=address,
                kind=EventKind.REJECTED,
                because=EventKind.UNSUBSCRIBED,
                address=address,
                occurred_at=NOW + timedelta(hours=1),
            ),
            received_at=NOW + timedelta(hours=1),
            signed=True,
            asked=True,
        )
        for address in (*gone, "reader3@example.org")
    ]
    done = events.act(sent.store, listed)
    assert (done.taken.new, done.taken.foreign) == (40_001, 40_000)
    known = sent.store.subscribers.by_key("reader3@example.org")
    assert known is not None
    assert known.state == "unsubscribed"
    assert len(sent.rows(tables.suppression)) == 1


def test_a_report_without_edition_finds_its_delivery_among_the_newest(sent: Desk) -> None:
    about = sent.about(3)
    body = LETTERMINT.body(LETTERMINT.words["complaint"], about)
    del body["data"]["metadata"]["edition"]
    call = LETTERMINT.prove(webhooks.raw(body), sent.now, about)
    assert sent.post("lettermint", call).status_code == 200
    digest(sent.store)
    assert sent.suppression(3) is SuppressionReason.COMPLAINT


def test_a_complaint_about_a_confirmation_letter_stops_the_next(sent: Desk) -> None:
    known = sent.store.subscribers.by_key("reader3@example.org")
    assert known is not None
    notice = f"{sent.store.installation.id}-confirm-{known.id}-1"
    done = sent.told("complaint", 3, edition="notice", delivery=notice)
    assert (done.taken.foreign, done.taken.suppressed) == (0, 1)
    assert sent.suppression(3) is SuppressionReason.COMPLAINT


def wish(sent: Desk, place: int, address: str) -> tuple[int, int, str]:
    """Somebody wishes to move: their number, that of the wish, and what its notice is called."""
    known = sent.store.subscribers.by_key(f"reader{place}@example.org")
    assert known is not None
    change = sent.store.preferences.ask_move(known.id, normalise(address), at=NOW)
    assert change is not None
    return known.id, change.id, f"{sent.store.installation.id}-change-{known.id}-{change.id}"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("hard_bounce", SuppressionReason.HARD_BOUNCE), ("complaint", SuppressionReason.COMPLAINT)],
)
def test_a_report_about_the_notice_to_a_new_address_is_about_that_address(
    sent: Desk, kind: str, reason: SuppressionReason
) -> None:
    """Who wishes to move has another address: nothing is said of that."""
    _, change, notice = wish(sent, 3, "New@Example.net")
    done = sent.told(kind, 3, edition="notice", delivery=notice)
    assert (done.taken.foreign, done.taken.suppressed) == (0, 1)
    assert sent.suppression(3) is None
    assert sent.store.subscribers.suppression("new@example.net") is reason
    assert not sent.store.preferences.move(change, at=NOW, wording="Ja", page="")


def test_who_is_asked_at_a_new_address_and_leaves_there_takes_nobody_along(sent: Desk) -> None:
    number, _, notice = wish(sent, 3, "new@example.net")
    done = sent.told("unsubscribed", 3, provider=LETTERMINT, edition="notice", delivery=notice)
    assert (done.taken.new, done.taken.foreign) == (1, 0)
    known = sent.store.subscribers.by_id(number)
    assert known is not None
    assert known.state == "active"


def test_a_complaint_about_the_notice_of_a_move_that_was_confirmed_stops_the_next_letter(sent: Desk) -> None:
    _, change, notice = wish(sent, 3, "new@example.net")
    assert sent.store.preferences.move(change, at=NOW, wording="Ja", page="")
    done = sent.told("complaint", 3, edition="notice", delivery=notice)
    assert (done.taken.foreign, done.taken.suppressed) == (0, 1)
    assert sent.store.subscribers.suppression("new@example.net") is SuppressionReason.COMPLAINT


def test_a_complaint_about_a_move_to_somebody_s_address_leaves_the_mover_s_old_one_alone(sent: Desk) -> None:
    """Whose address it was goes on with it, and the mover's row is closed: nothing says who complained."""
    _, change, notice = wish(sent, 3, "reader4@example.org")
    assert sent.store.preferences.move(change, at=NOW, wording="Ja", page="")
    before = sent.suppression(3)
    assert sent.told("complaint", 4, edition="notice", delivery=notice).taken.foreign == 1
    assert sent.suppression(3) is before is SuppressionReason.UNSUBSCRIBED


def test_a_late_complaint_about_a_first_move_says_nothing_of_the_second_address(sent: Desk) -> None:
    number, first, notice = wish(sent, 3, "first@example.net")
    assert sent.store.preferences.move(first, at=NOW, wording="Ja", page="")
    second = sent.store.preferences.ask_move(number, normalise("second@example.net"), at=NOW)
    assert second is not None
    assert sent.store.preferences.move(second.id, at=NOW, wording="Ja", page="")
    assert sent.told("complaint", 3, edition="notice", delivery=notice).taken.foreign == 1
    assert sent.store.subscribers.suppression("second@example.net") is None


@pytest.mark.fault(75)
def test_a_report_about_a_notice_of_another_s_move_or_of_none_acts_on_nobody(sent: Desk) -> None:
    number, change, notice = wish(sent, 3, "new@example.net")
    wish(sent, 4, "other@example.net")
    before = sent.everything()
    moves = f"{sent.store.installation.id}-change"
    for named in (f"{moves}-{number + 1}-{change}", f"{moves}-{number}-{change + 9}", f"{notice}-1"):
        assert sent.told("complaint", 3, edition="notice", delivery=named).taken.foreign == 1, named
    assert sent.store.preferences.forget_changes(before=NOW + timedelta(days=9)) == 2
    sent.told("complaint", 3, edition="notice", delivery=notice)
    for provider in providers().values():
        if not provider.signs_body:
            sent.told("complaint", 3, provider=provider, edition="notice", delivery=notice)
    assert sent.everything() == before


def test_a_report_of_a_wish_to_move_to_an_erased_address_stays_under_its_hash(sent: Desk) -> None:
    store = sent.store
    store.shadows.know(lambda key: (f"shadow of {key.replace('@', ' at ')}",))
    gone = store.subscribers.by_key("reader9@example.org")
    assert gone is not None
    (shadow,) = store.shadows.of(gone.address_key)
    store.subscribers.erase(gone.id, shadow=shadow, at=NOW)
    _, _, notice = wish(sent, 3, "reader9@example.org")
    sent.told("complaint", 3, edition="notice", delivery=notice)
    found = {row.address_key: row.reason for row in sent.rows(tables.suppression)}
    assert found == {shadow: "complaint"}


# Without the secret


@pytest.mark.parametrize("secret", ["none", "another"])
def test_reports_wait_while_nobody_can_tell_who_was_erased(
    sent: Desk, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    right, shadows = Signer(b"the secret of today, 32 characters"), Shadows()
    store = replace(sent.store, shadows=shadows, events=Events(sent.store.engine, shadows))
    gone = store.subscribers.by_key("reader9@example.org")
    assert gone is not None
    store.subscribers.erase(gone.id, shadow=right.shadow(gone.address_key), at=NOW)
    store.installations.adopt_secret(right.fingerprint)
    before = sent.everything()
    if secret == "another":
        other = Signer(b"another secret with 32 characters.")
        store.shadows.know(other.shadows, fingerprint=other.fingerprint)
    for place in (3, 9):
        assert sent.tell("complaint", place).status_code == 200
    for _ in range(MAX_TRIES + 1):
        with pytest.raises(StorageError, match="WEEKBRIEF_SECRET"):
            digest(store)
    bell = threading.Event()
    bell.set()
    with events.reading(store, bell=bell):
        until(lambda: "reports wait" in caplog.text)
    assert sent.everything() == before
    assert store.incoming.unread() == (2, 0), "none is lost, and none counts as one that cannot be read"
    store.shadows.know(right.shadows, fingerprint=right.fingerprint)
    done = digest(store)
    assert (done.calls, done.taken.new, done.taken.suppressed) == (2, 2, 1)
    assert sent.suppression(3) is SuppressionReason.COMPLAINT
    assert "reader9" not in str(sent.rows(tables.suppression))


def test_where_nobody_was_erased_reports_act_without_the_secret(sent: Desk) -> None:
    other = Signer(b"another secret with 32 characters.")
    sent.store.installations.adopt_secret("f" * 32)
    sent.store.shadows.know(other.shadows, fingerprint=other.fingerprint)
    assert sent.told("complaint", 3).taken.suppressed == 1


# Another program in the way


@pytest.mark.parametrize("storage", ["postgresql"], indirect=True)
def test_reports_that_another_program_is_in_the_way_of_are_read_again(sent: Desk) -> None:
    """Somebody else has the suppression and wants the person; the reader has the person and wants the
    suppression. PostgreSQL ends the one who has waited for a second; SQLite has one writer at a time."""
    store = sent.store
    store.subscribers.suppress("reader3@example.org", SuppressionReason.UNSUBSCRIBED, source="x", at=NOW)
    assert sent.tell("complaint", 3).status_code == 200
    waits = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def blocked() -> bool:
        with store.engine.connect() as other:
            return bool(other.execute(waits).scalar_one())

    with ThreadPoolExecutor(1) as pool, store.engine.begin() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        lock = "SELECT 1 FROM {} WHERE address_key = 'reader3@example.org' FOR UPDATE"
        connection.execute(text(lock.format("suppression"))).all()
        done = pool.submit(digest, store)
        until(blocked)
        connection.execute(text(lock.format("subscriber"))).all()
        connection.commit()
        assert done.result(60).taken.suppressed == 1
    assert sent.suppression(3) is SuppressionReason.COMPLAINT


def test_a_report_about_someone_erased_names_nobody(sent: Desk) -> None:
    known = sent.store.subscribers.by_key("reader3@example.org")
    assert known is not None
    about = sent.about(3)
    sent.store.subscribers.erase(known.id, shadow="shadow", at=sent.now)
    suppressions = len(sent.rows(tables.suppression))
    assert sent.post("resend", RESEND.call("hard_bounce", about)).status_code == 200
    assert digest(sent.store).taken.new == 1
    assert len(sent.rows(tables.suppression)) == suppressions


def test_the_address_the_letter_went_to_is_suppressed_not_the_new_one(sent: Desk) -> None:
    with sent.store.engine.begin() as connection:
        connection.execute(
            update(tables.subscriber)
            .where(tables.subscriber.c.address_key == "reader3@example.org")
            .values(address="new3@example.org", address_key="new3@example.org")
        )
    sent.told("hard_bounce", 3)
    assert sent.suppression(3) is SuppressionReason.HARD_BOUNCE
    assert sent.store.subscribers.suppression("new3@example.org") is None


# In any order

KINDS = ("accepted", "delivered", "soft_bounce", "hard_bounce", "complaint")
ORDERS = list(itertools.permutations(KINDS))


@pytest.mark.fault(72)
@pytest.mark.fault(76)
@pytest.mark.parametrize("people", [len(ORDERS)])
def test_the_end_is_the_same_for_every_order(desk: Desk, people: int) -> None:
    """Each person gets the reports in an order of their own, while their letter is still in doubt."""
    lost = ScriptedEsp(lambda _n, _r: answered(AnswerClass.UNCERTAIN), keyed=False, max_batch=people)
    desk.run(lost, batch_size=people, canary=0, doubt=Doubt.ASK)
    assert desk.counts() == Counts(frozen=people, uncertain=people)
    places = list(range(1, people + 1))
    abouts = {place: desk.about(place) for place in places}
    for step in range(len(KINDS)):
        for place, order in zip(places, ORDERS, strict=True):
            kind = order[step]
            at = NOW + timedelta(minutes=1 + KINDS.index(kind))
            about = replace(abouts[place], id=f"{place}-{kind}", at=at)
            assert desk.post("resend", RESEND.call(kind, about, now=desk.now)).status_code == 200
        digest(desk.store)
    assert desk.counts() == Counts(frozen=people, accepted=people)
    assert {desk.suppression(place) for place in places} == {SuppressionReason.COMPLAINT}
    soft = {(row.soft_bounces, row.soft_since) for row in desk.rows(tables.subscriber)}
    assert soft == {(0, None)}
    assert desk.store.events.counts(desk.edition.id) == {EventKind(kind): people for kind in KINDS}


@pytest.mark.fault(76)
@pytest.mark.standard("D-06")
def test_delivered_after_complained_stays_suppressed(sent: Desk) -> None:
    sent.told("complaint", 3)
    sent.told("delivered", 3)
    sent.told("accepted", 3)
    assert sent.suppression(3) is SuppressionReason.COMPLAINT


@pytest.mark.parametrize("first", ["unsubscribed", "complaint"])
def test_a_complaint_outweighs_a_wish_to_leave_whichever_came_first(sent: Desk, first: str) -> None:
    second = {"unsubscribed": "complaint", "complaint": "unsubscribed"}[first]
    sent.told(first, 3, provider=LETTERMINT)
    sent.told(second, 3, provider=LETTERMINT)
    assert sent.suppression(3) is SuppressionReason.COMPLAINT
    known = sent.store.subscribers.by_key("reader3@example.org")
    assert known is not None
    assert known.state == "unsubscribed"


def test_who_leaves_by_the_provider_s_link_has_left_here_and_may_come_back(sent: Desk) -> None:
    sent.now += timedelta(hours=2)
    about = sent.about(3, at=sent.now - timedelta(hours=1))
    call = LETTERMINT.call("unsubscribed", about, now=sent.now)
    assert sent.post("lettermint", call).status_code == 200
    digest(sent.store)
    known = sent.store.subscribers.by_key("reader3@example.org")
    assert known is not None
    assert known.state == "unsubscribed"
    assert sent.suppression(3) is SuppressionReason.UNSUBSCRIBED
    assert sent.store.subscribers.consents(known.id)[-1].source == "lettermint"
    later = sent.now + timedelta(days=1)
    asked = sent.store.subscribers.request(
        normalise("reader3@example.org"), name="", language="nl", consent=builders.imported(later)
    )
    assert asked is not None
    assert sent.store.subscribers.confirm(known.id, at=later, how="page")
    late = LETTERMINT.call("unsubscribed", replace(about, id="late"), now=sent.now)
    assert sent.post("lettermint", late).status_code == 200
    digest(sent.store)
    again = sent.store.subscribers.by_id(known.id)
    assert again is not None
    assert again.state == "active", "a report from before they came back does not throw them out"


# Mailboxes that keep refusing


def more_editions(desk: Desk, *days: date) -> list[Edition]:
    made = []
    for day in days:
        edition = desk.store.editions.create(
            builders.slot(day),
            builders.brief(),
            builders.mailing(edition=day.isoformat()),
            now=NOW,
            approved=True,
        )
        assert edition is not None
        desk.store.editions.freeze(edition, provider="scripted", now=NOW)
        made.append(edition)
    return made


SOFT_WEEKS = [date(2026, 12, 6), date(2026, 12, 13), date(2026, 12, 20)]


@pytest.mark.parametrize(
    ("story", "refusing"),
    [
        ("soft soft soft", True),
        ("soft soft", False),
        ("soft delivered soft soft", False),
        ("soft soft nothing soft", True),
        ("delivered soft soft soft", True),
        ("soft soft soft delivered", False),
    ],
)
def test_a_mailbox_that_refuses_three_editions_over_a_fortnight_is_given_up(
    sent: Desk, story: str, refusing: bool
) -> None:
    """In the order in which it happened and in the reverse: the reports may come in any."""
    editions = [sent.edition, *more_editions(sent, *SOFT_WEEKS)]
    reports = [
        (kind if kind == "delivered" else "soft_bounce", edition, NOW + timedelta(weeks=week))
        for week, (kind, edition) in enumerate(zip(story.split(), editions, strict=False))
        if kind != "nothing"
    ]
    sent.now = NOW + timedelta(weeks=4)
    for place, order in ((3, reports), (4, list(reversed(reports)))):
        for kind, edition, at in order:
            sent.told(kind, place, of=edition, at=at)
            sent.told("deferred", place, of=edition, at=at)
            sent.told(kind, place, of=edition, at=at + timedelta(seconds=5))
    wanted = SuppressionReason.HARD_BOUNCE if refusing else None
    assert sent.suppression(3) is wanted
    assert sent.suppression(4) is wanted
    sources = {row.source for row in sent.rows(tables.suppression)}
    assert sources == ({KEEPS_REFUSING} if refusing else set())


def test_three_refusals_within_a_fortnight_are_not_enough(sent: Desk) -> None:
    editions = [sent.edition, *more_editions(sent, *SOFT_WEEKS)]
    for days, edition in enumerate(editions[:3]):
        sent.told("soft_bounce", 3, of=edition, at=NOW + timedelta(days=6 * days))
    assert sent.suppression(3) is None


def test_an_arrival_ends_what_refusals_began_and_nothing_else(sent: Desk) -> None:
    editions = [sent.edition, *more_editions(sent, *SOFT_WEEKS)]
    sent.now = NOW + timedelta(weeks=4)
    for week, edition in enumerate(editions[:3]):
        sent.told("soft_bounce", 3, 4, of=edition, at=NOW + timedelta(weeks=week))
    sent.told("complaint", 4)
    sent.told("delivered", 3, 4, of=editions[3], at=NOW + timedelta(weeks=3))
    assert sent.suppression(3) is None
    assert sent.suppression(4) is SuppressionReason.COMPLAINT


# While an edition is on its way


@pytest.mark.fault(73)
def test_reports_clear_a_doubt_and_nobody_gets_a_second_letter(desk: Desk) -> None:
    lost = ScriptedEsp(keyed=False)

    def first_is_lost(number: int, request: Request) -> Answer | None:
        if number > 1:
            return None
        lost.accept(request)
        return answered(AnswerClass.UNCERTAIN)

    lost._script = first_is_lost
    desk.run(lost, doubt=Doubt.ASK)
    assert desk.counts() == Counts(frozen=PEOPLE, pending=20, uncertain=5)
    assert desk.told("delivered", 1, 2, 3).taken.proven == 3
    assert desk.counts() == Counts(frozen=PEOPLE, pending=20, uncertain=2, accepted=3)
    desk.told("soft_bounce", 4)
    desk.told("rejected", 5)
    assert desk.counts() == Counts(frozen=PEOPLE, pending=20, accepted=5)
    desk.store.editions.resume(desk.edition, who="Marijke", now=NOW)
    desk.run(lost)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(lost.truth.values()) == {1}


@pytest.mark.fault(73)
def test_who_was_given_up_is_found_again(desk: Desk) -> None:
    lost = ScriptedEsp(lambda n, r: answered(AnswerClass.UNCERTAIN) if n == 1 else None, keyed=False)
    for _ in range(2):
        desk.run(lost)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=20, unconfirmed=5)
    desk.store.editions.finish(desk.edition, now=NOW)
    desk.told("delivered", 1, 2, 3, 4, 5)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert desk.store.doubts.listed() == []
    assert {row.state for row in desk.rows(tables.batch)} == {"accepted"}


@pytest.mark.fault(73)
def test_a_doubt_cleared_in_part_is_asked_for_again_with_the_same_bytes(desk: Desk) -> None:
    """With a key: the request must be the one it was, though some of its people are known to have it."""
    esp = ScriptedEsp()

    def first_is_lost(number: int, request: Request) -> Answer | None:
        if number > 1:
            return None
        esp.accept(request)
        desk.told("delivered", 1, 2)
        return answered(AnswerClass.UNCERTAIN)

    esp._script = first_is_lost
    sending = desk.run(esp)
    assert sending.stopped is StopReason.NONE, sending.why
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(esp.truth.values()) == {1}
    assert esp.calls[0].body == esp.calls[1].body


@pytest.mark.fault(73)
@pytest.mark.parametrize("keyed", [True, False])
def test_a_report_that_clears_a_doubt_under_a_sender_at_work(desk: Desk, keyed: bool) -> None:
    """It comes between the sender's look at the batch and what the sender would have done about it."""
    esp = ScriptedEsp(keyed=keyed)

    def first_is_lost(number: int, request: Request) -> Answer | None:
        if number > 1:
            return None
        esp.accept(request)
        return answered(AnswerClass.UNCERTAIN)

    esp._script = first_is_lost
    sending = desk.sending(esp)
    real = sending._ledger.reclaim if keyed else sending._ledger.write_off

    def at_that_moment(*args: Any, **more: Any) -> Any:
        desk.told("delivered", 1, 2, 3, 4, 5)
        return real(*args, **more)

    setattr(sending._ledger, "reclaim" if keyed else "write_off", at_that_moment)
    sending.run()
    assert sending.stopped is StopReason.NONE, sending.why
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(esp.truth.values()) == {1}


@pytest.mark.fault(74)
@pytest.mark.parametrize("kind", ["accepted", "delivered", "hard_bounce", "complaint"])
def test_a_report_that_comes_before_the_answer_changes_nothing_wrongly(desk: Desk, kind: str) -> None:
    esp = ScriptedEsp()

    def reports_first(number: int, request: Request) -> Answer | None:
        answer = esp.accept(request)
        if number == 2:
            desk.told(kind, 6, 7, 15)
        return answer

    esp._script = reports_first
    sending = desk.run(esp)
    assert sending.stopped in (StopReason.NONE, StopReason.HELD), sending.why
    if kind != "complaint":
        assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(esp.truth.values()) == {1}
    assert {desk.state(place) for place in (6, 7, 15)} == {DeliveryState.ACCEPTED}
    assert all(row.state == "accepted" for row in desk.rows(tables.batch))


@pytest.mark.fault(74)
@pytest.mark.parametrize(
    "answer",
    [
        answered(AnswerClass.REFUSED, http_status=422),
        answered(AnswerClass.NOT_SENT, http_status=429),
        answered(AnswerClass.UNCERTAIN),
    ],
    ids=["refused", "not sent", "uncertain"],
)
def test_an_answer_that_denies_what_a_report_proves_sends_nobody_a_second_letter(
    desk: Desk, answer: Answer
) -> None:
    """The provider took the second batch, says that it did not, and its reports came first."""
    esp = ScriptedEsp()

    def denies(number: int, request: Request) -> Answer | None:
        if number != 2:
            return None
        esp.accept(request)
        desk.told("delivered", *range(6, 16))
        return answer

    esp._script = denies
    desk.run(esp)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(esp.truth.values()) == {1}


@pytest.mark.fault(74)
def test_an_answer_that_leaves_out_whom_a_report_proves_sends_no_second_letter(desk: Desk) -> None:
    esp = ScriptedEsp()

    def later(number: int, request: Request) -> Answer | None:
        if number != 2:
            return None
        esp.accept(request)
        desk.told("delivered", 6)
        receipts = [
            Receipt(delivery_id=r.delivery_id, state=DeliveryState.REFUSED, reason="busy", again=True)
            if n == 0
            else Receipt(delivery_id=r.delivery_id, state=DeliveryState.ACCEPTED, provider_id=f"p{n}")
            for n, r in enumerate(request.recipients)
        ]
        return Answer(kind=AnswerClass.ACCEPTED, receipts=tuple(receipts), http_status=200)

    esp._script = later
    desk.run(esp)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert set(esp.truth.values()) == {1}


@pytest.mark.fault(79)
@pytest.mark.parametrize("kind", ["hard_bounce", "complaint"])
def test_a_bounce_or_complaint_reported_between_batches_keeps_out_of_later_ones(
    desk: Desk, kind: str
) -> None:
    """About a letter of the week before, while this week's goes out."""
    (next_week,) = more_editions(desk, SOFT_WEEKS[0])
    desk.run(ScriptedEsp())
    this_week, desk.edition = desk.edition, next_week
    holder: list[ScriptedEsp] = []

    def reports(number: int, _request: Request) -> Answer | None:
        if number == 1:
            desk.told(kind, 2, 20, of=this_week)
        return None

    holder.append(ScriptedEsp(reports))
    desk.run(holder[0])
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader20@example.org" not in holder[0].truth
    assert desk.row(20).reason == "suppressed"


@pytest.mark.fault(32)
def test_a_report_about_a_letter_never_handed_over_stops_the_edition(desk: Desk) -> None:
    """The database was put back to before the letter left; the provider knows better."""
    done = desk.told("delivered", 8)
    assert done.taken.proven == 1
    assert desk.hold() == RESTORED
    esp = ScriptedEsp()
    assert desk.run(esp).stopped is StopReason.HELD
    assert not esp.truth
    desk.store.editions.resume(desk.edition, who="Marijke", now=NOW)
    desk.run(esp)
    assert desk.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert "reader8@example.org" not in esp.truth


# The brake


def stopping(desk: Desk, kind: str, numbers: dict[int, int], **pace: Any) -> tuple[Sending, ScriptedEsp]:
    """Send; after the n-th answer, so many of those it took are reported."""
    esp = ScriptedEsp()
    before = [0]

    def reports(number: int, request: Request) -> Answer | None:
        how_many = numbers.get(before[0], 0)
        before[0] = number
        if how_many:
            taken = [row.ordinal for row in desk.rows(tables.delivery) if row.state == DeliveryState.ACCEPTED]
            known = {row.delivery_id for row in desk.rows(tables.event)}
            fresh = [place for place in taken if desk.row(place).delivery_id not in known]
            desk.told(kind, *fresh[:how_many])
        return None

    esp._script = reports
    return desk.run(esp, **pace), esp


@pytest.mark.parametrize("people", [80])
@pytest.mark.parametrize(("kind", "number"), [("hard_bounce", 20), ("complaint", 3)])
def test_too_many_bounces_or_complaints_stop_the_edition_with_the_numbers(
    desk: Desk, people: int, kind: str, number: int
) -> None:
    sending, esp = stopping(desk, kind, {4: number})
    assert sending.stopped is StopReason.HELD
    reason = desk.hold()
    assert reason is not None
    assert f"{number} of 35" in reason
    assert len(esp.truth) == 45, "the batch that was on its way is the last"
    assert desk.counts().pending == people - 45
    desk.store.editions.resume(desk.edition, who="Marijke", now=NOW + timedelta(minutes=1))
    desk.now = NOW + timedelta(minutes=2)
    again, more = stopping(desk, kind, {1: number - 1})
    assert again.stopped is StopReason.NONE, "what a person has seen does not count again"
    assert desk.hold() is None
    assert not set(more.truth) & set(esp.truth)


@pytest.mark.parametrize("people", [80])
@pytest.mark.parametrize(("kind", "number"), [("hard_bounce", 19), ("complaint", 2), ("soft_bounce", 30)])
def test_fewer_do_not_stop_it(desk: Desk, people: int, kind: str, number: int) -> None:
    sending, _esp = stopping(desk, kind, {4: number})
    assert sending.stopped is StopReason.NONE
    assert desk.hold() is None
    assert sum(desk.counts().__getattribute__(name) for name in ("accepted", "skipped")) == people


# Many at once


def posting(desk: Desk, calls: list[Sent]) -> None:
    """All of them, by eight clients at once; each must be told that it was taken."""
    where = urlsplit(desk.base)

    def some(number: int) -> set[int]:
        web, told = HTTPConnection(where.hostname or "", where.port, timeout=60), set()
        for call in calls[number::8]:
            web.request("POST", "/hooks/resend", body=call.body, headers=dict(call.headers))
            with web.getresponse() as answer:
                answer.read()
                told.add(answer.status)
        web.close()
        return told

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(some, range(8))) == {200}


@pytest.mark.fault(77)
@pytest.mark.parametrize("people", [500])
def test_a_burst_is_stored_whole_and_the_edition_goes_on(desk: Desk, people: int) -> None:
    """2,500 calls at once while an edition leaves and a reader reads: none is lost, nobody waits for ever.
    More of them in `test_faults_burst.py`."""
    abouts = [desk.about(place) for place in range(1, people + 1)]
    calls = [
        RESEND.call(kind, replace(about, id=f"{about.delivery}-{kind}"), now=desk.now)
        for kind in ("accepted", "deferred", "delivered", "soft_bounce", "rejected")
        for about in abouts
    ]
    esp, bell = ScriptedEsp(max_batch=50), threading.Event()
    sending = desk.sending(esp, batch_size=50, canary=0)
    with events.reading(desk.store, bell=bell, every=0.2):
        sender = threading.Thread(target=sending.run)
        sender.start()
        posting(desk, calls)
        sender.join(120)
        assert not sender.is_alive()
    digest(desk.store)
    found = desk.store.events.counts(desk.edition.id)
    assert found == {
        EventKind.ACCEPTED: people,
        EventKind.DEFERRED: people,
        EventKind.DELIVERED: people,
        EventKind.SOFT_BOUNCE: people,
        EventKind.REJECTED: people,
    }
    assert desk.number_of(tables.incoming) == 0
    if desk.hold() == RESTORED:  # a report came before its letter left, as only a test can make it
        desk.store.editions.resume(desk.edition, who="Marijke", now=NOW)
        desk.run(esp, batch_size=50, canary=0)
    assert desk.counts() == Counts(frozen=people, accepted=people)
    assert max(esp.truth.values(), default=1) == 1


@pytest.mark.fault(77)
def test_what_cannot_be_stored_is_not_acknowledged(storage: str) -> None:
    """The provider tries again what we did not store."""
    stored: list[Raw] = []

    def full_at_first(calls: Sequence[Raw]) -> None:
        stored.extend(calls)
        if len(stored) == 1:
            raise OSError("no space left")

    def rooms(_store: Store, clock: Clock) -> list[Hooks]:
        return [Hooks(full_at_first, secrets=ALL_SECRETS, clock=clock)]

    call = RESEND.call("complaint", About())
    with newsletter_site(storage, at=About().at, rooms=rooms) as site, httpx.Client() as web:
        for status in (500, 200):
            answer = web.post(f"{site.base}/hooks/resend", content=call.body, headers=dict(call.headers))
            assert answer.status_code == status


@pytest.mark.fault(77)
@pytest.mark.parametrize("people", [120])
def test_reports_sending_leaving_and_erasing_all_at_once(desk: Desk, people: int) -> None:
    """Nobody waits for anybody in a circle, and all of it is done."""
    esp, store = ScriptedEsp(max_batch=10), desk.store
    numbers = {place: desk.row(place).subscriber_id for place in range(1, people + 1)}
    abouts = {place: desk.about(place) for place in numbers}
    sending, stop = desk.sending(esp, canary=0, concurrency=2), threading.Event()

    def tell(kind: str, places: range) -> None:
        abouts_of_it = [replace(abouts[place], id=f"{kind}-{place}") for place in places]
        posting(desk, [RESEND.call(kind, about, now=desk.now) for about in abouts_of_it])

    def read() -> None:
        while not stop.is_set():
            digest(store)

    def go(people: range) -> None:
        for place in people:
            store.subscribers.unsubscribe(numbers[place], at=NOW, how="page")

    def erase(people: range) -> None:
        for place in people:
            store.subscribers.erase(numbers[place], shadow=f"shadow-{place}", at=NOW)

    with ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        work = [
            pool.submit(sending.run),
            *(pool.submit(tell, kind, range(1, 61)) for kind in ("delivered", "soft_bounce", "rejected")),
            *(pool.submit(tell, kind, range(61, 81)) for kind in ("hard_bounce", "deferred")),
            pool.submit(go, range(50, 90)),
            pool.submit(erase, range(40, 100)),
        ]
        for each in work:
            each.result(120)
        stop.set()
        for reader in readers:
            reader.result(120)
    digest(store)
    counts = desk.counts()
    assert counts.uncertain == counts.unconfirmed == counts.refused == 0
    assert max(esp.truth.values(), default=1) == 1
    found = store.events.counts(desk.edition.id)
    assert found[EventKind.DELIVERED] == found[EventKind.SOFT_BOUNCE] == found[EventKind.REJECTED] == 60
    assert found[EventKind.HARD_BOUNCE] == 20
    assert desk.number_of(tables.incoming) == 0


def test_neither_a_secret_nor_an_address_reaches_the_log(
    sent: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for provider in providers().values():
        true = provider.call("complaint", sent.about(3))
        sent.post(provider.name, true)
        sent.post(provider.name, replace(true, path=f"/{webhooks.SECRET}x"))
        sent.post(provider.name, Sent(body=true.body))
    sent.post("resend", RESEND.prove(b"[7]", sent.now, About()))
    digest(sent.store)
    ours = "\n".join(
        record.getMessage() + (record.exc_text or "")
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))
    )
    assert "/hooks/postmark/…" in ours
    assert "canary" not in ours
    assert webhooks.SECRET[:12] not in ours
    assert "reader3@example.org" not in ours
    assert "cannot be read" in ours


# A process that dies


@pytest.mark.fault(13)
@pytest.mark.parametrize("place", ["call stored", "before reports commit"])
def test_a_kill_while_a_report_is_handled_loses_and_doubles_nothing(
    tmp_path: Path, storage: str, place: str
) -> None:
    with faulty(tmp_path / "brief", storage, concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        letter.ask("run", "--now", "2026-11-29T08:05", "--json")
        letter.more = {"RESEND_WEBHOOK_SECRET": webhooks.WHSEC}
        with letter.store() as store, store.engine.connect() as connection:
            here = store.installation.id
            rows = connection.execute(select(tables.delivery).order_by(tables.delivery.c.ordinal)).all()
        now = datetime.now(UTC)
        about = About(installation=here, delivery=rows[2].delivery_id, address="x@example.org", at=now)
        call = RESEND.call("complaint", about)
        assert _posted(letter, call, WEEKBRIEF_CRASH_AT=place) in (None, 200)
        assert _posted(letter, call) == 200, "the provider did not hear from us, and tries again"

        with letter.store() as store:
            digest(store)
            assert store.incoming.unread() == (0, 0)
        with letter.store() as store, store.engine.connect() as connection:
            assert connection.execute(select(func.count()).select_from(tables.event)).scalar_one() == 1
            reasons = connection.execute(select(tables.suppression.c.reason)).scalars().all()
            assert reasons == ["complaint"]


def _posted(letter: Any, call: Sent, **more: str) -> int | None:
    """What a service that lives for this call answers; None when it died of it."""
    process = letter.start("serve", "--port", "0", **more)
    try:
        line = ""
        while "http://127" not in line:
            line = process.stderr.readline()
            assert line, "the service did not start"
        base = "http://127" + line.split("http://127")[1].split()[0].rstrip(".")
        try:
            answer = httpx.post(
                f"{base}/hooks/resend", content=call.body, headers=dict(call.headers), timeout=20
            )
            status: int | None = answer.status_code
        except httpx.HTTPError:
            status = None
        if more:
            process.wait(30)
        return status
    finally:
        if process.poll() is None:
            kill(process)
        process.communicate()


# Amazon's topic


@pytest.mark.skipif(not webhooks.HAS_OPENSSL, reason="no openssl to make keys and signatures with")
def test_the_operator_s_own_topic_is_confirmed_and_no_other_address_is_opened(
    sent: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(ses, "fetch", lambda url: opened.append(url) or b"<ok/>")  # type: ignore[func-returns-value]
    good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    for number, url in enumerate(
        (good, "https://169.254.169.254/", "https://sns.eu-central-1.amazonaws.com.evil.example/")
    ):
        fields = {"Type": "SubscriptionConfirmation", "Message": "m", "Token": "t", "SubscribeURL": url}
        call = webhooks.sns(fields, sent.now, f"m-{number}")
        assert sent.post("ses", call).status_code == 200
    assert opened == []
    assert digest(sent.store).calls == 3
    assert opened == [good]


def test_rows_of_calls_are_read_some_at_a_time(sent: Desk) -> None:
    big = json.dumps({"type": "x", "filler": "y" * 900_000}).encode()
    with sent.store.engine.begin() as connection:
        row = {"provider": "resend", "received_at": NOW, "body": big, "headers": "{}"}
        connection.execute(insert(tables.incoming), [row] * 5)
    assert len(sent.store.incoming.waiting(limit=100)) == 2
    assert digest(sent.store).calls == 5


class Once:
    """Stands in for a method of the store that fails once with what a database suffers in passing."""

    def __init__(self, real: Any, *, call: int) -> None:
        self.real, self.call, self.calls = real, call, 0

    def __get__(self, store: Any, _kind: Any) -> Any:
        return lambda *given, **named: self(store, *given, **named)

    def __call__(self, store: Any, *given: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self.call:
            raise StorageTrouble("the connection to the database broke; run again", passing=True)
        return self.real(store, *given, **named)


@pytest.mark.fault(79)
@pytest.mark.parametrize("people", [80])
@pytest.mark.parametrize(("method", "call"), [("_take", 2), ("stop", 1)])
def test_the_brake_is_not_lost_to_a_database_that_fails_in_passing(
    desk: Desk, method: str, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a first transaction noted is nothing new to the next look, and counts all the same."""

    def report(number: int, _request: Request) -> None:
        if number != 4:
            return
        for place in (1, 2, 3):
            assert desk.tell("complaint", place).status_code == 200
        for place in range(1, 26):
            for kind in ("delivered", "deferred", "soft_bounce", "rejected"):
                assert desk.tell(kind, place).status_code == 200
        monkeypatch.setattr(Events, method, Once(getattr(Events, method), call=call))
        with pytest.raises(StorageTrouble):
            digest(desk.store)
        digest(desk.store)

    desk.sending(ScriptedEsp(report)).run()
    assert desk.hold() is not None
