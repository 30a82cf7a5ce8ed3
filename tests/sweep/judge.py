"""What must hold after every death and at the end: rules R1 to R12 of `docs/design.md`, as plain complaints.

Whether anyone was mailed twice or not at all is read from the provider's own truth log; the ledger is read
only to see whether it names everyone whom the truth log leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from emails.delivery import BatchState, DeliveryState, EditionState
from pipeline.store import tables
from pipeline.store.fence import Fence
from tests.fault_provider import Seen
from tests.sweep.points import Kind
from tests.sweep.scenario import BATCH, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One person of the edition."""

    address: str
    state: DeliveryState
    batch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The whole ledger at one moment, read in one transaction."""

    epoch: int
    seq: int
    fence: int
    edition: EditionState | None
    content: str
    frozen: int
    rows: Mapping[int, Row]
    batches: Mapping[int, BatchState]
    keys: Mapping[int, str]
    attempts: Mapping[int, tuple[object, ...]]

    def people(self, *states: DeliveryState) -> set[str]:
        return {row.address for row in self.rows.values() if row.state in states}

    @property
    def in_doubt(self) -> set[int]:
        """Batches that may or may not be with the provider."""
        doubt = (BatchState.SUBMITTING, BatchState.UNCERTAIN)
        return {number for number, state in self.batches.items() if state in doubt}


def read(connection: Connection, fence: Fence) -> Ledger:
    installation = connection.execute(select(tables.installation)).one()
    edition = connection.execute(select(tables.edition)).one_or_none()
    batches = connection.execute(select(tables.batch)).all()
    mark = fence.read()
    return Ledger(
        epoch=installation.lease_epoch,
        seq=installation.ledger_seq,
        fence=mark.ledger_seq if mark else 0,
        edition=EditionState(edition.state) if edition else None,
        content=edition.content_sha256 if edition else "",
        frozen=edition.frozen_count if edition else 0,
        rows={
            row.ordinal: Row(address=row.address, state=DeliveryState(row.state), batch=row.batch_id)
            for row in connection.execute(select(tables.delivery))
        },
        batches={row.id: BatchState(row.state) for row in batches},
        keys={row.id: row.key for row in batches},
        attempts={row.id: _attempt(row) for row in connection.execute(select(tables.attempt))},
    )


def _attempt(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in ("batch_id", "n", "started_at", "ended_at", "kind", "error"))


# After every sender

_S = DeliveryState
MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _S.PENDING: frozenset(_S),
    _S.CLAIMED: frozenset(_S) - {_S.PENDING},
    _S.SUBMITTED: frozenset(_S) - {_S.PENDING},
    _S.ACCEPTED: frozenset({_S.ACCEPTED}),
    _S.REFUSED: frozenset({_S.REFUSED}),
    _S.SKIPPED: frozenset({_S.SKIPPED}),
    _S.UNCONFIRMED: frozenset({_S.UNCONFIRMED}),
}
"""Where a person may be found after having been found elsewhere; nobody comes back to `pending`."""


def moment(scenario: Scenario, now: Ledger, before: Ledger | None, calls: int) -> Iterator[str]:
    """What is wrong with the ledger as a sender left it behind. `calls`: requests the provider has seen."""
    if now.edition in (None, EditionState.DRAFT, EditionState.APPROVED):
        if now.rows:
            yield f"R7: the audience is not frozen, and {len(now.rows)} people are in it"
    elif len(now.rows) != now.frozen:
        yield f"R7: {now.frozen} were frozen, {len(now.rows)} are there"
    if now.fence > now.seq:
        yield f"the fence ({now.fence}) is ahead of the ledger ({now.seq})"
    if calls > len(now.attempts):
        yield f"R2: {calls} requests left, {len(now.attempts)} were intended"
    yield from _doubts(scenario, now)
    yield from _doubles(now)
    if before is not None:
        yield from _moved(before, now)


def _doubts(scenario: Scenario, now: Ledger) -> Iterator[str]:
    doubtful = [row for row in now.rows.values() if row.state is _S.SUBMITTED]
    if len(doubtful) > scenario.workers * BATCH or len(now.in_doubt) > scenario.workers:
        yield f"R9: {len(doubtful)} people in {len(now.in_doubt)} batches are in doubt"
    if any(row.batch not in now.in_doubt for row in doubtful):
        yield "R4: somebody is submitted in a batch that is not in doubt"


def _doubles(now: Ledger) -> Iterator[str]:
    addresses = Counter(row.address for row in now.rows.values())
    if any(count > 1 for count in addresses.values()):
        yield f"R1: an address stands in the edition twice: {addresses}"


def _moved(before: Ledger, now: Ledger) -> Iterator[str]:
    if now.epoch < before.epoch or now.seq < before.seq or now.fence < before.fence:
        yield "R6: epoch, ledger or fence went back"
    if before.content and before.content != now.content:
        yield "R10: the content changed after it was fixed"
    for ordinal, row in before.rows.items():
        after = now.rows.get(ordinal)
        if after is None or after.address != row.address:
            yield f"R10: recipient {ordinal} is another one or gone"
        elif after.state not in MOVES[row.state]:
            yield f"recipient {ordinal} went from {row.state} to {after.state}"
    for number, attempt in before.attempts.items():
        kept = now.attempts.get(number, ())
        ended = attempt[3] is not None
        if kept[:3] != attempt[:3] or (ended and kept != attempt):
            yield f"R11: attempt {number} was {attempt} and is {kept}"


# At the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the provider says that it took."""

    copies: Counter[str]
    requests: Sequence[Seen]


