"""Where scenarios are played: a newsletter's folder, its databases, a zygote and the providers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import delete, text, update

from emails.delivery import DeliveryState, EditionState
from pipeline.store import Store, open_store, tables
from pipeline.store.engine import readers
from pipeline.store.fence import NAME, Fence
from subscribers.addresses import normalise
from tests import builders, postgres
from tests.acceptance.newsletter import POST, SECRET
from tests.fault_provider import Spawned, spawn
from tests.sweep import judge
from tests.sweep.scenario import BATCH, CANARY, PEOPLE, Scenario

STARTS = datetime(2026, 11, 29, 8, 5)  # noqa: DTZ001 - `run --now` takes local time
EVERY = timedelta(minutes=10)
"""As from cron: each start is so much later than the one before."""
MAX_STARTS = 60
"""A sender that is not done after so many starts will never be."""

SCHEDULE = """\
newsletter:
  name: Stille post
  sender: Marijke <brief@stillepost.example>
  language: nl
  address: Dorpsstraat 1, Utrecht
  url: https://brief.stillepost.example
sources:
  - folder: {posts}
schedule:
  every: week
  on: sunday
  at: "08:00"
  timezone: Europe/Amsterdam
  max_lateness: 48h
storage: {storage}
provider:
  name: {provider}
  batch_size: {batch}
  canary: {canary}
  timeout: 5
