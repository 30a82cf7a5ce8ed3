"""Lists of people, in and out, a thousand to a statement.

What `Subscribers` does for one person in several statements, this does for a thousand in about as many. The
rules are the same: every standing suppression wins, and evidence of consent stands with each change. One list
is written at a time, people who are known are locked in the order of their addresses, and the chain of
consents comes last, as everywhere.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, Table, bindparam, func, select, update
from sqlalchemy.dialects import sqlite

from pipeline.crashpoint import crashpoint
from pipeline.store import tables
from pipeline.store.consents import append, as_record
from pipeline.store.engine import is_sqlite, readers, writing
from pipeline.store.lock import in_turn, undisturbed
from pipeline.store.people import as_subscriber
from pipeline.store.shadows import Shadows
from pipeline.store.suppressions import Suppression, suppress
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.subscriber import Subscriber, SubscriberState
from subscribers.suppression import SuppressionReason
from subscribers.taking_in import Fate, Standing, Wanted, after, fate, leaves

CHUNK: Final = 1_000
"""People in a transaction: a list of a million never stands in memory, and others can write in between."""

SWEEP_EVERY: Final = 25
"""Chunks between two looks for garbage; a look takes about 50 ms."""

_subscriber, _suppression, _consent = tables.subscriber.c, tables.suppression.c, tables.consent.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Everything that is held about one person. Either may be missing, not both."""

    subscriber: Subscriber | None
    consents: Sequence[ConsentRecord] = ()
    """Oldest first."""
    suppression: Suppression | None = None


