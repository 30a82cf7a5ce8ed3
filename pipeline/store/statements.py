"""The statements that every batch needs: made once, and run with other values straight on the driver.

An edition runs a dozen for each batch. To make one anew costs fifty times what the database does for it, to
run one through SQLAlchemy ten times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Connection,
    Dialect,
    Insert,
    Select,
    Update,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from emails.delivery import BatchState, DeliveryState
from pipeline.store import tables
from pipeline.store.engine import driver, raise_trouble

_person, _batch, _attempt, _edition = (
    tables.delivery.c,
    tables.batch.c,
    tables.attempt.c,
    tables.edition.c,
)


def new(values: Mapping[str, object]) -> dict[str, object]:
    """Parameters for the columns that a statement of this file sets."""
    return {f"new_{name}": value for name, value in values.items()}


def _setting(names: Sequence[str]) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}") for name in names}


@cache
def next_seq() -> ReturningUpdate[Any]:
    """`epoch` → the ledger's next number; no row when another sender holds the lease."""
    here = tables.installation.c
    return (
        update(tables.installation)
        .where(here.lease_epoch == bindparam("epoch"))
        .values(ledger_seq=here.ledger_seq + 1)
        .returning(here.ledger_seq)
    )


@cache
def may_send() -> Select[Any]:
    """`edition` → its state, why it is on hold, and how many of its batches are in doubt."""
    doubts = (
        select(func.count())
        .select_from(tables.batch)
        .where(_batch.edition_id == bindparam("edition"), _batch.state == BatchState.UNCERTAIN)
        .scalar_subquery()
    )
    return (
        select(_edition.state, _edition.hold_reason, doubts.label("doubts"))
        .where(_edition.id == bindparam("edition"))
        .with_for_update(read=True)
    )


@cache
def pending() -> Select[Any]:
    """`edition`, `after`, `most` → the next people nobody has claimed, by ordinal."""
    return (
        people()
        .where(_person.ordinal > bindparam("after"), _person.state == DeliveryState.PENDING)
        .limit(bindparam("most"))
    )


@cache
def people() -> Select[Any]:
    """`edition` → everyone of it, by ordinal, with what a batch needs of them."""
    return (
        select(_person.ordinal, _person.delivery_id, _person.subscriber_id, _person.address, _person.name)
        .where(_person.edition_id == bindparam("edition"))
        .order_by(_person.ordinal)
    )


@cache
def departed(*, first_time: bool) -> Select[Any]:
    """`edition`, `first`, `last`, and `member` unless it is their first time → those who may no longer be
    mailed: (ordinal, state, suppression)."""
    subscriber, suppression = tables.subscriber.c, tables.suppression.c
    joined = tables.delivery.outerjoin(tables.subscriber, subscriber.id == _person.subscriber_id).outerjoin(
        tables.suppression, suppression.address_key == _person.address_key
    )
    return (
        select(_person.ordinal, subscriber.state, suppression.reason.label("suppressed"))
        .select_from(joined)
        .where(_person.edition_id == bindparam("edition"))
        .where(_person.ordinal.between(bindparam("first"), bindparam("last")))
        .where(_person.batch_id.is_(None) if first_time else _person.batch_id == bindparam("member"))
        .where(_person.state == (DeliveryState.PENDING if first_time else DeliveryState.CLAIMED))
        .where(
            or_(
                subscriber.state.is_(None),
                subscriber.state != "active",
                suppression.reason.is_not(None),
                _person.address.is_(None),
            )
        )
    )


@cache
def new_batch(names: tuple[str, ...]) -> ReturningInsert[Any]:
    """`new_…` for each of `names` → its id."""
    return insert(tables.batch).values(_setting(names)).returning(_batch.id)


@cache
def change_batch(names: tuple[str, ...], *, mine: bool, another_try: bool) -> ReturningUpdate[Any]:
    """`batch`, `was`, `new_…`, and `epoch` where only the holder's own counts → the row; none when the batch
    is no longer in that state, or another's."""
    statement = update(tables.batch).where(_batch.id == bindparam("batch"), _batch.state == bindparam("was"))
    if mine:
        statement = statement.where(_batch.lease_epoch == bindparam("epoch"))
    counted = {"tries": _batch.tries + 1} if another_try else {}
    return statement.values({**_setting(names), **counted}).returning(tables.batch)


@cache
def end_batch() -> Update:
    """`batch`, `epoch`, `new_state`, `new_reason`: the holder's own batch that was handed over."""
    return (
        update(tables.batch)
        .where(_batch.id == bindparam("batch"), _batch.state == BatchState.SUBMITTING)
        .where(_batch.lease_epoch == bindparam("epoch"))
        .values(_setting(["state", "reason"]))
    )


