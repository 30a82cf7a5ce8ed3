"""What providers report, and what it means in the ledger.

A call is kept until it is read (`pipeline.store.incoming`). What it reports is noted once, under the
provider's own name for it, and acts in that same transaction, which forgets the call as well: so a death at
any moment either leaves the call to be read again or has done all of it.

Locks on PostgreSQL are taken in one order, so that neither a sender nor an erasure can wait for us in a
circle: people, editions, batches, deliveries, suppressions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, select, text, update

from emails.delivery import BatchState, DeliveryState, EditionState
from emails.events import Event, EventKind
from emails.events.reading import is_delivery
from pipeline.crashpoint import crashpoint
from pipeline.store import tables
from pipeline.store.engine import insert_all_new, is_sqlite, readers, writing
from pipeline.store.suppressions import lift_if, suppress
from subscribers.reports import KEEPS_REFUSING, Reached, keeps_refusing, reason_of, refusals
from subscribers.suppression import SuppressionReason

_incoming, _event, _person, _batch, _edition, _subscriber = (
    tables.incoming.c,
    tables.event.c,
    tables.delivery.c,
    tables.batch.c,
    tables.edition.c,
    tables.subscriber.c,
)

LOOKED_BACK = 60
"""Editions in which a row of refusals is looked for: a year of weeks and some more."""
WITHOUT_EDITION = 26
"""Where a report names no edition: how many of the newest are looked through."""
PROVEN_BY_REPORT = "a report of the provider shows that it was taken"
RESTORED = (
    "the provider reports letters of this edition that this database never handed over: "
    "was it restored from a backup?"
)
_LOCK = 0x7765656B65766E74  # "weekevnt"
_NOTICE = re.compile(r"-(?:confirm|remind|welcome|data)-(\d{1,15})-")
_OPEN = (
    DeliveryState.SUBMITTED,
    DeliveryState.UNCONFIRMED,
    DeliveryState.CLAIMED,
    DeliveryState.PENDING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One event with what its way here is worth."""

    event: Event
    received_at: datetime
    signed: bool
    """The provider surely wrote all of it: its signature covers it, or we asked for it. Otherwise it acts
    only on a delivery whose random id it knows."""
    asked: bool = False
    """From the provider's own records: may name an address (as one person's key) and no delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of some reports."""

    new: int = 0
    repeated: int = 0
    foreign: int = 0
    """New, and about no letter of ours."""
    proven: int = 0
    """Deliveries that are known to have been taken only by this."""
    suppressed: int = 0
    struck: tuple[int, ...] = ()
    """Editions with a new complaint or hard bounce."""

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            new=self.new + other.new,
            repeated=self.repeated + other.repeated,
            foreign=self.foreign + other.foreign,
            proven=self.proven + other.proven,
            suppressed=self.suppressed + other.suppressed,
            struck=tuple(sorted({*self.struck, *other.struck})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Strikes:
    """The numbers that the brake looks at, of one edition that is being sent."""

    edition_id: int
    day: str
    accepted: int
    complaints: int
    bounces: int


class Events:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def about(self, reports: Iterable[Report]) -> list[tuple[Report, int]]:
        """Those of `reports` that are new and about a letter to somebody here, with their number."""
        with self._readers.connect() as connection:
            found = _found(connection, _fresh(connection, reports), _installation(connection))
        return [(each.report, each.subscriber_id) for each in found if each.subscriber_id is not None]

    def take(self, reports: Sequence[Report], *, done: Sequence[int] = ()) -> Taken:
        """Note what is new among `reports`, act on it, and forget the calls `done`: one transaction."""
        with writing(self._engine) as connection:
            if not is_sqlite(connection):
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            told = _found(connection, _each_once(reports), _installation(connection))
            _lock(connection, told)
            found = _note(connection, told)
            proven = _prove(connection, found)
            suppressed = _suppress(connection, found)
            _refusals(connection, found)
            if done:
                connection.execute(delete(tables.incoming).where(_incoming.id.in_(done)))
            crashpoint("before reports commit")
        struck = {each.edition_id for each in found if each.edition_id is not None and each.is_strike}
        return Taken(
            new=len(found),
            repeated=len(reports) - len(found),
            foreign=sum(each.is_foreign for each in found),
            proven=proven,
            suppressed=suppressed,
            struck=tuple(sorted(struck)),
        )

    def strikes(self, edition_id: int) -> Strikes | None:
        """What the brake must know of an edition; None unless it is being sent and not held already. After a
        person let it go on, only what came since counts against it."""
        with self._readers.connect() as connection:
            edition = connection.execute(
                select(_edition.day, _edition.resumed_at)
                .where(_edition.id == edition_id, _edition.state == EditionState.SENDING)
                .where(_edition.hold_reason.is_(None))
            ).one_or_none()
            if edition is None:
                return None
            query = (
                select(_event.kind, func.count(_event.delivery_id.distinct()))
                .where(_event.edition_id == edition_id)
                .where(_event.kind.in_((EventKind.COMPLAINT, EventKind.HARD_BOUNCE)))
                .group_by(_event.kind)
            )
            if edition.resumed_at is not None:
                query = query.where(_event.received_at > edition.resumed_at)
            kinds: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
            accepted: int = connection.execute(
                select(func.count())
                .select_from(tables.delivery)
                .where(_person.edition_id == edition_id, _person.state == DeliveryState.ACCEPTED)
            ).scalar_one()
        return Strikes(
            edition_id=edition_id,
            day=edition.day,
            accepted=accepted,
            complaints=kinds.get(EventKind.COMPLAINT, 0),
            bounces=kinds.get(EventKind.HARD_BOUNCE, 0),
        )

    def stop(self, edition_id: int, *, reason: str) -> bool:
        """Hold an edition that is being sent; False when it is held or over."""
        with writing(self._engine) as connection:
            return _hold(connection, edition_id, reason)

    def counts(self, edition_id: int) -> dict[EventKind, int]:
        """How many people of an edition each kind of report was about."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(_event.kind, func.count(_event.delivery_id.distinct()))
                .where(_event.edition_id == edition_id)
                .group_by(_event.kind)
            )
            return {EventKind(kind): number for kind, number in rows}

    # Asking

    def cursor(self, provider: str) -> str | None:
        """Where the last `sync` of this provider's records ended."""
        with self._readers.connect() as connection:
            found: str | None = connection.execute(
                select(tables.sync_cursor.c.cursor).where(tables.sync_cursor.c.provider == provider)
            ).scalar_one_or_none()
            return found

    def move_cursor(self, provider: str, cursor: str, *, now: datetime) -> None:
        with writing(self._engine) as connection:
            moved = connection.execute(
                update(tables.sync_cursor)
                .where(tables.sync_cursor.c.provider == provider)
                .values(cursor=cursor, at=now)
            ).rowcount
            if not moved:
                connection.execute(
                    insert(tables.sync_cursor).values(provider=provider, cursor=cursor, at=now)
                )


# Which letter it is about


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A new report with the delivery it is about, if that is ours."""

    report: Report
    delivery: Row[Any] | None = None
    person: int | None = None
    """The subscriber it is about where it names no delivery: of a notice (a confirmation, a welcome), or of
    an address in the provider's own records."""

    @property
    def edition_id(self) -> int | None:
        return None if self.delivery is None else self.delivery.edition_id

    @property
    def subscriber_id(self) -> int | None:
        return self.person if self.delivery is None else self.delivery.subscriber_id

    @property
    def is_foreign(self) -> bool:
        return self.subscriber_id is None

    @property
    def is_strike(self) -> bool:
        return self.report.event.kind in (EventKind.COMPLAINT, EventKind.HARD_BOUNCE)


def _installation(connection: Connection) -> str:
    here: str = connection.execute(select(tables.installation.c.installation_id)).scalar_one()
    return here


def _key(event: Event) -> str:
    return f"{event.provider}:{event.key}"


def _each_once(reports: Iterable[Report]) -> list[Report]:
    by_key: dict[str, Report] = {}
    for report in reports:
        by_key.setdefault(_key(report.event), report)
    return list(by_key.values())


def _fresh(connection: Connection, reports: Iterable[Report]) -> list[Report]:
    """Each report that was never noted, once."""
    some = _each_once(reports)
    keys = [_key(report.event) for report in some]
    known = set(connection.execute(select(_event.event_key).where(_event.event_key.in_(keys))).scalars())
    return [report for report in some if _key(report.event) not in known]


def _note(connection: Connection, told: Sequence[_Found]) -> list[_Found]:
    """Write them down; gives those that were not there yet. The database says which: to look first would cost
    PostgreSQL a walk through the whole table, as long as that is not very large."""
    if not told:
        return []
    new = insert_all_new(connection, tables.event, [_row(each) for each in told])
    return [each for each in told if _key(each.report.event) in new]


def _found(connection: Connection, reports: Sequence[Report], here: str) -> list[_Found]:
    wanted: dict[str | None, dict[str, int]] = defaultdict(dict)
    for event in (report.event for report in reports):
        if event.delivery_id is not None and _may_be_ours(event, here):
            wanted[event.edition][event.delivery_id] = int(event.delivery_id[32:], 16)
    rows = {edition: _deliveries(connection, edition, ids) for edition, ids in wanted.items()}
    known = _known(connection, [report.event.address for report in reports if report.asked])
    return [
        _Found(
            report=report,
            delivery=rows[report.event.edition].get(report.event.delivery_id or "")
            if _may_be_ours(report.event, here)
            else None,
            person=_notice_to(report, here) or known.get(report.event.address or ""),
        )
        for report in reports
    ]


def _may_be_ours(event: Event, here: str) -> bool:
    return is_delivery(event.delivery_id) and event.installation in (None, here)


def _known(connection: Connection, addresses: Sequence[str | None]) -> dict[str, int]:
    """Subscribers by their address key, of those who are asked for. Strangers in the provider's records are
    none of our business."""
    if not addresses:
        return {}
    rows = connection.execute(
        select(_subscriber.address_key, _subscriber.id).where(_subscriber.address_key.in_(addresses))
    )
    return {row.address_key: row.id for row in rows}


def _deliveries(connection: Connection, edition: str | None, ids: Mapping[str, int]) -> dict[str, Row[Any]]:
    """Rows by delivery id. The id ends in the place in its edition, so each is one look at the primary key;
    the random part must agree as well."""
    newest = select(_edition.id).order_by(_edition.id.desc()).limit(WITHOUT_EDITION)
    if edition is not None:
        newest = newest.where(_edition.day == edition)
    found: dict[str, Row[Any]] = {}
    for edition_id in connection.execute(newest).scalars().all():
        missing = {place for delivery_id, place in ids.items() if delivery_id not in found}
        if not missing:
            break
        rows = connection.execute(
            select(
                _person.edition_id,
                _person.ordinal,
                _person.delivery_id,
                _person.subscriber_id,
                _person.address_key,
                _person.state,
                _person.batch_id,
            ).where(_person.edition_id == edition_id, _person.ordinal.in_(missing))
        )
        found |= {row.delivery_id: row for row in rows if row.delivery_id in ids}
    return found


def _notice_to(report: Report, here: str) -> int | None:
    """Who got a notice (`pipeline.notices`). Its id can be guessed, so only a signed report counts."""
    event = report.event
    if not report.signed or event.edition != "notice" or event.installation != here:
        return None
    named = _NOTICE.match((event.delivery_id or "").removeprefix(here))
    return int(named[1]) if named else None


def _row(found: _Found) -> dict[str, object]:
    event, row = found.report.event, found.delivery
    foreign = "foreign: " if found.is_foreign else ""
    return {
        "event_key": _key(event),
        "received_at": found.report.received_at,
        "occurred_at": event.occurred_at,
        "edition_id": found.edition_id,
        "delivery_id": None if row is None else row.delivery_id,
        "kind": event.kind,
        "provider": event.provider,
        "detail": f"{foreign}{event.detail}".strip() or None,
    }


# What it does


def _lock(connection: Connection, found: Sequence[_Found]) -> None:
    """Take our places in the one order (see above). SQLite has one writer anyway."""
    if is_sqlite(connection):
        return
    people = {
        each.subscriber_id
        for each in found
        if each.subscriber_id is not None and each.report.event.kind is not EventKind.ACCEPTED
    }
    open_rows = [
        each.delivery for each in found if each.delivery is not None and each.delivery.state in _OPEN
    ]
    editions = {row.edition_id for row in open_rows}
    batches = {row.batch_id for row in open_rows if row.batch_id is not None}
    for column, wanted in ((_subscriber.id, people), (_edition.id, editions), (_batch.id, batches)):
        if wanted:
            # NO KEY UPDATE: a sender may still add a batch to the edition meanwhile, but claim nobody.
            connection.execute(
                select(column)
                .where(column.in_(sorted(wanted)))
                .order_by(column)
                .with_for_update(key_share=True)
            ).all()


def _prove(connection: Connection, found: Sequence[_Found]) -> int:
    """Whatever a provider reports of a letter, it has it: what is open counts as taken. Nothing that is
    settled is touched, and no batch that is on its way: its sender writes that (R6)."""
    moved: dict[int, list[Row[Any]]] = defaultdict(list)
    for each in found:
        row = each.delivery
        if row is None or row.state not in _OPEN:
            continue
        changed = connection.execute(
            update(tables.delivery)
            .where(_person.edition_id == row.edition_id, _person.ordinal == row.ordinal)
            .where(_person.state.in_(_OPEN))
            .values(
                state=DeliveryState.ACCEPTED,
                provider_id=func.coalesce(_person.provider_id, each.report.event.provider_id),
                reason=None if row.state == DeliveryState.SUBMITTED else PROVEN_BY_REPORT,
            )
        ).rowcount
        if changed:
            moved[row.edition_id].append(row)
    for edition_id, rows in moved.items():
        for batch_id in sorted({row.batch_id for row in rows if row.batch_id is not None}):
            _close_doubt(connection, edition_id, batch_id)
        if any(row.state == DeliveryState.PENDING for row in rows):
            _hold(connection, edition_id, RESTORED)
    return sum(map(len, moved.values()))


def _close_doubt(connection: Connection, edition_id: int, batch_id: int) -> None:
    """A batch in doubt, or given up, that has nobody left in doubt was taken."""
    left_open = connection.execute(
        select(func.count())
        .select_from(tables.delivery)
        .where(_person.edition_id == edition_id, _person.batch_id == batch_id, _person.state.in_(_OPEN))
    ).scalar_one()
    if not left_open:
        connection.execute(
            update(tables.batch)
            .where(_batch.id == batch_id)
            .where(_batch.state.in_((BatchState.UNCERTAIN, BatchState.WRITTEN_OFF)))
            .values(state=BatchState.ACCEPTED, reason=PROVEN_BY_REPORT)
        )


def _hold(connection: Connection, edition_id: int, reason: str) -> bool:
    held = connection.execute(
        update(tables.edition)
        .where(_edition.id == edition_id, _edition.hold_reason.is_(None))
        .where(_edition.state.not_in((EditionState.FINISHED, EditionState.CANCELLED)))
        .values(hold_reason=reason)
    ).rowcount
    return held == 1


def _suppress(connection: Connection, found: Sequence[_Found]) -> int:
    """Hard bounces and complaints: the address the letter went to is mailed no more, from this commit on."""
    changed = 0
    told = [(_address_key(connection, each), each.report) for each in found if reason_of(each.report.event)]
    # In one order, so that two who suppress many do not wait for each other in a circle.
    for address_key, report in sorted(
        ((key, report) for key, report in told if key is not None), key=lambda one: one[0]
    ):
        event, reason = report.event, reason_of(report.event)
        assert reason is not None
        at = event.occurred_at or report.received_at
        changed += suppress(connection, address_key, reason, source=event.provider, at=at)
    return changed


def _address_key(connection: Connection, found: _Found) -> str | None:
    """Whom it is about, as one person's key; None for nobody here and for who was erased."""
    key: str | None = None
    if found.delivery is not None:
        key = found.delivery.address_key
    elif found.person is not None:
        key = connection.execute(
            select(_subscriber.address_key).where(_subscriber.id == found.person)
        ).scalar_one_or_none()
    return key


def _refusals(connection: Connection, found: Sequence[_Found]) -> None:
    """Count the mailboxes that refuse for now, anew from all that was ever reported: so the order of the
    reports does not matter, and a late "delivered" ends a row."""
    refused = {
        each.subscriber_id
        for each in found
        if each.delivery is not None and each.report.event.kind is EventKind.SOFT_BOUNCE
    }
    arrived = {
        each.subscriber_id
        for each in found
        if each.delivery is not None and each.report.event.kind is EventKind.DELIVERED
    }
    if arrived:
        refused |= set(
            connection.execute(
                select(_subscriber.id).where(_subscriber.id.in_(arrived), _subscriber.soft_bounces > 0)
            ).scalars()
        )
    people = sorted(number for number in refused if number is not None)
    past = _past(connection, people) if people else {}
    for subscriber_id in people:
        _count_refusals(connection, subscriber_id, refusals(past.get(subscriber_id, ())))


def _count_refusals(connection: Connection, subscriber_id: int, row: Sequence[Reached]) -> None:
    address_key = connection.execute(
        update(tables.subscriber)
        .where(_subscriber.id == subscriber_id)
        .values(soft_bounces=len(row), soft_since=row[0].at if row else None)
        .returning(_subscriber.address_key)
    ).scalar_one_or_none()
    if address_key is None:
        return
    if keeps_refusing(row):
        suppress(connection, address_key, SuppressionReason.HARD_BOUNCE, source=KEEPS_REFUSING, at=row[-1].at)
    else:
        lift_if(connection, address_key, source=KEEPS_REFUSING)


def _past(connection: Connection, people: Sequence[int]) -> dict[int, list[Reached]]:
    """By subscriber, every edition of which a refusal or an arrival was reported. What went to an address
    they had before says nothing about the mailbox they have now.

    Editions are named because the index of deliveries begins with them, and reports are asked for by
    delivery: either table may have millions of rows.
    """
    newest = select(_edition.id).order_by(_edition.id.desc()).limit(LOOKED_BACK)
    editions = connection.execute(newest).scalars().all()
    deliveries = {
        row.delivery_id: row
        for row in connection.execute(
            select(_person.delivery_id, _person.edition_id, _person.subscriber_id)
            .join(
                tables.subscriber,
                and_(_subscriber.id == _person.subscriber_id, _subscriber.address_key == _person.address_key),
            )
            .where(_person.edition_id.in_(editions), _person.subscriber_id.in_(people))
        )
    }
    reached: dict[tuple[int, int], Reached] = {}
    for event in _reports_of(connection, list(deliveries)):
        row = deliveries[event.delivery_id]
        known = reached.get((row.subscriber_id, row.edition_id))
        at = event.occurred_at or event.received_at
        reached[row.subscriber_id, row.edition_id] = Reached(
            edition=row.edition_id,
            at=max(at, known.at) if known else at,
            arrived=event.kind == EventKind.DELIVERED or (known is not None and known.arrived),
        )
    past: dict[int, list[Reached]] = defaultdict(list)
    for (subscriber_id, _), each in reached.items():
        past[subscriber_id].append(each)
    return past


def _reports_of(connection: Connection, deliveries: Sequence[str]) -> Iterator[Any]:
    """Arrivals and refusals reported of these deliveries, some hundred to a question."""
    for start in range(0, len(deliveries), 500):
        yield from connection.execute(
            select(_event.delivery_id, _event.kind, _event.occurred_at, _event.received_at)
            .where(_event.delivery_id.in_(deliveries[start : start + 500]))
            .where(_event.kind.in_((EventKind.DELIVERED, EventKind.SOFT_BOUNCE)))
        )