def end(scenario: Scenario, ledger: Ledger, truth: Truth, listed: set[str]) -> Iterator[str]:
    """What is wrong once the edition is finished. `listed`: what `weekbrief doubts` shows."""
    audience = {row.address for row in ledger.rows.values()}
    got, twice = set(truth.copies), {a: n for a, n in truth.copies.items() if n > 1}
    if ledger.edition is not EditionState.FINISHED:
        yield f"the edition is {ledger.edition}, not finished"
    if twice:
        yield f"MAILED TWICE: {twice}"
    if got - audience:
        yield f"mailed, but not in the audience: {sorted(got - audience)}"
    unconfirmed = ledger.people(_S.UNCONFIRMED)
    refused, skipped = ledger.people(_S.REFUSED), ledger.people(_S.SKIPPED)
    lost = audience - got - unconfirmed - refused - skipped
    if lost:
        yield f"LOST SILENTLY: {sorted(lost)}"
    if ledger.people(_S.ACCEPTED) - got:
        yield f"accepted by the ledger, unknown to the provider: {sorted(ledger.people(_S.ACCEPTED) - got)}"
    if (refused | skipped) & got:
        yield f"refused or skipped, but mailed: {sorted((refused | skipped) & got)}"
    if ledger.people(_S.PENDING, _S.CLAIMED, _S.SUBMITTED):
        yield f"left open: {sorted(ledger.people(_S.PENDING, _S.CLAIMED, _S.SUBMITTED))}"
    if listed != unconfirmed:
        yield f"R4: listed as doubtful {sorted(listed)}, in the ledger {sorted(unconfirmed)}"
    if scenario.kind in (Kind.KEYED, Kind.COMPLETE) and unconfirmed:
        yield f"in doubt although this provider can be asked: {sorted(unconfirmed)}"
    if refused - {scenario.bad}:
        yield f"refused without a reason: {sorted(refused - {scenario.bad})}"
    if skipped - {scenario.leaves}:
        yield f"skipped without a reason: {sorted(skipped - {scenario.leaves})}"
    yield from _keys(ledger, truth)


def _keys(ledger: Ledger, truth: Truth) -> Iterator[str]:
    bodies: dict[str, set[str]] = {}
    for request in truth.requests:
        if request.key is not None and request.bytes:  # none: its sender died at the head
            bodies.setdefault(request.key, set()).add(request.body_sha256)
    changed = [key for key, digests in bodies.items() if len(digests) > 1]
    if changed:
        yield f"R3: other bytes under the same key: {changed}"
    # Not of calls that were turned away: before the next try somebody may leave; who is handed over then is
    # another batch to the provider, with another key (R12).
    taken = {request.key for request in truth.requests if request.messages and request.key is not None}
    unknown = taken - set(ledger.keys.values())
    if unknown:
        yield f"R12: keys that the ledger does not know: {unknown}"