@cache
def move(names: tuple[str, ...], *, first_time: bool) -> Update:
    """`edition`, `first`, `last`, `was`, `new_…`, and `member` unless it is their first time: change a batch
    of people at one stroke, as they stand side by side in the edition."""
    return (
        update(tables.delivery)
        .where(_person.edition_id == bindparam("edition"))
        .where(_person.ordinal.between(bindparam("first"), bindparam("last")))
        .where(_person.batch_id.is_(None) if first_time else _person.batch_id == bindparam("member"))
        .where(_person.state == bindparam("was"))
        .values(_setting(names))
    )


@cache
def keep_gate() -> Update:
    """`provider`, `new_opens`: when it may be called again."""
    return (
        update(tables.gate)
        .where(tables.gate.c.provider == bindparam("provider_name"))
        .values(_setting(["opens"]))
    )


@cache
def begin_attempt() -> ReturningInsert[Any]:
    return insert(tables.attempt).values(_setting(["batch_id", "n", "started_at"])).returning(_attempt.id)


@cache
def end_attempt() -> Update:
    """`attempt` and what came of it."""
    names = ("ended_at", "kind", "http_status", "error", "answer_sha256")
    return update(tables.attempt).where(_attempt.id == bindparam("attempt")).values(_setting(names))


@cache
def settle_each(names: tuple[str, ...]) -> Update:
    """`edition`, `at`, `member`, `was`, `new_…`: one person by their ordinal."""
    return (
        update(tables.delivery)
        .where(_person.edition_id == bindparam("edition"), _person.ordinal == bindparam("at"))
        .where(_person.batch_id == bindparam("member"), _person.state == bindparam("was"))
        .values(_setting(names))
    )


@cache
def keep_call() -> Insert:
    """`new_…`: a call of a provider, as it came."""
    return insert(tables.incoming).values(_setting(["provider", "received_at", "body", "headers"]))


def run(connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> Any:
    """Run a statement of this file; gives the driver's cursor. Only for results that need no conversion:
    numbers and text. Raises `StorageTrouble`, or what the driver does."""
    ready = _ready(statement, connection.dialect)
    try:
        return driver(connection).execute(ready.text, ready.parameters(values))
    except Exception as error:
        raise_trouble(connection, error)
        raise


def run_for_each(
    connection: Connection,
    statement: ClauseElement,
    same: Mapping[str, object],
    names: Sequence[str],
    each: Sequence[Sequence[object]],
) -> None:
    """Run a statement once for each of `each`, values of `names` that need no conversion, with `same`
    besides. Raises as `run`."""
    if not each:
        return
    ready = _ready(statement, connection.dialect)
    rows = ready.rows(ready.by_name(same), names, each)
    try:
        driver(connection).cursor().executemany(ready.text, rows)
    except Exception as error:
        raise_trouble(connection, error)
        raise


def run_for_rows(
    connection: Connection, statement: ClauseElement, rows: Sequence[Mapping[str, object]]
) -> None:
    """Run a statement once for each row of parameters. Raises as `run`."""
    if not rows:
        return
    ready = _ready(statement, connection.dialect)
    given = [ready.parameters(row) for row in rows]
    try:
        driver(connection).cursor().executemany(ready.text, given)
    except Exception as error:
        raise_trouble(connection, error)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A statement as the driver takes it."""

    text: str
    order: Sequence[str]
    """Its parameters where they go by place; empty where they go by name."""
    constants: Mapping[str, object]
    conversions: Mapping[str, Callable[[Any], object]]

    def by_name(self, values: Mapping[str, object]) -> dict[str, object]:
        named = {**self.constants, **{name: _plain(value) for name, value in values.items()}}
        for name, convert in self.conversions.items():
            named[name] = convert(named[name])
        return named

    def parameters(self, values: Mapping[str, object]) -> Sequence[object] | Mapping[str, object]:
        named = self.by_name(values)
        return [named[name] for name in self.order] if self.order else named

    def rows(
        self, same: Mapping[str, object], names: Sequence[str], each: Sequence[Sequence[object]]
    ) -> list[Any]:
        if not self.order:
            return [{**same, **dict(zip(names, values, strict=True))} for values in each]
        row = [same.get(name) for name in self.order]
        places = [self.order.index(name) for name in names]
        rows = []
        for values in each:
            for place, value in zip(places, values, strict=True):
                row[place] = value
            rows.append(tuple(row))
        return rows


@lru_cache(maxsize=64)
def _ready(statement: ClauseElement, dialect: Dialect) -> _Ready:
    compiled: Any = statement.compile(dialect=dialect)
    processors = {
        name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
        for name, parameter in compiled.binds.items()
    }
    return _Ready(
        text=str(compiled),
        order=compiled.positiontup or (),
        constants={name: _plain(value) for name, value in compiled.params.items() if value is not None},
        conversions={name: convert for name, convert in processors.items() if convert},
    )


def _plain(value: object) -> object:
    """A driver takes text at once, and our words for a state only after a search for what they may be."""
    return str(value) if isinstance(value, StrEnum) else value
