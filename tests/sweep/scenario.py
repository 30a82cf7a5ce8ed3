"""What happens in one run of the sweep, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tests.dialects import dialect
from tests.sweep.points import SWEPT, Kind

PEOPLE = 10
BATCH = 3
CANARY = 2
STORAGES = ("sqlite", "postgresql")
PROVIDERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.KEYED: ("resend", "lettermint"),
    Kind.UNKEYED: ("ses", "mailgun"),
    Kind.COMPLETE: ("postmark",),
    Kind.PARTIAL: ("postmark",),
}
"""Whose dialect each kind speaks. What a kind must not or must be able to do is set in `zygote`."""

PAGE = "<!DOCTYPE html><title>Log in</title><p>Please log in."
FAULTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "none": (),
    "answer lost after recording": ({"cut": "after"},),
    "cut before recording": ({"cut": "before"},),
    "reset after recording": ({"cut": "after", "reset": True},),
    "half an answer": ({"cut": "middle"},),
    "500 before recording": ({"status": 500, "body": "oops"},),
    "500 after recording": ({"status": 500, "body": "oops", "record": True},),
    "429": ({"trouble": "rate_limit"},),
    "unreadable 200, recorded": ({"status": 200, "body": PAGE, "record": True},),
    "unreadable 200, nothing recorded": ({"status": 200, "body": PAGE},),
    "fewer results": ({"mangle": "fewer"},),
    "more results": ({"mangle": "more"},),
    "results in another order": ({"mangle": "reversed"},),
    "one bad address": (),
    "killed at the head of the request": ({"kill": "head"},),
    "killed when recorded": ({"kill": "recorded"},),
}
"""Steps of a script for `tests.fault_provider`."""

SEVERAL = "several"
BAD = "lezer7@example.org"
EARLY = ("before edition commits", "edition written", "audience half frozen", "before freeze commits")
LATE = ("before finish commits", "finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: who is killed where, and what the provider does meanwhile."""

    seed: int
    storage: str
    kind: Kind
    provider: str
    point: str
    """The crash point that this run is about; `SEVERAL` for a run of many kills."""
    fault: str
    kills: tuple[str, ...]
    """For the first sender, the second, …: `name:visit`."""
    script: Mapping[str, Any] = field(repr=False)
    concurrency: int = 1
    leaves: str | None = None
    """Who unsubscribes after the first death."""
    joins: bool = False
    """Somebody new joins after the first death."""
    bad: str | None = None

    @property
    def workers(self) -> int:
        return self.concurrency if self.kind is Kind.KEYED else 1

    @property
    def id(self) -> str:
        """All that is needed to play it again; see `again`."""
        return "/".join((str(self.seed), self.storage, self.kind, self.point, self.fault))

    def __str__(self) -> str:
        return f"{self.id} ({self.provider}), killed at {', '.join(self.kills)}"


def grid() -> list[tuple[str, Kind, str, str]]:
    """Every (database, kind, crash point, fault) there is."""
    return [
        (storage, kind, point, fault)
        for storage, kind, point, fault in product(STORAGES, Kind, SWEPT, FAULTS)
        if kind in SWEPT[point].kinds
    ]


