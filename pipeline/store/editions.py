"""Slots and editions: which weeks ran, what each one said, and to whom it was frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Row,
    Select,
    and_,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from emails.delivery import DeliveryState, EditionState
from emails.edition import Letter, Mailbox, Mailing, Newsletter
from pipeline.crashpoint import crashpoint
from pipeline.due import Slot
from pipeline.post import Brief
from pipeline.store import tables
from pipeline.store.engine import insert_new, is_sqlite, readers, roomy, writing
from subscribers.subscriber import Frequency


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One mailing as it stands in the ledger; its content never changes once it is written."""

    id: int
    slot_key: str
    day: str
    week: str
    post_key: str
    post_title: str
    post_url: str | None
    question: str
    example: str
    mailing: Mailing
    content_sha256: str
    state: EditionState
    hold_reason: str | None
    frozen_count: int
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    resumed_at: datetime | None
    finished_at: datetime | None


PAUSED = "paused by"
"""How the reason of a hold begins that somebody asked for."""


class LedgerMismatch(Exception):
    """The ledger does not add up; nothing may be sent until a person has looked."""


class Editions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = readers(engine)

    def covered(self) -> frozenset[str]:
        """Keys of the posts that an edition was made from."""
        with self._readers.connect() as connection:
            begun = tables.edition.c.started_at.is_not(None)
            rows = connection.execute(
                select(tables.edition.c.post_key).where(
                    or_(tables.edition.c.state != EditionState.CANCELLED, begun)
                )
            )
            return frozenset(rows.scalars())

    def questions(self) -> tuple[str, ...]:
        """The questions already sent, oldest first."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(tables.edition.c.question)
                .where(tables.edition.c.state != EditionState.CANCELLED)
                .order_by(tables.edition.c.id)
            )
            return tuple(rows.scalars())

    def of_slot(self, slot_key: str) -> Edition | None:
        return self._one(tables.edition.c.slot_key == slot_key)

    def find(self, week: str) -> Edition | None:
        """The edition of a local date (`2026-11-29`) or an ISO week (`2026-W48`)."""
        return self._one((tables.edition.c.day == week) | (tables.edition.c.week == week))

    def newest(self) -> Edition | None:
        return self._one(true())

    def unfinished(self) -> list[Edition]:
        """Editions whose story is not over, oldest first."""
        closed = (EditionState.FINISHED, EditionState.CANCELLED)
        with self._readers.connect() as connection:
            rows = connection.execute(
                _select().where(tables.edition.c.state.not_in(closed)).order_by(tables.edition.c.id)
            )
            return [_edition(row) for row in rows]

    def newest_day(self) -> date | None:
        """The newest local date whose slot was taken or missed."""
        with self._readers.connect() as connection:
            newest = connection.execute(select(func.max(tables.slot.c.day))).scalar_one()
        return None if newest is None else date.fromisoformat(newest)

    def miss(self, slot: Slot, *, note: str) -> bool:
        """Write a slot off as missed; False when it was taken already."""
        with writing(self._engine) as connection:
            return _take_slot(connection, slot, state="missed", note=note)

    def create(
        self, slot: Slot, brief: Brief, mailing: Mailing, *, now: datetime, approved: bool
    ) -> Edition | None:
        """Freeze the week's content. None when another scheduler took the slot first."""
        with writing(self._engine) as connection:
            if not _take_slot(connection, slot, state="taken", note=""):
                return None
            frozen = mailing_to_json(mailing)
            connection.execute(
                insert(tables.edition).values(
                    slot_key=slot.key,
                    day=slot.day.isoformat(),
                    week=slot.week,
                    post_key=brief.post.key,
                    post_title=brief.post.title,
                    post_url=brief.post.url,
                    post_text=brief.post.text,
                    post_language=brief.post.language,
                    question=brief.question.text,
                    question_start=brief.question.start,
                    question_end=brief.question.end,
                    example=brief.example.text,
                    example_start=brief.example.start,
                    example_end=brief.example.end,
                    mailing=frozen,
                    content_sha256=hashlib.sha256(frozen.encode()).hexdigest(),
                    state=EditionState.APPROVED if approved else EditionState.DRAFT,
                    created_at=now,
                )
            )
            crashpoint("before edition commits")
        return self.of_slot(slot.key)

    def freeze(self, edition: Edition, *, provider: str, now: datetime, shuffled: bool = False) -> int:
        """Freeze the audience: every active subscriber without a suppression whose turn it is, one row each.

        All rows, the count and the new state are one transaction: after a death there is either no
        audience or the whole of it. Gives the number of recipients. Safe to call again. `shuffled` gives each
        edition an order of its own, so that it is not always the same people who wait for tomorrow.
        """
        with writing(self._engine) as connection:
            state = connection.execute(
                select(tables.edition.c.state).where(tables.edition.c.id == edition.id).with_for_update()
            ).scalar_one()
            if state not in (EditionState.APPROVED, EditionState.FREEZING):
                return _frozen_count(connection, edition.id)
            with roomy(connection):
                connection.execute(_audience_rows(connection, edition, shuffled=shuffled))
            crashpoint("audience half frozen")
            count = _frozen_count(connection, edition.id)
            connection.execute(
                update(tables.edition)
                .where(tables.edition.c.id == edition.id)
                .values(state=EditionState.SENDING, frozen_count=count, provider=provider, started_at=now)
            )
            crashpoint("before freeze commits")
            return count

    def tell_once(self, what: str, *, now: datetime) -> bool:
        """Note that the editor is told something; True the first time."""
        values = {"event_key": f"told:{what}", "received_at": now, "kind": "told", "provider": ""}
        with writing(self._engine) as connection:
            return insert_new(connection, tables.event, values)

    def audience_size(self, slot: Slot) -> int:
        """How many an edition of this slot, not yet made, would go to now."""
        with self._readers.connect() as connection:
            chosen = _audience(connection, day=slot.day.isoformat(), due_at=slot.due_at, before=None)
            size: int = connection.execute(
                select(func.count()).select_from(tables.subscriber).where(*chosen)
            ).scalar_one()
        return size

    def approve(self, edition: Edition, *, who: str, now: datetime) -> bool:
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(tables.edition)
                .where(tables.edition.c.id == edition.id, tables.edition.c.state == EditionState.DRAFT)
                .values(state=EditionState.APPROVED, approved_by=who)
            ).rowcount
            if changed:
                connection.execute(
                    insert(tables.decision).values(at=now, who=who, what="approve", edition_id=edition.id)
                )
            return changed == 1

    def hold(self, edition: Edition, *, reason: str) -> None:
        """Stop: nothing of this edition is claimed after this commit, until a person lifts it."""
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.edition).where(tables.edition.c.id == edition.id).values(hold_reason=reason)
            )

    def pause(self, edition: Edition, *, who: str, now: datetime) -> bool:
        """As `hold`, in a person's name. False when the edition is over."""
        return self._steer(edition, "pause", who=who, now=now, hold_reason=f"{PAUSED} {who}")

    def cancel(self, edition: Edition, *, who: str, now: datetime) -> bool:
        """Send to nobody more, for good. What was sent stays recorded. False when the edition is over."""
        return self._steer(edition, "cancel", who=who, now=now, state=EditionState.CANCELLED, finished_at=now)

    def resume(self, edition: Edition, *, who: str, now: datetime) -> bool:
        """Lift a hold, or let an edition go that is too late to go by itself. False when it is over."""
        lifted = self._steer(edition, "resume", who=who, now=now, hold_reason=None, resumed_at=now)
        if lifted:
            with writing(self._engine) as connection:
                connection.execute(
                    update(tables.batch).where(tables.batch.c.edition_id == edition.id).values(deaths=0)
                )
        return lifted

    def _steer(self, edition: Edition, what: str, *, who: str, now: datetime, **values: object) -> bool:
        closed = (EditionState.FINISHED, EditionState.CANCELLED)
        with writing(self._engine) as connection:
            changed = connection.execute(
                update(tables.edition)
                .where(tables.edition.c.id == edition.id, tables.edition.c.state.not_in(closed))
                .values(**values)
            ).rowcount
            if changed:
                connection.execute(
                    insert(tables.decision).values(at=now, who=who, what=what, edition_id=edition.id)
                )
            return changed == 1

    def finish(self, edition: Edition, *, now: datetime) -> None:
        """Close the edition; who was erased while their letter was on its way is now forgotten here too."""
        with writing(self._engine) as connection:
            connection.execute(
                update(tables.edition)
                .where(tables.edition.c.id == edition.id, tables.edition.c.state != EditionState.CANCELLED)
                .values(state=EditionState.FINISHED, finished_at=now, hold_reason=None)
            )
            # That their key is gone says the same as their state, and has an index.
            gone = tables.subscriber.c.address_key.is_(None)
            erased = select(tables.subscriber.c.id).where(gone, tables.subscriber.c.state == "erased")
            if connection.execute(erased.limit(1)).first() is not None:
                connection.execute(
                    update(tables.delivery)
                    .where(tables.delivery.c.edition_id == edition.id)
                    .where(
                        tables.delivery.c.subscriber_id.in_(erased), tables.delivery.c.address.is_not(None)
                    )
                    .values(**tables.NOBODY)
                )
            crashpoint("before finish commits")

    def _one(self, condition: ColumnElement[bool]) -> Edition | None:
        with self._readers.connect() as connection:
            row = connection.execute(
                _select().where(condition).order_by(tables.edition.c.id.desc()).limit(1)
            ).one_or_none()
        return None if row is None else _edition(row)


