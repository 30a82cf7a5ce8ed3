"""The public pages on a real server: uvicorn in a thread, on loopback, as `weekbrief serve` sets it up, with
the real store behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import uvicorn
from sqlalchemy import select, update
from starlette.types import ASGIApp

from emails.edition import Mailbox, Newsletter
from pipeline.service import listening
from pipeline.settings import Web
from pipeline.store import Store, open_store, tables
from pipeline.store.facts import facts_of
from pipeline.web import Room, create_app, server_config
from pipeline.web.metrics import Metrics
from subscribers.addresses import normalise
from subscribers.asking import Ask
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.notices import Notice
from subscribers.suppression import SuppressionReason
from subscribers.tokens import Signer
from tests.fakes import FakeClock

SECRET = b"a secret for tests, and for nothing else"
DAY = timedelta(days=1)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The base URL of `app`, served until the block ends."""
    listener = listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(server_config(app, host="127.0.0.1", port=port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started, "the server did not start within 10 seconds"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listener.close()


@dataclass
class Site:
    """A newsletter with its pages, for one test."""

    base: str
    opened: Store
    signer: Signer
    newsletter: Newsletter
    clock: FakeClock
    asked: list[Ask] = field(default_factory=list)
    noticed: list[Notice] = field(default_factory=list)
    refuse_to_send: list[Exception] = field(default_factory=list)

    def send_confirmation(self, ask: Ask) -> None:
        if self.refuse_to_send:
            raise self.refuse_to_send.pop()
        self.asked.append(ask)

    def send_notice(self, notice: Notice) -> None:
        if self.refuse_to_send:
            raise self.refuse_to_send.pop()
        self.noticed.append(notice)

    def reader(self, address: str = "lena@voorbeeld.example", language: str = "nl") -> int:
        """Someone who gets the letter; their number."""
        consent = ConsentRecord(
            kind=ConsentKind.ADDED,
            wording="",
            source="test",
            page="",
            language=language,
            occurred_at=self.clock(),
        )
        known = normalise(address)
        self.opened.subscribers.add_confirmed(known, name="", language=language, consent=consent)
        found = self.opened.subscribers.by_key(known.key)
        assert found is not None
        return found.id

    def stamp(self, seconds_ago: float = 30) -> str:
        """That of a form which was opened that long ago."""
        return self.signer.stamp(self.clock() - timedelta(seconds=seconds_ago))

    def unsubscribe_url(self, subscriber_id: int) -> str:
        return f"{self.base}/u/{self.signer.unsubscribe_token(subscriber_id)}"

    def confirm_url(self, ask: Ask) -> str:
        """The link of a confirmation message, on the port of this test."""
        return self.base + ask.url.removeprefix(self.newsletter.url)

    def state(self, subscriber_id: int) -> str:
        found = self.opened.subscribers.by_id(subscriber_id)
        return found.state if found else "gone"

    def suppression(self, address: str) -> SuppressionReason | None:
        return self.opened.subscribers.suppression(normalise(address).key)

    def suppress(self, address: str, reason: SuppressionReason) -> None:
        key = normalise(address).key
        self.opened.subscribers.suppress(key, reason, source="test", at=self.clock())

    def consents(self, subscriber_id: int) -> list[tuple[str, str, str, str]]:
        """Kind, wording, source and page of each record, oldest first."""
        records = self.opened.subscribers.consents(subscriber_id)
        return [(record.kind, record.wording, record.source, record.page) for record in records]

    def erase(self, subscriber_id: int) -> None:
        """What an erasure leaves: a number."""
        gone = {"state": "erased", "address": None, "address_key": None, "name": ""}
        with self.opened.engine.begin() as connection:
            connection.execute(
                update(tables.subscriber).where(tables.subscriber.c.id == subscriber_id).values(gone)
            )

    def everything(self) -> list[list[tuple[object, ...]]]:
        """All rows about people: equal before and after means that nothing changed."""
        with self.opened.engine.begin() as connection:
            return [
                [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
                for table in (tables.subscriber, tables.suppression, tables.consent)
            ]

    def wait_for_notices(self, number: int) -> list[Notice]:
        """As below, for the other letters; gives them."""
        deadline = time.monotonic() + 5
        while len(self.noticed) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.noticed) == number
        return self.noticed

    def wait_for_asks(self, number: int) -> None:
        """Confirmation messages leave after the answer: wait for `number` of them, five seconds."""
        deadline = time.monotonic() + 5
        while len(self.asked) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.asked) == number


@contextmanager
def newsletter_site(
    storage: str,
    *,
    url: str = "http://localhost",
    language: str = "nl",
    join_seconds: float = 0.0,
    web: Web | None = None,
    at: datetime | None = None,
    rooms: Callable[[Store, FakeClock], Sequence[Room]] = lambda _store, _clock: (),
) -> Iterator[Site]:
    """A `Site` on an empty database, being served; `at` is where its clock stands first, `rooms` are more
    pages of it."""
    clock = FakeClock(at) if at else FakeClock()
    opened = open_store(storage, now=clock())
    signer = Signer(SECRET, scope=opened.installation.id)
    opened.shadows.know(signer.shadows)
    site = Site(
        base="",
        opened=opened,
        signer=signer,
        newsletter=Newsletter(
            name="Weekbrief",
            sender=Mailbox(address="brief@voorbeeld.example", name="Gerrit"),
            language=language,
            address="Voorbeeldstraat 1, Utrecht",
            url=url,
        ),
        clock=clock,
    )
    app = create_app(
        opened.subscribers,
        site.signer,
        site.newsletter,
        clock=clock,
        send_confirmation=site.send_confirmation,
        send_notice=site.send_notice,
        joins=opened.joins,
        preferences=opened.preferences,
        web=web,
        join_seconds=join_seconds,
        more=lambda found: [Metrics(found, lambda: facts_of(opened.engine)), *rooms(opened, clock)],
    )
    try:
        with serving(app) as base:
            site.base = base
            yield site
    finally:
        opened.close()
