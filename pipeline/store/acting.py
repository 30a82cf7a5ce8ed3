"""What a provider's report does, in the transaction that notes it.

Locks on PostgreSQL are taken in one order, so that neither a sender nor an erasure can wait for us in a
circle: people, editions, batches, deliveries, suppressions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from emails.delivery import BatchState, DeliveryState, EditionState
from emails.events import EventKind
from pipeline.store import tables
from pipeline.store.engine import is_sqlite
from pipeline.store.reported import Found
from pipeline.store.shadows import Shadows
from pipeline.store.suppressions import lift_if, suppress
from subscribers.reports import KEEPS_REFUSING, Reached, keeps_refusing, reason_of, refusals
from subscribers.suppression import SuppressionReason

_event, _person, _batch, _edition, _subscriber = (
    tables.event.c,
    tables.delivery.c,
    tables.batch.c,
    tables.edition.c,
    tables.subscriber.c,
)

LOOKED_BACK = 60
"""Editions in which a row of refusals is looked for: a year of weeks and some more."""
PROVEN_BY_REPORT = "a report of the provider shows that it was taken"
RESTORED = (
    "the provider reports letters of this edition that this database never handed over: "
    "was it restored from a backup?"
)
_OPEN = (
    DeliveryState.SUBMITTED,
    DeliveryState.UNCONFIRMED,
    DeliveryState.CLAIMED,
    DeliveryState.PENDING,
)


def lock(connection: Connection, found: Sequence[Found]) -> None:
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


def prove(connection: Connection, found: Sequence[Found]) -> int:
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
            hold(connection, edition_id, RESTORED)
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


def hold(connection: Connection, edition_id: int, reason: str) -> bool:
    held = connection.execute(
        update(tables.edition)
        .where(_edition.id == edition_id, _edition.hold_reason.is_(None))
        .where(_edition.state.not_in((EditionState.FINISHED, EditionState.CANCELLED)))
        .values(hold_reason=reason)
    ).rowcount
    return held == 1


def suppress_reported(connection: Connection, found: Sequence[Found], shadows: Shadows) -> int:
    """Hard bounces and complaints: the address the letter went to is mailed no more, from this commit on.

    Somebody may have been erased while a letter to them was on its way: then that stands under their hash.
    """
    changed = 0
    about = [each for each in found if reason_of(each.report.event)]
    told = [(_address_key(connection, each), each.report) for each in about]
    places = shadows.places(connection, {key for key, _ in told if key is not None})
    places |= _former_addresses(connection, about, shadows)
    # In one order, so that two who suppress many do not wait for each other in a circle.
    for place, report in sorted(
        ((places[key], report) for key, report in told if key is not None), key=lambda one: one[0]
    ):
        event, reason = report.event, reason_of(report.event)
        assert reason is not None
        at = event.occurred_at or report.received_at
        changed += suppress(connection, place, reason, source=event.provider, at=at)
    return changed


def _former_addresses(connection: Connection, about: Sequence[Found], shadows: Shadows) -> dict[str, str]:
    """The shadows of addresses that people had at first, moved away from, and were erased since: there is no
    suppression yet to tell that by."""
    numbers = {each.delivery.subscriber_id for each in about if each.delivery is not None}
    gone = select(_subscriber.id).where(_subscriber.id.in_(numbers), _subscriber.state == "erased")
    erased = set(connection.execute(gone).scalars()) if numbers else set()
    keys = {
        each.delivery.address_key
        for each in about
        if each.delivery is not None and each.delivery.subscriber_id in erased and each.delivery.address_key
    }
    return {key: shadow for key in keys for shadow in shadows.of(key)[:1]}


def _address_key(connection: Connection, found: Found) -> str | None:
    """Whom it is about, as one person's key; None for nobody here and for who was erased."""
    key: str | None = None
    if found.delivery is not None:
        key = found.delivery.address_key
    elif found.person is not None:
        key = connection.execute(
            select(_subscriber.address_key).where(_subscriber.id == found.person)
        ).scalar_one_or_none()
    return key


def count_refusals(connection: Connection, found: Sequence[Found]) -> None:
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
        _count_anew(connection, subscriber_id, refusals(past.get(subscriber_id, ())))


def _count_anew(connection: Connection, subscriber_id: int, row: Sequence[Reached]) -> None:
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
