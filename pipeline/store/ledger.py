"""The ledger: what was handed to the provider, what it said, and what nobody can be sure of.

Two synced transactions a batch and no more: the intent (`claim`) before the first byte of the request,
the outcome (`record`) after the answer. Every write carries the sender's lease epoch; a sender that
lost its place can finish nothing. The rules (R1 to R12) and states stand in `docs/design.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from emails.delivery import Answer, AnswerClass, BatchState, DeliveryState, EditionState
from pipeline.crashpoint import crashpoint
from pipeline.store import statements, tables
from pipeline.store.audience import People
from pipeline.store.editions import PAUSED
from pipeline.store.engine import insert_new, readers, writing

_person, _batch, _attempt = tables.delivery.c, tables.batch.c, tables.attempt.c

NOBODY_LEFT = "everyone in it left before it was handed over"
TAKEN_OVER = "another sender took over; this one stops"
PROVEN = "found in the provider's records"
DIED = "the sender stopped before the answer was recorded"


class LostLease(Exception):
    """Another sender took over; this one may write nothing more."""


class EditionStopped(Exception):
    """The edition is on hold or cancelled: nothing more is claimed. The text says why."""

    def __init__(self, text: str, *, asked: bool = True) -> None:
        super().__init__(text)
        self.asked = asked
        """A person stopped it, and knows."""


class Settled(Exception):
    """A report of the provider cleared this batch up meanwhile: nothing is left to do for it."""


class DoubtLimit(Exception):
    """As many batches are in doubt as may be at one time: no new one is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One provider request, as the ledger knows it. `first` and `last` are ordinals in the edition."""

    id: int
    first: int
    last: int
    size: int
    state: BatchState
    provider: str
    key: str
    request_sha256: str
    tries: int
    deaths: int
    first_submit_at: datetime | None
    last_submit_at: datetime | None
    key_expires_at: datetime | None
    not_before: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A batch that may leave now: its intent is committed and synced."""

    batch: Batch
    attempt_id: int
    people: People
    ledger_seq: int
    again: bool
    """An earlier attempt is in doubt: "not sent" speaks of this attempt only, the doubt stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Nothing was claimed: these people left (or changed) since they were read. Read again."""

    ordinals: frozenset[int]