class Bulk:
    """The database's doors for whole lists."""

    def __init__(self, engine: Engine, shadows: Shadows) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._shadows = shadows
        self._chunks = 0

    def take_in(
        self, chunks: Iterator[Sequence[Wanted]], *, now: datetime, whole: bool
    ) -> Iterator[list[Fate]]:
        """Bring each chunk in, in a transaction of its own, or all in one if `whole`; gives each row's fate
        after its commit, or, if `whole`, before it. `ASKED` is only told: to ask them is up to the caller."""
        if not whole:
            for chunk in chunks:
                yield undisturbed(partial(self._take_alone, chunk, now))
            return
        with writing(self._engine) as connection:
            in_turn(connection)
            for chunk in chunks:
                yield self._take(connection, chunk, now)

    def standings(self, chunk: Sequence[Wanted]) -> dict[str, Standing]:
        """What is known here about each address of the chunk, by its key. Changes nothing."""
        self._sweep()
        with self._readers.connect() as connection:
            found = self._standings(connection, chunk, lock=False)
        return {key: known.standing for key, known in found.items()}

    def held(self) -> Iterator[Held]:
        """Everyone by number, and then the suppressions of those who are nobody here; a page at a time."""
        last = 0
        while True:
            with self._readers.connect() as connection:
                query = select(tables.subscriber).where(_subscriber.id > last).order_by(_subscriber.id)
                rows = connection.execute(query.limit(CHUNK)).all()
                page = list(_pages(connection, rows))
            if not rows:
                break
            yield from page
            last = rows[-1].id
            self._sweep()
        yield from self._kept_out()

    def count(self) -> int:
        """How many `held` will give, about."""
        with self._readers.connect() as connection:
            number: int = connection.execute(select(func.count()).select_from(tables.subscriber)).scalar_one()
        return number

    def _kept_out(self) -> Iterator[Held]:
        last = ""
        known = select(_subscriber.id).where(_subscriber.address_key == _suppression.address_key)
        while True:
            query = select(tables.suppression).where(_suppression.address_key > last, ~known.exists())
            with self._readers.connect() as connection:
                rows = connection.execute(query.order_by(_suppression.address_key).limit(CHUNK)).all()
            if not rows:
                return
            yield from (Held(subscriber=None, suppression=_as_suppression(row)) for row in rows)
            last = rows[-1].address_key

    def _take_alone(self, chunk: Sequence[Wanted], now: datetime) -> list[Fate]:
        """One chunk in a transaction of its own."""
        with writing(self._engine) as connection:
            in_turn(connection)
            return self._take(connection, chunk, now)

    def _take(self, connection: Connection, chunk: Sequence[Wanted], now: datetime) -> list[Fate]:
        self._sweep()
        self._shadows.require(connection)
        standings = self._standings(connection, chunk, lock=True)
        work = _Work(now)
        fates = []
        for wanted, decided in _decided(chunk, standings):
            fates.append(decided)
            work.note(wanted, decided, standings)
        work.do(connection)
        crashpoint("import chunk written")
        return fates

    def _sweep(self) -> None:
        """Now and then, take away what points at itself: results of queries do, and the command line has
        Python look for such things so seldom that those of a million people would pile up to 200 MB."""
        self._chunks += 1
        if self._chunks % SWEEP_EVERY == 0:
            gc.collect()

    def _standings(self, connection: Connection, chunk: Sequence[Wanted], *, lock: bool) -> dict[str, _Known]:
        """What is known here about each address of the chunk."""
        shadows = {each.address.key: tuple(self._shadows.of(each.address.key)) for each in chunk}
        people = select(tables.subscriber).where(_subscriber.address_key.in_(list(shadows)))
        people = people.order_by(_subscriber.address_key)
        rows = connection.execute(people.with_for_update() if lock else people).all()
        persons = {row.address_key: row for row in rows}
        names = [*shadows, *(shadow for several in shadows.values() for shadow in several)]
        reasons = _reasons(connection, names)
        return {
            key: _known(persons.get(key), {one: reasons[one] for one in (*hidden, key) if one in reasons})
            for key, hidden in shadows.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of an address, and under which number; 0 before it has one."""

    id: int
    standing: Standing
    place: str = ""
    """The key of what suppresses it: its own, or, for someone erased, the hash. Empty where nothing does."""


class _Work:
    """The changes of one chunk, gathered so that each kind is one statement."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._new: dict[str, dict[str, object]] = {}
        self._changed: dict[int, dict[str, object]] = {}
        self._suppressions: dict[str, dict[str, object]] = {}
        self._stronger: list[tuple[str, SuppressionReason, str, datetime]] = []
        self._consents: list[tuple[str, int, ConsentRecord]] = []

    def note(self, wanted: Wanted, decided: Fate, standings: dict[str, _Known]) -> None:
        """Plan what `decided` means, and let `standings` show it to the rows that follow."""
        known = standings[wanted.address.key]
        if decided in (Fate.ADDED, Fate.CONFIRMED):
            self._let_in(wanted, known)
        elif decided is Fate.KEPT_OUT:
            self._keep_out(wanted, known)
        standings[wanted.address.key] = replace(known, standing=after(wanted, decided, known.standing))

    def do(self, connection: Connection) -> None:
        numbers = _insert_people(connection, list(self._new.values()))
        if self._changed:
            statement = update(tables.subscriber).where(_subscriber.id == bindparam("number"))
            rows = [{"number": number, **values} for number, values in sorted(self._changed.items())]
            for names, alike in _alike(rows):
                connection.execute(statement.values({name: bindparam(name) for name in names}), alike)
        _insert_suppressions(connection, [self._suppressions[key] for key in sorted(self._suppressions)])
        for key, reason, source, at in sorted(self._stronger):
            suppress(connection, key, reason, source=source, at=at)
        append(connection, [(number or numbers[key], record) for key, number, record in self._consents])

    def _let_in(self, wanted: Wanted, known: _Known) -> None:
        key, consent = wanted.address.key, _given(wanted)
        values: dict[str, object] = {
            "state": SubscriberState.ACTIVE,
            "confirmed_at": consent.occurred_at,
            "unsubscribed_at": None,
            "asks": 0,
        }
        if known.id:
            self._changed[known.id] = values
        else:
            self._new[key] = {
                "address": wanted.address.address,
                "address_key": key,
                "name": wanted.name,
                "language": wanted.language,
                "created_at": consent.occurred_at,
                **values,
            }
        self._consents.append((key, known.id, consent))

    def _keep_out(self, wanted: Wanted, known: _Known) -> None:
        key, at = wanted.address.key, wanted.left_at or self._now
        reason = wanted.reason or SuppressionReason.MANUAL
        if known.standing.suppressed is not None:
            self._stronger.append((known.place or key, reason, _SOURCE, at))
        else:
            self._suppressions[key] = {"address_key": key, "reason": reason, "source": _SOURCE, "since": at}
        if not leaves(wanted, known.standing):
            return
        left = {"state": SubscriberState.UNSUBSCRIBED, "unsubscribed_at": at}
        if known.id:
            self._changed[known.id] = {**self._changed.get(known.id, {}), **left}
        else:
            self._new[key] |= left
        record = ConsentRecord(
            kind=ConsentKind.UNSUBSCRIBED,
            wording="",
            source=_SOURCE,
            page="",
            language=wanted.language,
            occurred_at=at,
        )
        self._consents.append((key, known.id, record))


_SOURCE: Final = "import"


def _decided(chunk: Sequence[Wanted], standings: Mapping[str, _Known]) -> Iterator[tuple[Wanted, Fate]]:
    """Lazy: a row sees what became of the rows before it, if whoever takes them notes it."""
    for wanted in chunk:
        yield wanted, fate(wanted, standings[wanted.address.key].standing)


def _given(wanted: Wanted) -> ConsentRecord:
    if wanted.consent is None:
        raise ValueError("nobody is let in without evidence of consent")
    return wanted.consent


def _known(row: Row[Any] | None, reasons: Mapping[str, SuppressionReason]) -> _Known:
    """`reasons` by the key they stand under, the hashes of someone erased first."""
    suppressed = max(reasons.values(), key=lambda reason: reason.strength, default=None)
    place = next(iter(reasons), "")
    if row is None:
        return _Known(id=0, standing=Standing(suppressed=suppressed), place=place)
    standing = Standing(
        state=SubscriberState(row.state), confirmed_at=row.confirmed_at, suppressed=suppressed
    )
    return _Known(id=row.id, standing=standing, place=place)


def _reasons(connection: Connection, keys: Sequence[str]) -> dict[str, SuppressionReason]:
    query = select(_suppression.address_key, _suppression.reason).where(_suppression.address_key.in_(keys))
    return {row.address_key: SuppressionReason(row.reason) for row in connection.execute(query)}


def _insert_people(connection: Connection, rows: list[dict[str, object]]) -> dict[str, int]:
    """Their numbers by address key. Of one who joined by themselves in the same moment: their own number."""
    if not rows:
        return {}
    numbers = {
        row.address_key: row.id
        for row in _insert_new(connection, tables.subscriber, rows, "id", "address_key")
    }
    missing = [row for row in rows if row["address_key"] not in numbers]
    for row in missing:
        query = select(_subscriber.id).where(_subscriber.address_key == row["address_key"]).with_for_update()
        number = numbers[str(row["address_key"])] = connection.execute(query).scalar_one()
        changed = {name: row.get(name) for name in ("state", "confirmed_at", "unsubscribed_at", "asks")}
        connection.execute(update(tables.subscriber).where(_subscriber.id == number).values(changed))
    return numbers


def _insert_suppressions(connection: Connection, rows: list[dict[str, object]]) -> None:
    if rows:
        _insert_new(connection, tables.suppression, rows, "address_key")


def _insert_new(
    connection: Connection, table: Table, rows: list[dict[str, object]], *returning: str
) -> Sequence[Row[Any]]:
    """Insert rows unless their key is taken; gives the columns `returning` of those that were inserted."""
    columns = [table.c[name] for name in returning]
    if is_sqlite(connection):
        made = sqlite.insert(table).on_conflict_do_nothing().returning(*columns)
        return connection.execute(made, rows).all()
    from sqlalchemy.dialects import postgresql

    made_there = postgresql.insert(table).on_conflict_do_nothing().returning(*columns)
    return connection.execute(made_there, rows).all()


def _alike(rows: Sequence[dict[str, object]]) -> Iterator[tuple[list[str], list[dict[str, object]]]]:
    """Rows that set the same columns, together."""
    groups: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    for names, alike in groups.items():
        yield [name for name in names if name != "number"], alike


def _pages(connection: Connection, rows: Sequence[Row[Any]]) -> Iterator[Held]:
    numbers = [row.id for row in rows]
    given: dict[int, list[ConsentRecord]] = {}
    query = select(tables.consent).where(_consent.subscriber_id.in_(numbers)).order_by(_consent.id)
    for row in connection.execute(query):
        given.setdefault(row.subscriber_id, []).append(as_record(row))
    keys = [row.address_key for row in rows if row.address_key is not None]
    found = select(tables.suppression).where(_suppression.address_key.in_(keys))
    kept_out = {row.address_key: _as_suppression(row) for row in connection.execute(found)}
    for row in rows:
        if row.address_key is not None:
            yield Held(
                subscriber=as_subscriber(row),
                consents=given.get(row.id, ()),
                suppression=kept_out.get(row.address_key),
            )


def _as_suppression(row: Row[Any]) -> Suppression:
    return Suppression(
        address_key=row.address_key,
        reason=SuppressionReason(row.reason),
        source=row.source,
        since=row.since,
    )
