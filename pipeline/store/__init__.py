"""What we remember: one database, SQLite or PostgreSQL, behind a few narrow doors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Engine, event

from pipeline.store import broken_text
from pipeline.store.counting import Counts, check_sum, counts
from pipeline.store.editions import Editions
from pipeline.store.engine import open_engine
from pipeline.store.events import Events
from pipeline.store.incoming import Incoming
from pipeline.store.installation import Installation, Installations
from pipeline.store.ledger import Ledger
from pipeline.store.lock import sender_lock
from pipeline.store.schema import migrate
from pipeline.store.shadows import Shadows

if TYPE_CHECKING:
    from pipeline.store.consents import Consents
    from pipeline.store.doubts import Doubts
    from pipeline.store.joins import JoinCounts
    from pipeline.store.preferences import Preferences
    from pipeline.store.requests import Requests
    from pipeline.store.subscribers import Subscribers
    from pipeline.store.suppressions import Suppressions

__all__ = ["Counts", "Store", "open_store", "sender_lock"]


@dataclass(frozen=True, kw_only=True)
class Store:
    """The database, opened, checked and brought to the schema this program needs.

    What a run with nothing out of the ordinary never asks for is loaded when it is.
    """

    engine: Engine
    installation: Installation
    installations: Installations
    shadows: Shadows
    editions: Editions
    incoming: Incoming
    events: Events

    @cached_property
    def subscribers(self) -> Subscribers:
        from pipeline.store.subscribers import Subscribers

        return Subscribers(self.engine, self.shadows)

    @cached_property
    def preferences(self) -> Preferences:
        from pipeline.store.preferences import Preferences

        return Preferences(self.engine, self.shadows)

    @cached_property
    def consents(self) -> Consents:
        from pipeline.store.consents import Consents

        return Consents(self.engine)

    @cached_property
    def joins(self) -> JoinCounts:
        from pipeline.store.joins import JoinCounts

        return JoinCounts(self.engine)

    @cached_property
    def requests(self) -> Requests:
        from pipeline.store.requests import Requests

        return Requests(self.engine)

    @cached_property
    def doubts(self) -> Doubts:
        from pipeline.store.doubts import Doubts

        return Doubts(self.engine)

    @cached_property
    def suppressions(self) -> Suppressions:
        from pipeline.store.suppressions import Suppressions

        return Suppressions(self.engine, self.shadows)

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
        editions=Editions(engine),
        incoming=Incoming(engine),
        events=Events(engine, shadows),
    )