def _select() -> Select[Any]:
    return select(tables.edition, tables.slot.c.due_at).join(
        tables.slot, tables.slot.c.slot_key == tables.edition.c.slot_key
    )


def _edition(row: Row[Any]) -> Edition:
    if hashlib.sha256(row.mailing.encode()).hexdigest() != row.content_sha256:
        raise LedgerMismatch(f"edition {row.day}: its stored content is not the one that was frozen")
    return Edition(
        id=row.id,
        slot_key=row.slot_key,
        day=row.day,
        week=row.week,
        post_key=row.post_key,
        post_title=row.post_title,
        post_url=row.post_url,
        question=row.question,
        example=row.example,
        mailing=mailing_from_json(row.mailing),
        content_sha256=row.content_sha256,
        state=EditionState(row.state),
        hold_reason=row.hold_reason,
        frozen_count=row.frozen_count,
        created_at=row.created_at,
        due_at=row.due_at,
        started_at=row.started_at,
        resumed_at=row.resumed_at,
        finished_at=row.finished_at,
    )


def _take_slot(connection: Connection, slot: Slot, *, state: str, note: str) -> bool:
    """Inserting the row is the election: one row, one winner, however many schedulers run."""
    return insert_new(
        connection,
        tables.slot,
        {
            "schedule": slot.schedule,
            "slot_key": slot.key,
            "day": slot.day.isoformat(),
            "week": slot.week,
            "due_at": slot.due_at,
            "state": state,
            "note": note,
        },
    )