class Ledger:
    """One sender's hands on one edition. `epoch` is the lease it writes under (R6)."""

    def __init__(self, engine: Engine, *, edition_id: int, epoch: int, provider: str) -> None:
        self._engine = engine
        self._readers = readers(engine)
        self._edition_id = edition_id
        self._epoch = epoch
        self._provider = provider

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that writes, one of our threads at a time: SQLite would make them ask again and again
        whether it is their turn."""
        with writing(self._engine) as connection:
            yield connection

    def recover(self, *, now: datetime) -> int:
        """What an earlier sender left in the air is in doubt from here on; gives the number of batches."""
        with self._writing() as connection:
            self._own(connection)
            stale = (
                select(_batch.id)
                .where(_batch.edition_id == self._edition_id)
                .where(_batch.state == BatchState.SUBMITTING, _batch.lease_epoch != self._epoch)
            )
            connection.execute(
                update(tables.attempt)
                .where(_attempt.batch_id.in_(stale), _attempt.ended_at.is_(None))
                .values(ended_at=now, kind=AnswerClass.UNCERTAIN, error=DIED)
            )
            found = connection.execute(
                update(tables.batch)
                .where(_batch.id.in_(stale))
                .values(state=BatchState.UNCERTAIN, deaths=_batch.deaths + 1, reason=DIED)
            ).rowcount
            crashpoint("before recovery commits")
            return found

    def open_batches(self) -> list[Batch]:
        """Batches that were made and are not done: in doubt first, then by ordinal."""
        with self._readers.connect() as connection:
            rows = connection.execute(
                select(tables.batch)
                .where(_batch.edition_id == self._edition_id)
                .where(_batch.state.in_((BatchState.UNCERTAIN, BatchState.PREPARED)))
                .order_by(_batch.state.desc(), _batch.first)
            )
            return [_as_batch(row) for row in rows]

    def pending(self, *, after: int, limit: int) -> People:
        """The next people nobody has claimed, by ordinal."""
        wanted = {"edition": self._edition_id, "after": after, "most": limit}
        with self._readers.connect() as connection:
            return People(statements.run(connection, statements.pending(), wanted))

    def members(self, batch: Batch) -> People:
        """The people of a batch, by ordinal, without those who left before it was handed over. One in doubt
        keeps those, too, of whom the provider has reported: asked for again it must be the same to the
        byte."""
        doubted = batch.state is BatchState.UNCERTAIN
        query = statements.people().where(
            _person.ordinal.between(batch.first, batch.last),
            _person.batch_id == batch.id,
            _person.address.is_not(None),
            _person.state.in_(
                (
                    DeliveryState.CLAIMED,
                    DeliveryState.SUBMITTED,
                    *((DeliveryState.ACCEPTED,) if doubted else ()),
                )
            ),
        )
        with self._readers.connect() as connection:
            return People(connection.execute(query, {"edition": self._edition_id}))

    def claim(
        self,
        people: People,
        *,
        batch: Batch | None,
        key: str,
        request_sha256: str,
        now: datetime,
        key_expires_at: datetime | None,
        doubt_limit: int,
        gate_opens: datetime,
    ) -> Intent | Left:
        """Commit the intent to hand these people over (T1), or learn who left meanwhile.

        `batch` is None for people claimed for the first time, else a batch that is `prepared`. Consent is
        checked in this very transaction: after it nobody can be recalled (R8).
        Raises `LostLease`, `EditionStopped`, `DoubtLimit`.
        """
        with self._writing() as connection:
            seq = self._next_seq(connection)
            doubts = self._may_send(connection)
            if doubts >= doubt_limit:
                raise DoubtLimit(f"{doubts} batches are in doubt; they must be settled first")
            gone = self._skip_the_departed(connection, people, batch)
            if gone:
                return Left(ordinals=gone)
            values = {
                "state": BatchState.SUBMITTING,
                "key": key,
                "request_sha256": request_sha256,
                "first_submit_at": now,
                "last_submit_at": now,
                "key_expires_at": key_expires_at,
                "provider": self._provider,
                "not_before": None,
            }
            begun = self._begin_batch(connection, batch, people, values)
            moved = self._move(
                connection,
                begun,
                {"state": DeliveryState.SUBMITTED, "batch_id": begun.id},
                batch_id=None if batch is None else batch.id,
                state=DeliveryState.PENDING if batch is None else DeliveryState.CLAIMED,
            )
            if moved != len(people):
                connection.rollback()
                return Left(ordinals=frozenset())
            self._keep_gate(connection, gate_opens)
            intent = self._begin_attempt(connection, begun, people, now, seq)
            crashpoint("before intent commits")
            return intent

    def reclaim(self, batch: Batch, people: People, *, now: datetime, gate_opens: datetime) -> Intent:
        """Hand a batch in doubt over again: same key, same bytes (R3a). Raises `LostLease`,
        `EditionStopped`."""
        with self._writing() as connection:
            seq = self._next_seq(connection)
            self._may_send(connection)
            values = {
                "state": BatchState.SUBMITTING,
                "last_submit_at": now,
                "not_before": None,
                "lease_epoch": self._epoch,
            }
            row = self._change(connection, batch, values, was=BatchState.UNCERTAIN, another_try=True)
            self._keep_gate(connection, gate_opens)
            intent = self._begin_attempt(connection, _as_batch(row), people, now, seq, again=True)
            crashpoint("before second intent commits")
            return intent

    def record(
        self, intent: Intent, answer: Answer, *, now: datetime, not_before: datetime | None = None
    ) -> tuple[Batch, ...]:
        """Commit what the provider said (T2). Gives the batches still to be worked on because of it.

        Raises `LostLease` when another sender took over since the intent.
        """
        with self._writing() as connection:
            said = {
                "ended_at": now,
                "kind": answer.kind,
                "http_status": answer.http_status,
                "error": answer.error,
                "answer_sha256": answer.body_sha256,
            }
            ended = {"attempt": intent.attempt_id, **statements.new(said)}
            statements.run(connection, statements.end_attempt(), ended)
            after = self._settle(connection, intent, answer, not_before)
            crashpoint("before outcome commits")
            return after

    def gate_opens(self) -> datetime | None:
        """When the provider may be called again, as the last run left it."""
        with self._readers.connect() as connection:
            moment: datetime | None = connection.execute(
                select(tables.gate.c.opens).where(tables.gate.c.provider == self._provider)
            ).scalar_one_or_none()
            return moment

    def handed_over_since(self, moment: datetime) -> int:
        """How many people this provider was handed since then, in whatever edition."""
        taken = (BatchState.SUBMITTING, BatchState.UNCERTAIN, BatchState.ACCEPTED, BatchState.WRITTEN_OFF)
        with self._readers.connect() as connection:
            people: int = connection.execute(
                select(func.coalesce(func.sum(_batch.size), 0))
                .where(_batch.provider == self._provider, _batch.last_submit_at >= moment)
                .where(_batch.state.in_(taken))
            ).scalar_one()
            return people

    def prove(self, batch: Batch, taken: Mapping[str, str | None]) -> Batch | None:
        """Accept those of a batch in doubt that the provider has (delivery id → its id). Gives the batch
        while someone in it is still in doubt."""
        with self._writing() as connection:
            self._own(connection)
            here = self._in_doubt(connection, batch)
            found = [(here[name], provider_id) for name, provider_id in taken.items() if name in here]
            self._each(connection, batch, DeliveryState.ACCEPTED, "provider_id", found)
            crashpoint("before proof commits")
            if self._in_doubt(connection, batch):
                return batch
            self._change(
                connection, batch, {"state": BatchState.ACCEPTED, "reason": PROVEN}, was=BatchState.UNCERTAIN
            )
            return None

    def _in_doubt(self, connection: Connection, batch: Batch) -> dict[str, int]:
        """The people of a batch nobody knows about: delivery id → ordinal."""
        rows = connection.execute(
            select(_person.delivery_id, _person.ordinal)
            .where(_person.edition_id == self._edition_id, _person.batch_id == batch.id)
            .where(_person.ordinal.between(batch.first, batch.last))
            .where(_person.state == DeliveryState.SUBMITTED)
        )
        return {row.delivery_id: row.ordinal for row in rows}

    def evidence(self, people: Mapping[str, str | None]) -> int:
        """The provider has these deliveries (delivery id → its id) though this ledger never handed them over:
        they count as accepted. Gives how many were still pending."""
        with self._writing() as connection:
            self._own(connection)
            return sum(
                connection.execute(
                    update(tables.delivery)
                    .where(_person.edition_id == self._edition_id, _person.delivery_id == delivery_id)
                    .where(_person.state == DeliveryState.PENDING)
                    .values(state=DeliveryState.ACCEPTED, provider_id=provider_id, reason=PROVEN)
                ).rowcount
                for delivery_id, provider_id in people.items()
            )

    def leave_out(self, people: People, *, reason: str) -> None:
        """Skip people nobody has claimed, to whom no letter can be written."""
        with self._writing() as connection:
            self._own(connection)
            connection.execute(
                update(tables.delivery)
                .where(_person.edition_id == self._edition_id, _person.ordinal.in_(people.ordinals))
                .where(_person.state == DeliveryState.PENDING)
                .values(state=DeliveryState.SKIPPED, reason=reason)
            )

    def close_empty(self, batch: Batch) -> None:
        """End a prepared batch in which nobody can be mailed any more: all are skipped."""
        with self._writing() as connection:
            self._own(connection)
            self._skip_the_departed(connection, People(), batch)

    def write_off(self, batch: Batch, *, reason: str) -> None:
        """Give a batch in doubt up: its people are `unconfirmed` and listed (at most once)."""
        with self._writing() as connection:
            self._own(connection)
            values = {"state": BatchState.WRITTEN_OFF, "reason": reason}
            row = self._change(connection, batch, values, was=BatchState.UNCERTAIN)
            self._move(connection, row, {"state": DeliveryState.UNCONFIRMED, "reason": reason})
            crashpoint("before write-off commits")

    def release(self, batch: Batch, *, reason: str) -> Batch:
        """Let a batch in doubt be sent anew, knowing that its people may get a second copy (R3c)."""
        with self._writing() as connection:
            self._own(connection)
            values = {"state": BatchState.PREPARED, "reason": reason, "not_before": None}
            row = self._change(connection, batch, values, was=BatchState.UNCERTAIN)
            self._move(connection, row, {"state": DeliveryState.CLAIMED})
            crashpoint("before release commits")
            return _as_batch(row)

    def _settle(
        self, connection: Connection, intent: Intent, answer: Answer, not_before: datetime | None
    ) -> tuple[Batch, ...]:
        batch = intent.batch
        match answer.kind:
            case AnswerClass.ACCEPTED:
                self._end(connection, batch, BatchState.ACCEPTED, answer.alarm)
                return self._accept(connection, intent, answer, not_before)
            case AnswerClass.REFUSED:
                self._end(connection, batch, BatchState.REFUSED, answer.error)
                return self._refuse(connection, intent, answer.error or "refused by the provider")
            case AnswerClass.NOT_SENT | AnswerClass.HOLD if not (intent.again or answer.in_doubt):
                values = {"state": BatchState.PREPARED, "not_before": not_before, "reason": answer.error}
                row = self._change(connection, batch, values)
                self._move(connection, row, {"state": DeliveryState.CLAIMED})
                return (_as_batch(row),)
            case _:
                values = {"state": BatchState.UNCERTAIN, "not_before": not_before, "reason": answer.error}
                return (_as_batch(self._change(connection, batch, values)),)

    def _accept(
        self, connection: Connection, intent: Intent, answer: Answer, not_before: datetime | None
    ) -> tuple[Batch, ...]:
        """Each row by its own answer. Gives the batch of those that the provider left out for later."""
        people = intent.people
        ordinals = dict(zip(people.delivery_ids, people.ordinals, strict=True)) if answer.receipts else {}
        named: list[tuple[int, str | None]] = []
        refused: list[tuple[int, str | None]] = []
        later: list[int] = []
        for receipt in answer.receipts:
            ordinal = ordinals.get(receipt.delivery_id)
            if ordinal is None:
                continue
            if receipt.state is DeliveryState.REFUSED:
                refused.append((ordinal, receipt.reason or "refused by the provider"))
                if receipt.again:
                    later.append(ordinal)
            elif receipt.provider_id:
                named.append((ordinal, receipt.provider_id))
        self._each(connection, intent.batch, DeliveryState.ACCEPTED, "provider_id", named)
        self._each(connection, intent.batch, DeliveryState.REFUSED, "reason", refused)
        if len(named) + len(refused) < len(intent.people):
            values = {"state": DeliveryState.ACCEPTED, "provider_id": answer.provider_id}
            self._move(connection, intent.batch, values)
        if later:
            later = sorted(set(later) & self._those(connection, intent.batch, DeliveryState.REFUSED))
        return (self._part(connection, later, not_before=not_before),) if later else ()

    def _each(
        self,
        connection: Connection,
        batch: Batch,
        state: DeliveryState,
        column: str,
        values: Sequence[tuple[int, str | None]],
    ) -> None:
        """Give people of a batch that was handed over a value of their own, by ordinal, and a state."""
        same = {
            "edition": self._edition_id,
            "member": batch.id,
            "was": DeliveryState.SUBMITTED,
            "new_state": state,
        }
        statement = statements.settle_each(("state", column))
        statements.run_for_each(connection, statement, same, ("at", f"new_{column}"), values)

    def _refuse(self, connection: Connection, intent: Intent, reason: str) -> tuple[Batch, ...]:
        """One refused person ends here. More than one: each goes again alone, so that a bad address
        costs its neighbours exactly one more request and never a second letter."""
        if len(intent.people) == 1:
            self._move(connection, intent.batch, {"state": DeliveryState.REFUSED, "reason": reason})
            return ()
        refused = self._those(connection, intent.batch, DeliveryState.SUBMITTED)
        return tuple(
            self._part(connection, [ordinal]) for ordinal in intent.people.ordinals if ordinal in refused
        )

    def _those(self, connection: Connection, batch: Batch, state: DeliveryState) -> set[int]:
        """The ordinals of a batch's people in this state: a report may have proven some of them meanwhile."""
        return set(
            connection.execute(
                select(_person.ordinal)
                .where(_person.edition_id == self._edition_id, _person.batch_id == batch.id)
                .where(_person.ordinal.between(batch.first, batch.last), _person.state == state)
            ).scalars()
        )

    def _part(
        self, connection: Connection, ordinals: Sequence[int], *, not_before: datetime | None = None
    ) -> Batch:
        """A new batch of people who were in another one and are to be handed over anew."""
        values = {
            "edition_id": self._edition_id,
            "first": ordinals[0],
            "last": ordinals[-1],
            "size": len(ordinals),
            "state": BatchState.PREPARED,
            "provider": self._provider,
            "key": "",
            "not_before": not_before,
        }
        row = connection.execute(insert(tables.batch).values(values).returning(tables.batch)).one()
        connection.execute(
            update(tables.delivery)
            .where(_person.edition_id == self._edition_id, _person.ordinal.in_(ordinals))
            .values(state=DeliveryState.CLAIMED, batch_id=row.id, reason=None)
        )
        return _as_batch(row)

    def _own(self, connection: Connection) -> None:
        epoch = connection.execute(
            select(tables.installation.c.lease_epoch).with_for_update(read=True)
        ).scalar_one()
        if epoch != self._epoch:
            raise LostLease(TAKEN_OVER)

    def _next_seq(self, connection: Connection) -> int:
        """The next number in the ledger, taken only by the sender that holds the lease (R6)."""
        row = statements.run(connection, statements.next_seq(), {"epoch": self._epoch}).fetchone()
        if row is None:
            raise LostLease(TAKEN_OVER)
        return int(row[0])

    def _keep_gate(self, connection: Connection, opens: datetime) -> None:
        wanted = {"provider_name": self._provider, "new_opens": opens}
        moved = statements.run(connection, statements.keep_gate(), wanted).rowcount
        if not moved:
            insert_new(connection, tables.gate, {"provider": self._provider, "opens": opens})

    def _may_send(self, connection: Connection) -> int:
        """Gives how many batches are in doubt. Raises `EditionStopped`."""
        wanted = {"edition": self._edition_id}
        state, hold, doubts = statements.run(connection, statements.may_send(), wanted).fetchone()
        if hold:
            raise EditionStopped(hold, asked=hold.startswith(PAUSED))
        if state != EditionState.SENDING:
            raise EditionStopped(f"the edition is {state}")
        return int(doubts)

    def _skip_the_departed(
        self, connection: Connection, people: People, batch: Batch | None
    ) -> frozenset[int]:
        if batch is None:
            wanted = {"first": people[0].ordinal, "last": people[-1].ordinal}
        else:
            # The whole of it: who was erased is not among `people`, and could stand before or after them.
            wanted = {"first": batch.first, "last": batch.last, "member": batch.id}
        wanted["edition"] = self._edition_id
        departed = statements.run(
            connection, statements.departed(first_time=batch is None), wanted
        ).fetchall()
        by_reason: dict[str, list[int]] = {}
        for ordinal, state, suppressed in departed:
            by_reason.setdefault(_why_skipped(state, suppressed), []).append(ordinal)
        for reason, ordinals in by_reason.items():
            connection.execute(
                update(tables.delivery)
                .where(_person.edition_id == self._edition_id, _person.ordinal.in_(ordinals))
                .values(state=DeliveryState.SKIPPED, reason=reason)
            )
        gone = frozenset(ordinal for ordinal, _, _ in departed)
        if batch is not None and gone.issuperset(people.ordinals):
            self._change(
                connection,
                batch,
                {"state": BatchState.REFUSED, "reason": NOBODY_LEFT},
                was=BatchState.PREPARED,
            )
        return gone

    def _begin_batch(
        self,
        connection: Connection,
        batch: Batch | None,
        people: People,
        values: Mapping[str, Any],
    ) -> Batch:
        own = {"size": len(people), "lease_epoch": self._epoch}
        if batch is not None:
            changed = {**values, **own}
            return _as_batch(
                self._change(connection, batch, changed, was=BatchState.PREPARED, another_try=True)
            )
        first, last, tries = people[0].ordinal, people[-1].ordinal, 1
        new = {
            **values,
            **own,
            "tries": tries,
            "edition_id": self._edition_id,
            "first": first,
            "last": last,
        }
        made = statements.run(connection, statements.new_batch(tuple(new)), statements.new(new))
        number = made.fetchone()[0]
        return Batch(
            id=number, first=first, last=last, size=len(people), tries=tries, deaths=0, reason=None, **values
        )

    def _begin_attempt(
        self,
        connection: Connection,
        batch: Batch,
        people: People,
        now: datetime,
        seq: int,
        *,
        again: bool = False,
    ) -> Intent:
        values = {"batch_id": batch.id, "n": batch.tries, "started_at": now}
        begun = statements.run(connection, statements.begin_attempt(), statements.new(values))
        return Intent(
            batch=batch,
            attempt_id=begun.fetchone()[0],
            people=people,
            ledger_seq=seq,
            again=again,
        )

    def _change(
        self,
        connection: Connection,
        batch: Batch,
        values: Mapping[str, object],
        *,
        was: BatchState = BatchState.SUBMITTING,
        another_try: bool = False,
    ) -> Row[Any]:
        mine = was is BatchState.SUBMITTING
        statement = statements.change_batch(tuple(values), mine=mine, another_try=another_try)
        wanted = {"batch": batch.id, "was": was, **({"epoch": self._epoch} if mine else {})}
        row = connection.execute(statement, {**wanted, **statements.new(values)}).one_or_none()
        if row is None and was is BatchState.UNCERTAIN:
            raise Settled
        if row is None:
            raise LostLease(f"batch {batch.id} is no longer ours to change ({was}); nothing was written")
        return row

    def _end(self, connection: Connection, batch: Batch, state: BatchState, reason: str | None) -> None:
        """Close a batch that was handed over and is still ours."""
        wanted = {"batch": batch.id, "epoch": self._epoch, "new_state": state, "new_reason": reason}
        if not statements.run(connection, statements.end_batch(), wanted).rowcount:
            raise LostLease(f"batch {batch.id} is no longer ours to close; nothing was written")

    def _move(
        self,
        connection: Connection,
        batch: Batch | Row[Any],
        values: Mapping[str, object],
        *,
        batch_id: int | None = -1,
        state: DeliveryState = DeliveryState.SUBMITTED,
    ) -> int:
        """Change the batch's people at one stroke: they stand side by side in the edition."""
        member = batch.id if batch_id == -1 else batch_id
        wanted = {"edition": self._edition_id, "first": batch.first, "last": batch.last, "was": state}
        if member is not None:
            wanted["member"] = member
        statement = statements.move(tuple(values), first_time=member is None)
        return int(statements.run(connection, statement, {**wanted, **statements.new(values)}).rowcount)


def _why_skipped(state: str | None, suppressed: str | None) -> str:
    if state in (None, "erased"):
        return "erased"
    return "unsubscribed" if state == "unsubscribed" or suppressed == "unsubscribed" else "suppressed"


def _as_batch(row: Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        first=row.first,
        last=row.last,
        size=row.size,
        state=BatchState(row.state),
        provider=row.provider,
        key=row.key,
        request_sha256=row.request_sha256,
        tries=row.tries,
        deaths=row.deaths,
        first_submit_at=row.first_submit_at,
        last_submit_at=row.last_submit_at,
        key_expires_at=row.key_expires_at,
        not_before=row.not_before,
        reason=row.reason,
    )
