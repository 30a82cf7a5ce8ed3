"""Evidence of consent, one chain for the whole newsletter (`subscribers.consent`).

Rows are only ever added, and `append` is the one place that adds them. It comes last in its transaction:
then whoever holds the chain waits for no row of a person, and no two writers can wait for each other. On
SQLite there is one writer anyway; on PostgreSQL a lock that ends with the transaction lets one in at a time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, insert, select, text, update

from pipeline.store import tables
from pipeline.store.engine import is_sqlite, readers, writing
from subscribers.consent import ConsentKind, ConsentRecord, Evidence, chained

PAGE: Final = 2_000
"""Rows read at a time."""
SALT_OCTETS: Final = 16
_CHAIN_LOCK: Final = 0x7765656B636F6E73  # "weekcons"

_consent = tables.consent.c


class Consents:
    """Reading the evidence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def chain(self) -> Iterator[Evidence]:
        """All of it, oldest first, a page at a time."""
        last = 0
        while True:
            query = select(tables.consent).where(_consent.id > last).order_by(_consent.id).limit(PAGE)
            with self._readers.connect() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            yield from map(as_evidence, rows)
            last = rows[-1].id

    def of(self, subscriber_id: int) -> list[Evidence]:
        """One person's, oldest first."""
        query = select(tables.consent).where(_consent.subscriber_id == subscriber_id).order_by(_consent.id)
        with self._readers.connect() as connection:
            return [as_evidence(row) for row in connection.execute(query)]

    def forget_networks(self, *, before: datetime) -> int:
        """Remove the text of every network noted before that moment; gives how many. The chain holds."""
        old = (_consent.network.is_not(None), _consent.occurred_at < before)
        with self._readers.connect() as connection:
            if connection.execute(select(_consent.id).where(*old).limit(1)).first() is None:
                return 0
        with writing(self._engine) as connection:
            return connection.execute(update(tables.consent).where(*old).values(_NO_NETWORK)).rowcount


def append(connection: Connection, records: Iterable[tuple[int, ConsentRecord]]) -> None:
    """Add (subscriber's number, record) pairs to the chain. The last thing a transaction does."""
    new = list(records)
    if not new:
        return
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    previous, rows = _head(connection), []
    for subscriber_id, record in new:
        placed = chained(subscriber_id, record, previous=previous, salt=secrets.token_hex(SALT_OCTETS))
        rows.append(_as_row(placed))
        previous = placed.sha256
    connection.execute(insert(tables.consent), rows)


def forget_networks_of(connection: Connection, subscriber_id: int) -> None:
    """Remove the text of one person's networks, within a transaction that erases them."""
    connection.execute(
        update(tables.consent)
        .where(_consent.subscriber_id == subscriber_id, _consent.network.is_not(None))
        .values(_NO_NETWORK)
    )


def as_record(row: Row[Any]) -> ConsentRecord:
    return ConsentRecord(
        kind=ConsentKind(row.kind),
        wording=row.wording,
        source=row.source,
        page=row.page,
        language=row.language,
        occurred_at=row.occurred_at,
        form=row.form,
        network=row.network or "",
    )


def as_evidence(row: Row[Any]) -> Evidence:
    return Evidence(
        number=row.id,
        subscriber_id=row.subscriber_id,
        record=as_record(row),
        network_salt=row.network_salt or "",
        network_sha256=row.network_sha256,
        previous=row.previous,
        sha256=row.sha256,
    )


_NO_NETWORK: Final = {"network": None, "network_salt": None}


def _head(connection: Connection) -> str:
    query = select(_consent.sha256).where(_consent.sha256 != "").order_by(_consent.id.desc()).limit(1)
    head: str | None = connection.execute(query).scalar_one_or_none()
    return head or ""


def _as_row(placed: Evidence) -> dict[str, object]:
    record = placed.record
    return {
        "subscriber_id": placed.subscriber_id,
        "kind": record.kind,
        "wording": record.wording,
        "source": record.source,
        "page": record.page,
        "language": record.language,
        "occurred_at": record.occurred_at,
        "form": record.form,
        "network": record.network or None,
        "network_salt": placed.network_salt or None,
        "network_sha256": placed.network_sha256,
        "previous": placed.previous,
        "sha256": placed.sha256,
    }
