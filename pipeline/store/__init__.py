"""What we remember: one database, SQLite or PostgreSQL, behind a few narrow doors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, event

from pipeline.store import broken_text
from pipeline.store.consents import Consents
from pipeline.store.doubts import Doubts
from pipeline.store.editions import Editions
from pipeline.store.engine import open_engine
from pipeline.store.events import Events
from pipeline.store.incoming import Incoming
from pipeline.store.installation import Installation, Installations
from pipeline.store.joins import JoinCounts
from pipeline.store.ledger import Counts, Ledger, check_sum, counts
from pipeline.store.lock import sender_lock
from pipeline.store.preferences import Preferences
from pipeline.store.requests import Requests
from pipeline.store.schema import migrate
from pipeline.store.shadows import Shadows
from pipeline.store.subscribers import Subscribers
from pipeline.store.suppressions import Suppressions

__all__ = ["Counts", "Store", "open_store", "sender_lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The database, opened, checked and brought to the schema this program needs."""

    engine: Engine
    installation: Installation
    installations: Installations
    shadows: Shadows
    subscribers: Subscribers
    preferences: Preferences
    consents: Consents
    joins: JoinCounts
    requests: Requests
    editions: Editions
    doubts: Doubts
    incoming: Incoming
    events: Events
    suppressions: Suppressions

    def ledger(self, edition_id: int, *, epoch: int, provider: str) -> Ledger:
        return Ledger(self.engine, edition_id=edition_id, epoch=epoch, provider=provider)

    def counts(self, edition_id: int) -> Counts:
        return counts(self.engine, edition_id)

    def check_sum(self, edition_id: int) -> Counts:
        return check_sum(self.engine, edition_id)

    def close(self) -> None:
        self.engine.dispose()


def open_store(storage: str, *, now: datetime) -> Store:
    """Open `sqlite:///path` or `postgresql://…`, migrating it first. Raises `StorageError`."""
    engine = open_engine(storage)
    event.listen(engine, "handle_error", broken_text.in_plain_words, retval=True)
    installations = Installations(engine)
    try:
        migrate(engine)
        installation = installations.ensure(now=now)
    except BaseException:
        engine.dispose()
        raise
    shadows = Shadows()
    return Store(
        engine=engine,
        installation=installation,
        installations=installations,
        shadows=shadows,
        subscribers=Subscribers(engine, shadows),
        preferences=Preferences(engine, shadows),
        consents=Consents(engine),
        joins=JoinCounts(engine),
        requests=Requests(engine),
        editions=Editions(engine),
        doubts=Doubts(engine),
        incoming=Incoming(engine),
        events=Events(engine, shadows),
        suppressions=Suppressions(engine, shadows),
    )
