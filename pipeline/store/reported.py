"""Which letter, and whom, a provider's report is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from emails.events import Event, EventKind
from emails.events.reading import is_delivery
from pipeline.store import tables
from subscribers.subscriber import SubscriberState

_event, _person, _edition, _subscriber, _change = (
    tables.event.c,
    tables.delivery.c,
    tables.edition.c,
    tables.subscriber.c,
    tables.address_change.c,
)

WITHOUT_EDITION = 26
"""Where a report names no edition: how many of the newest are looked through."""
_NOTICE = re.compile(r"-(?:confirm|remind|welcome|data)-(\d{1,15})-")
_CHANGE = re.compile(r"-change-(\d{1,15})-(\d{1,15})\Z")


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
class Found:
    """A report with the delivery it is about, if that is ours."""

    report: Report
    delivery: Row[Any] | None = None
    person: int | None = None
    """The subscriber it is about where it names no delivery: of a notice (a confirmation, a welcome), or of
    an address in the provider's own records."""
    wished: str | None = None
    """The address that it is about, as one person's key, of a notice that asks whether that is somebody's new
    one. It says nothing of who asked for it: they have another address as long as nobody confirms."""

    @property
    def edition_id(self) -> int | None:
        return None if self.delivery is None else self.delivery.edition_id

    @property
    def subscriber_id(self) -> int | None:
        return self.person if self.delivery is None else self.delivery.subscriber_id

    @property
    def is_foreign(self) -> bool:
        return self.subscriber_id is None and self.wished is None

    @property
    def is_strike(self) -> bool:
        return self.report.event.kind in (EventKind.COMPLAINT, EventKind.HARD_BOUNCE)


def event_key(event: Event) -> str:
    """The provider's own name for it, under which it is noted."""
    return f"{event.provider}:{event.key}"


def each_once(reports: Iterable[Report]) -> list[Report]:
    """One of each name, the first that came."""
    by_key: dict[str, Report] = {}
    for report in reports:
        by_key.setdefault(event_key(report.event), report)
    return list(by_key.values())


def fresh(connection: Connection, reports: Iterable[Report]) -> list[Report]:
    """Each report that was never noted, once."""
    some = each_once(reports)
    keys = [event_key(report.event) for report in some]
    known = set(connection.execute(select(_event.event_key).where(_event.event_key.in_(keys))).scalars())
    return [report for report in some if event_key(report.event) not in known]


def find(connection: Connection, reports: Sequence[Report]) -> list[Found]:
    """What each of `reports` is about, in their order."""
    here: str = connection.execute(select(tables.installation.c.installation_id)).scalar_one()
    wanted: dict[str | None, dict[str, int]] = defaultdict(dict)
    for event in (report.event for report in reports):
        if event.delivery_id is not None and _may_be_ours(event, here):
            wanted[event.edition][event.delivery_id] = int(event.delivery_id[32:], 16)
    rows = {edition: _deliveries(connection, edition, ids) for edition, ids in wanted.items()}
    known = _known(connection, [report.event.address for report in reports if report.asked])
    wishes = _wishes(connection, [wish for report in reports if (wish := _wish(report, here))])
    return [
        Found(
            report=report,
            delivery=rows[report.event.edition].get(report.event.delivery_id or "")
            if _may_be_ours(report.event, here)
            else None,
            person=_notice_to(report, here) or _mover(wish) or known.get(report.event.address or ""),
            wished=None if wish is None else wish.address_key,
        )
        for report in reports
        for wish in [wishes.get(_wish(report, here))]
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
    """Who got a notice (`pipeline.notices`)."""
    named = _NOTICE.match(_notice(report, here))
    return int(named[1]) if named else None


def _wish(report: Report, here: str) -> tuple[int, int] | None:
    """Of the notice that asks at a new address: whose wish it was, and its number."""
    named = _CHANGE.match(_notice(report, here))
    return (int(named[1]), int(named[2])) if named else None


def _wishes(
    connection: Connection, wishes: Sequence[tuple[int, int]]
) -> dict[tuple[int, int] | None, Row[Any]]:
    if not wishes:
        return {}
    numbers = {number for _, number in wishes}
    later = tables.address_change.alias()
    newest = select(func.max(later.c.id)).where(
        later.c.subscriber_id == _change.subscriber_id, later.c.done_at.is_not(None)
    )
    rows = connection.execute(
        select(tables.address_change, _subscriber.state, newest.scalar_subquery().label("newest"))
        .join(tables.subscriber, _subscriber.id == _change.subscriber_id)
        .where(_change.id.in_(numbers))
    )
    return {(row.subscriber_id, row.id): row for row in rows}


def _mover(wish: Row[Any] | None) -> int | None:
    """Who has the new address by now, because its owner confirmed it. Nobody when that is not sure: they
    moved on since, or the address was somebody else's already, who goes on with it."""
    if wish is None or wish.done_at is None or wish.id != wish.newest:
        return None
    return wish.subscriber_id if wish.state == SubscriberState.ACTIVE else None


def _notice(report: Report, here: str) -> str:
    """What a notice is called, without the installation; empty for anything else. It can be guessed, so only
    a signed report counts."""
    event = report.event
    if not report.signed or event.edition != "notice" or event.installation != here:
        return ""
    return (event.delivery_id or "").removeprefix(here)