"""

_SENDERS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND datname = current_database()
"""
_NEWCOMER = "nieuw@example.org"


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a scenario. `complaints` is empty when every rule held."""

    scenario: Scenario
    complaints: list[str] = field(default_factory=list)
    starts: int = 0
    deaths: list[str] = field(default_factory=list)
    """Where a sender died, in order."""
    requests: int = 0
    letters: int = 0
    twice: int = 0
    """People mailed more than once."""
    lost: int = 0
    """People neither mailed nor named by the ledger."""
    unconfirmed: int = 0
    missing: int = 0
    """Neither mailed nor refused nor skipped: all of them are among the unconfirmed, or it is a complaint."""
    in_doubt: int = 0
    """The most people in doubt at any death."""
    set_aside: int = 0
    """How often a batch was set aside because three senders died on it, and a person resumed."""
    seconds: float = 0.0


class Stand:
    """Plays one scenario after the other. Use it in a `with` block; not from two threads at once."""

    def __init__(self, folder: Path, *, server: str | None, name: str = "sweep") -> None:
        self.folder = folder
        self._server = server
        self._name = name
        self._stack = ExitStack()
        self._stores: dict[str, Store] = {}
        self._urls: dict[str, str] = {}
        self._providers: dict[str, Spawned] = {}

    def __enter__(self) -> Stand:
        with self._stack as stack:
            (self.folder / "posts").mkdir(parents=True)
            (self.folder / "posts" / "de-tas.md").write_text(POST, "utf-8")
            self._urls["sqlite"] = f"sqlite:///{self.folder / 'sqlite' / 'weekbrief.db'}"
            if self._server:
                self._urls["postgresql"] = stack.enter_context(postgres.database(self._server, self._name))
            for storage in self._urls:
                self._home(storage).mkdir()
                self._configure(storage, provider="outbox", more="")
            self._zygote = stack.enter_context(_zygote([self._home(storage) for storage in self._urls]))
            for storage, url in self._urls.items():
                self._stores[storage] = open_store(url, now=builders.NOW)
                stack.callback(self._stores[storage].close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def play(self, scenario: Scenario) -> Result:
        """The scenario to its end, or until nothing moves any more."""
        began = time.monotonic()
        self._start_over(scenario)
        result = Result(scenario=scenario)
        try:
            _Play(self, scenario, result).run()
        finally:
            result.seconds = time.monotonic() - began
        return result

    # for the play

    def store(self, scenario: Scenario) -> Store:
        return self._stores[scenario.storage]

    def fence(self, scenario: Scenario) -> Fence:
        return Fence(self._state(scenario.storage))

    def provider(self, scenario: Scenario) -> Spawned:
        return self._providers[scenario.provider]

    def sender(self, scenario: Scenario, *words: str, crash_at: str | None = None) -> tuple[int, str, str]:
        """One weekbrief, from start to end or death: exit code (negative: signal), stdout, stderr."""
        home = self._home(scenario.storage)
        environment = {"WEEKBRIEF_SECRET": SECRET, **self.provider(scenario).secrets}
        if crash_at:
            environment["WEEKBRIEF_CRASH_AT"] = crash_at
        order = {
            "arguments": ["-c", str(home / "schedule.yaml"), *words],
            "environment": environment,
            "kind": scenario.kind,
            "out": str(home / "out"),
            "err": str(home / "err"),
            "pid_file": str(self.folder / "sender"),
        }
        status = _ask(self._zygote, order)["status"]
        return status, (home / "out").read_text("utf-8"), (home / "err").read_text("utf-8")

    # building up

    def _home(self, storage: str) -> Path:
        return self.folder / storage

    def _state(self, storage: str) -> Path:
        """Where weekbrief keeps the fence."""
        return self._home(storage) if storage == "sqlite" else self._home(storage) / "var"

    def _configure(self, storage: str, *, provider: str, more: str) -> None:
        settings = SCHEDULE.format(
            posts=self.folder / "posts",
            provider=provider,
            batch=BATCH,
            canary=CANARY,
            storage=self._urls[storage],
        )
        (self._home(storage) / "schedule.yaml").write_text(settings + more, "utf-8")

    def _start_over(self, scenario: Scenario) -> None:
        if scenario.provider not in self._providers:
            truth = self.folder / f"truth-{scenario.provider}.db"
            started = spawn(scenario.provider, truth, sender=self.folder / "sender")
            self._providers[scenario.provider] = self._stack.enter_context(started)
        self.provider(scenario).start_over(scenario.script)
        (self._state(scenario.storage) / NAME).unlink(missing_ok=True)
        _empty(self.store(scenario))
        builders.subscribe(self.store(scenario), PEOPLE, prefix="lezer")
        more = f"  base_url: {self.provider(scenario).url}\n  concurrency: {scenario.concurrency}\n"
        self._configure(scenario.storage, provider=scenario.provider, more=more)


class _Play:
    """One scenario on its way."""

    def __init__(self, stand: Stand, scenario: Scenario, result: Result) -> None:
        self._stand, self._scenario, self._result = stand, scenario, result
        self._store = stand.store(scenario)
        self._kills = list(scenario.kills)
        self._before: judge.Ledger | None = None
        self._left: DeliveryState | None = None
        self._joined = False
        self._killed = 0
        """Senders that the provider killed."""

    def run(self) -> None:
        for number in range(MAX_STARTS):
            crash_at = self._kills.pop(0) if self._kills else None
            if self._start(number, crash_at):
                self._judge()
                return
            if self._result.complaints:
                return
        self._complain(f"not done after {MAX_STARTS} starts")

    def _start(self, number: int, crash_at: str | None) -> bool:
        """One sender; True when the edition is finished."""
        now = (STARTS + number * EVERY).isoformat(timespec="minutes")
        code, out, err = self._stand.sender(self._scenario, "run", "--now", now, "--json", crash_at=crash_at)
        self._result.starts += 1
        ledger = self._look()
        place = self._place(crash_at) if code == -9 else None
        wanted = crash_at.partition(":")[0] if crash_at else None
        if wanted and wanted != place:  # it did not come by there, or not so often
            self._kills.insert(0 if place else len(self._kills), f"{wanted}:1")
        if place:
            self._wait_for_the_lock()
            self._result.deaths.append(place)
            if len(self._result.deaths) == 1:
                self._life_goes_on(ledger)
            return False
        if code == 3 and "died on" in out:
            self._set_aside()
        elif code not in (0, 4, 5, 6):
            self._complain(f"start {number + 1} ended with {code}: {out}{err[-2000:]}")
        return ledger.edition is EditionState.FINISHED

    def _wait_for_the_lock(self) -> None:
        """PostgreSQL takes a moment to notice that a sender is gone."""
        if self._scenario.storage == "sqlite":
            return
        for _ in range(400):
            with readers(self._store.engine).connect() as connection:
                if not connection.execute(text(_SENDERS)).scalar_one():
                    return
            time.sleep(0.005)

    def _place(self, crash_at: str | None) -> str:
        """Where a sender died: at its own crash point, or by the provider's hand."""
        killed = [
            call for call in self._stand.provider(self._scenario).truth.requests() if call.outcome == "killed"
        ]
        by_provider = len(killed) > self._killed
        self._killed = len(killed)
        return self._scenario.fault if by_provider or not crash_at else crash_at.partition(":")[0]

    def _look(self) -> judge.Ledger:
        """Read the ledger as the sender left it, and hold it against the one before."""
        with readers(self._store.engine).connect() as connection:
            ledger = judge.read(connection, self._stand.fence(self._scenario))
        calls = len(self._stand.provider(self._scenario).truth.requests())
        self._complain(*judge.moment(self._scenario, ledger, self._before, calls))
        doubtful = len(ledger.people(DeliveryState.SUBMITTED))
        self._result.in_doubt = max(self._result.in_doubt, doubtful)
        self._before = ledger
        return ledger

    def _life_goes_on(self, ledger: judge.Ledger) -> None:
        """While no sender lives, somebody unsubscribes and somebody joins."""
        if self._scenario.leaves:
            person = self._store.subscribers.by_key(normalise(self._scenario.leaves).key)
            if person is None:
                raise LookupError(self._scenario.leaves)
            self._store.subscribers.unsubscribe(person.id, at=builders.NOW, how="link")
            states = {row.address: row.state for row in ledger.rows.values()}
            self._left = states.get(self._scenario.leaves, DeliveryState.SKIPPED)
        if self._scenario.joins:
            self._store.subscribers.add_confirmed(
                normalise(_NEWCOMER), name="", language="nl", consent=builders.imported()
            )
            self._joined = bool(ledger.rows)

    def _set_aside(self) -> None:
        self._result.set_aside += 1
        code, _, err = self._stand.sender(self._scenario, "resume", "2026-11-29", "--by", "the sweep")
        if code:
            self._complain(f"resume ended with {code}: {err}")

    def _judge(self) -> None:
        ledger = self._look()
        log = self._stand.provider(self._scenario).truth
        truth = judge.Truth(copies=log.copies(), requests=log.requests())
        listed = {doubt.address for doubt in self._store.doubts.listed()}
        self._complain(*judge.end(self._scenario, ledger, truth, listed))
        self._complain(*self._consent(ledger, truth))
        self._count(ledger, truth)

    def _count(self, ledger: judge.Ledger, truth: judge.Truth) -> None:
        named = ledger.people(DeliveryState.UNCONFIRMED)
        explained = named | ledger.people(DeliveryState.REFUSED, DeliveryState.SKIPPED)
        got = set(truth.copies)
        self._result.requests = len(truth.requests)
        self._result.letters = sum(truth.copies.values())
        self._result.twice = sum(count > 1 for count in truth.copies.values())
        self._result.lost = len({row.address for row in ledger.rows.values()} - got - explained)
        self._result.unconfirmed = len(named)
        self._result.missing = len(named - got)

    def _consent(self, ledger: judge.Ledger, truth: judge.Truth) -> Iterator[str]:
        """Who left before their intent gets nothing (R8); who joined after the freeze neither (R10)."""
        left = self._scenario.leaves or ""
        not_yet = (DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.SKIPPED)
        if self._left in not_yet and truth.copies[left]:
            yield f"R8: {left} left while {self._left}, and was mailed"
        if self._joined and truth.copies[_NEWCOMER]:
            yield "R10: somebody who joined after the freeze was mailed"

    def _complain(self, *complaints: str) -> None:
        self._result.complaints.extend(complaints)


def _empty(store: Store) -> None:
    """As on the first day, but with the same installation and secret."""
    kept = {tables.installation.name}
    with store.engine.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table.name not in kept:
                connection.execute(delete(table))
        nothing = {"hold_reason": None, "machine_fingerprint": None, "last_examined": None}
        connection.execute(update(tables.installation).values(lease_epoch=0, ledger_seq=0, **nothing))


# The zygote


@contextmanager
def _zygote(warm: Sequence[Path]) -> Iterator[subprocess.Popen[str]]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("WEEKBRIEF_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sweep.zygote", *map(str, warm)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**own, "WEEKBRIEF_SECRET": SECRET},
    )
    assert process.stdin and process.stdout
    try:
        if not process.stdout.readline():
            raise RuntimeError(f"the zygote did not come up (exit code {process.wait(30)})")
        yield process
    finally:
        process.stdin.close()
        process.wait(90)
        process.stdout.close()


def _ask(process: subprocess.Popen[str], order: dict[str, Any]) -> dict[str, int]:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    answer: dict[str, int] = json.loads(process.stdout.readline())
    return answer