def _audience_rows(connection: Connection, edition: Edition, *, shuffled: bool) -> Insert:
    """INSERT … SELECT of the audience. A person's ordinal is their number, unless the edition has an order of
    its own or a number is none that fits: to count them costs a third of the rest."""
    subscriber = tables.subscriber
    ordinal: ColumnElement[int] = subscriber.c.id
    if shuffled:
        ordinal = func.row_number().over(order_by=[_spread(subscriber.c.id, edition.id), subscriber.c.id])
    elif not _all_fit(connection):
        ordinal = func.row_number().over(order_by=subscriber.c.id)
    chosen = select(
        literal(edition.id),
        ordinal,
        subscriber.c.id,
        _random_id(connection, ordinal),
        subscriber.c.address,
        subscriber.c.address_key,
        subscriber.c.name,
        literal(DeliveryState.PENDING.value),
    ).where(*_audience(connection, day=edition.day, due_at=edition.due_at, before=edition.id))
    names = [
        "edition_id",
        "ordinal",
        "subscriber_id",
        "delivery_id",
        "address",
        "address_key",
        "name",
        "state",
    ]
    return insert(tables.delivery).from_select(names, chosen)


def _all_fit(connection: Connection) -> bool:
    """Has every subscriber a number from 1 to what eight hexadecimal digits hold? Ours have; another program
    may have put others there."""
    number = tables.subscriber.c.id
    first, last = connection.execute(select(func.min(number), func.max(number))).one()
    return first is None or (first > 0 and last < 1 << 32)


