"""Bringing a list of people in: never un-suppresses anyone, never invents consent.

Running it twice, or again after being killed half-way, ends in the same list as running it once: each
thousand people is one transaction, and what is there already is left alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Self

from pipeline.crashpoint import crashpoint
from pipeline.notices import ask_to_confirm
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.bulk import CHUNK, Bulk
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.importing import ImportProblem, ImportRow
from subscribers.subscriber import SubscriberState
from subscribers.suppression import SuppressionReason
from subscribers.taking_in import Claim, Fate, Standing, Wanted, Wish, after, fate, understood

ALWAYS_COUNTED = (Fate.ADDED, Fate.CONFIRMED, Fate.ALREADY_ACTIVE, Fate.SUPPRESSED)
"""Told also when there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one row."""

    wanted: Wanted
    fate: Fate


Told = Callable[[Decision | ImportProblem], None]


def import_rows(
    settings: Settings,
    store: Store,
    rows: Iterable[ImportRow | ImportProblem],
    *,
    claim: Claim,
    now: datetime,
    whole: bool = False,
    told: Told,
) -> Counter[str]:
    """Take in `rows`; gives how many had which fate. `told` hears of each problem.

    With `whole`, everything is one transaction; then nobody is asked here, and whoever is `asked` by the
    count is for a second pass (`ask_only`). Raises `NotAnswered` when a confirmation could not be sent.
    """
    bulk, counts = Bulk(store.engine, store.shadows), Counter[str]()
    chunks = list[Sequence[Wanted]]()
    for fates in bulk.take_in(
        _kept(_chunks(_understood(rows, claim, now, told)), chunks), now=now, whole=whole
    ):
        crashpoint("import chunk committed")
        chunk = chunks.pop(0)
        ask = [wanted for wanted, found in zip(chunk, fates, strict=True) if found is Fate.ASKED]
        counts.update(map(str, fates))
        if ask and not whole:
            counts += _asked(settings, store, ask, now=now)
            counts[Fate.ASKED] -= len(ask)
    return counts


def ask_only(
    settings: Settings,
    store: Store,
    rows: Iterable[ImportRow | ImportProblem],
    *,
    claim: Claim,
    now: datetime,
) -> Counter[str]:
    """Ask everyone of `rows` who may only come in by their own yes; gives how many were, and were not."""
    bulk, counts = Bulk(store.engine, store.shadows), Counter[str]()
    for chunk in _chunks(_understood(rows, claim, now, lambda _: None)):
        standings = bulk.standings(chunk)
        ask = [
            wanted
            for wanted in chunk
            if wanted.wish is Wish.ASK and fate(wanted, standings[wanted.address.key]) is Fate.ASKED
        ]
        if ask:
            counts += _asked(settings, store, ask, now=now)
    return counts


def foresee_rows(
    store: Store, rows: Iterable[ImportRow | ImportProblem], *, claim: Claim, now: datetime, told: Told
) -> Counter[str]:
    """What `import_rows` would do: `told` hears each decision and problem. Changes nothing."""
    bulk, counts = Bulk(store.engine, store.shadows), Counter[str]()
    with _Foreseen() as foreseen:
        for chunk in _chunks(_understood(rows, claim, now, told)):
            standings = foreseen.laid_over(bulk.standings(chunk))
            for wanted in chunk:
                key = wanted.address.key
                found = fate(wanted, standings[key])
                standings[key] = after(wanted, found, standings[key])
                counts[found] += 1
                told(Decision(wanted=wanted, fate=found))
            foreseen.keep(standings)
    return counts


def look(rows: Iterable[ImportRow | ImportProblem], *, claim: Claim, now: datetime, told: Told) -> None:
    """Only read: `told` hears of each problem."""
    for _ in _understood(rows, claim, now, told):
        pass


def _understood(
    rows: Iterable[ImportRow | ImportProblem], claim: Claim, now: datetime, told: Told
) -> Iterator[Wanted]:
    for row in rows:
        found = row if isinstance(row, ImportProblem) else understood(row, claim, now=now)
        if isinstance(found, ImportProblem):
            told(found)
        else:
            yield found


def _chunks(wanted: Iterator[Wanted]) -> Iterator[Sequence[Wanted]]:
    while chunk := list(islice(wanted, CHUNK)):
        yield chunk


def _kept(chunks: Iterator[Sequence[Wanted]], into: list[Sequence[Wanted]]) -> Iterator[Sequence[Wanted]]:
    for chunk in chunks:
        into.append(chunk)
        yield chunk


def _asked(settings: Settings, store: Store, ask: Sequence[Wanted], *, now: datetime) -> Counter[str]:
    consent = ConsentRecord(
        kind=ConsentKind.REQUESTED,
        wording="",
        source="import",
        page="",
        language=settings.newsletter.language,
        occurred_at=now,
    )
    people = ((wanted.address, wanted.name, wanted.language) for wanted in ask)
    number = ask_to_confirm(settings, store, people, consent=consent)
    return Counter({Fate.ASKED: number, Fate.NOT_ASKED: len(ask) - number})


class _Foreseen:
    """How people would stand after the rows before, kept outside memory: a list may name someone twice."""

    def __init__(self) -> None:
        # A nameless SQLite database: on disk as soon as it is large, and gone with the connection.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(
            "CREATE TABLE person (key TEXT PRIMARY KEY, state TEXT, suppressed TEXT, at TEXT)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def laid_over(self, standings: dict[str, Standing]) -> dict[str, Standing]:
        found = self._database.execute(
            "SELECT person.* FROM json_each(?) JOIN person ON person.key = value", [json.dumps([*standings])]
        )
        return standings | {
            key: Standing(
                state=SubscriberState(state) if state else None,
                suppressed=SuppressionReason(suppressed) if suppressed else None,
                confirmed_at=datetime.fromisoformat(at) if at else None,
            )
            for key, state, suppressed, at in found
        }

    def keep(self, standings: dict[str, Standing]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO person VALUES (?, ?, ?, ?)",
            [
                (key, one.state, one.suppressed, one.confirmed_at and one.confirmed_at.isoformat())
                for key, one in standings.items()
            ],
        )