def long(runs: int, seed: int, *, several: int = 8) -> Iterator[Scenario]:
    """The whole grid in an order of its own, over and over; every `several`-th run is one of many kills."""
    chance = random.Random(seed)
    cells: list[tuple[str, Kind, str, str]] = []
    for number in range(runs):
        own = chance.randrange(10**9)
        if number % several == several - 1:
            yield many_kills(own, STORAGES[number // several % 2])
            continue
        if not cells:
            cells = grid()
            chance.shuffle(cells)
        yield one_kill(own, *cells.pop())


def short(seed: int) -> Iterator[Scenario]:
    """Each crash point and each fault with each database and each kind at least once; a few of many kills."""
    chance = random.Random(seed)
    for storage, kind in product(STORAGES, Kind):
        points = [point for point, reach in SWEPT.items() if kind in reach.kinds]
        faults = list(FAULTS)
        chance.shuffle(faults)
        for number in range(max(len(points), len(faults))):
            point, fault = points[number % len(points)], faults[number % len(faults)]
            yield one_kill(chance.randrange(10**9), storage, kind, point, fault)
        for point in (point for point in points if SWEPT[point].after or SWEPT[point].often):
            # A fault may settle a doubt by itself, or kill every sender before it gets there.
            yield one_kill(chance.randrange(10**9), storage, kind, point, "none")
    for storage in (*STORAGES, *STORAGES):
        yield many_kills(chance.randrange(10**9), storage)


def again(scenario_id: str) -> Scenario:
    """The scenario with this id. Raises ValueError for a text that is none."""
    seed, storage, kind, point, fault = scenario_id.split("/")
    if storage not in STORAGES or fault not in FAULTS:
        raise ValueError(f"{scenario_id!r} is no scenario: seed/database/kind/crash point/fault")
    if point == SEVERAL:
        return many_kills(int(seed), storage)
    return one_kill(int(seed), storage, Kind(kind), point, fault)


def one_kill(seed: int, storage: str, kind: Kind, point: str, fault: str) -> Scenario:
    """A run about one place and one fault; seed decides which visit and which call."""
    chance = random.Random(seed)
    reach = SWEPT[point]
    visit = chance.randint(1, 3) if reach.often else 1
    kills = (f"{point}:{visit}",)
    if reach.after:
        kills = (f"{reach.after}:{chance.randint(1, 3)}", *kills)
    return _scenario(chance, seed, storage, kind, point, fault, kills)


def many_kills(seed: int, storage: str) -> Scenario:
    """Two to ten kills in a row, wherever, with faults on the way (row 15)."""
    chance = random.Random(seed)
    kind = chance.choice(list(Kind))
    early = [chance.choice(EARLY) + ":1"] if chance.random() < 0.5 else []
    late = [chance.choice(LATE) + ":1"] if chance.random() < 0.5 else []
    points = [p for p, reach in SWEPT.items() if kind in reach.kinds and (reach.often or reach.after)]
    between = [f"{chance.choice(points)}:{chance.choice((1, 1, 1, 2))}" for _ in range(chance.randint(2, 8))]
    kills = (*early, *between, *late)
    fault = chance.choice(list(FAULTS))
    return _scenario(chance, seed, storage, kind, SEVERAL, fault, kills)


def _scenario(
    chance: random.Random,
    seed: int,
    storage: str,
    kind: Kind,
    point: str,
    fault: str,
    kills: tuple[str, ...],
) -> Scenario:
    providers = PROVIDERS[kind]
    if any("mangle" in step for step in FAULTS[fault]):  # there is nothing to mangle in one id for all
        providers = tuple(name for name in providers if dialect(name).id_per_message)
    bad = BAD if fault == "one bad address" else None
    script = {
        "steps": _steps(chance, fault),
        "search": [{"status": 500, "body": "oops"}] if chance.random() < 0.2 else [],
        "bad_addresses": [bad] if bad else [],
        "bodies": False,
    }
    return Scenario(
        seed=seed,
        storage=storage,
        kind=kind,
        provider=chance.choice(providers),
        point=point,
        fault=fault,
        kills=kills,
        script=script,
        concurrency=chance.choice((1, 3)),
        leaves=f"lezer{chance.randint(1, PEOPLE)}@example.org" if chance.random() < 0.25 else None,
        joins=chance.random() < 0.25,
        bad=bad,
    )


def _steps(chance: random.Random, fault: str) -> list[Mapping[str, Any]]:
    """The fault once to three times, from some call on."""
    if not FAULTS[fault]:
        return []
    before = chance.randint(0, 4)
    steps: list[Mapping[str, Any]] = [{"times": before}] if before else []
    return [*steps, *({**step, "times": chance.choice((1, 1, 2, 3))} for step in FAULTS[fault])]