def _random_id(connection: Connection, ordinal: ColumnElement[int]) -> ColumnElement[str]:
    """A delivery id: 128 random bits and the ordinal, in hexadecimal. An event that names it is found without
    an index that a million random keys would make slow."""
    if is_sqlite(connection):
        # 64 bits each, of the generator that SQLite seeds from the system's (sqlite.org, "random").
        return func.printf("%016x%016x%08x", func.random(), func.random(), ordinal)
    # A UUID has 122 random bits, so two are mixed.
    uuids = func.convert_to(func.concat(func.gen_random_uuid(), func.gen_random_uuid()), "UTF8")
    mixed = func.substr(func.encode(func.sha256(uuids), "hex"), 1, 32)
    return mixed.concat(func.lpad(func.to_hex(ordinal), 8, "0"))


def _audience(
    connection: Connection, *, day: str, due_at: datetime, before: int | None
) -> tuple[ColumnElement[bool], ...]:
    """Who an edition of that day goes to: all these hold. `before` is its number, None if it has none yet."""
    subscriber, suppression = tables.subscriber.c, tables.suppression.c
    suppressed = select(suppression.address_key).where(suppression.address_key == subscriber.address_key)
    return (
        subscriber.state == "active",
        subscriber.address.is_not(None),
        ~suppressed.exists(),
        or_(subscriber.paused_until.is_(None), subscriber.paused_until <= due_at),
        _whose_turn_it_is(connection, day=day, before=before),
    )


def _whose_turn_it_is(connection: Connection, *, day: str, before: int | None) -> ColumnElement[bool]:
    """Everyone who wants every letter; of the others, those who did not get the one before, or none yet this
    month. Only for these others anything is looked up."""
    frequency, edition = tables.subscriber.c.frequency, tables.edition.c
    earlier: list[ColumnElement[bool]] = [edition.started_at.is_not(None)]
    if before is not None:
        earlier.append(edition.id < before)
    last = connection.execute(select(func.max(edition.id)).where(*earlier)).scalar_one()
    month = connection.execute(select(edition.id).where(*earlier, edition.day.startswith(day[:7]))).scalars()
    return or_(
        frequency == Frequency.EVERY,
        and_(frequency == Frequency.SECOND, ~_was_sent([] if last is None else [last])),
        and_(frequency == Frequency.MONTH, ~_was_sent(list(month))),
    )


def _was_sent(editions: Sequence[int]) -> ColumnElement[bool]:
    """True of a subscriber whom one of these editions went to, or may still go to."""
    if not editions:
        return false()
    person, whole = tables.delivery.c, tables.edition.c
    left_out = (DeliveryState.SKIPPED, DeliveryState.REFUSED)
    waiting = (DeliveryState.PENDING, DeliveryState.CLAIMED)
    return (
        select(person.ordinal)
        .join_from(tables.delivery, tables.edition, whole.id == person.edition_id)
        .where(person.edition_id.in_(editions), person.subscriber_id == tables.subscriber.c.id)
        .where(person.state.not_in(left_out))
        .where(or_(whole.state != EditionState.CANCELLED, person.state.not_in(waiting)))
        .exists()
    )


def _spread(number: ColumnElement[int], edition_id: int) -> ColumnElement[int]:
    """An order that is another one for each edition and the same on every database."""
    prime = 1_000_003
    factor = (2_654_435_761 + edition_id * 1_640_531_527) % prime or 1
    return (number * factor) % prime


def _frozen_count(connection: Connection, edition_id: int) -> int:
    counted: int = connection.execute(
        select(func.count()).select_from(tables.delivery).where(tables.delivery.c.edition_id == edition_id)
    ).scalar_one()
    return counted


def mailing_to_json(mailing: Mailing) -> str:
    """Everything the messages of an edition share, as stored: sorted keys, so the hash is stable."""
    return json.dumps(asdict(mailing), ensure_ascii=False, sort_keys=True)


def mailing_from_json(text: str) -> Mailing:
    values = json.loads(text)
    newsletter = values.pop("newsletter")
    sender, reply_to = newsletter.pop("sender"), newsletter.pop("reply_to")
    return Mailing(
        **{**values, "letter": Letter(**values["letter"])},
        newsletter=Newsletter(
            **newsletter, sender=Mailbox(**sender), reply_to=Mailbox(**reply_to) if reply_to else None
        ),
    )
