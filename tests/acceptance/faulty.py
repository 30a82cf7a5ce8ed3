"""A newsletter whose provider misbehaves by script.

`start` is the real command in a process of its own, `weekbrief` the same command, from its words to its exit
code, in this one. `run` is a week on a clock that jumps instead of waiting: for faults that take an hour or
a day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

import pytest

from emails.delivery import AnswerClass
from pipeline.cli import main
from pipeline.report import Report
from pipeline.settings import Settings, load_settings
from pipeline.store import Store
from pipeline.store.counting import Counts
from pipeline.week import Week, run_due
from pipeline.wiring import opened, week_of
from tests import builders
from tests.acceptance.newsletter import NOW, POST, SECRET, kill
from tests.dialects import dialect
from tests.fault_provider import FaultProvider

__all__ = ["NOW", "Faulty", "JumpingClock", "eventually", "faulty", "kill"]

DUE = datetime(2026, 11, 29, 7, 5, tzinfo=UTC)
"""`NOW` in UTC."""
DAY, WEEK = "2026-11-29", "2026-W48"

SCHEDULE = """\
newsletter:
  name: Stille post
  sender: Marijke <brief@stillepost.example>
  language: nl
  address: Dorpsstraat 1, Utrecht
  url: {url}
sources:
  - folder: posts
schedule:
  every: week
  on: sunday
  at: "08:00"
  timezone: Europe/Amsterdam
provider:
{provider}
storage: {storage}
"""


class JumpingClock:
    """The wall clock from `DUE` on. Who waits is there at once; the time has passed all the same."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.jumped = 0.0

    def now(self) -> datetime:
        return DUE + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return time.monotonic() - self._began + self.jumped

    def wait(self, seconds: float, stop: Event) -> bool:
        if not stop.is_set():
            self.jumped += seconds
        return stop.is_set()

    def jump(self, **span: float) -> None:
        self.jumped += timedelta(**span).total_seconds()


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Faulty:
    """One newsletter's folder, and the provider it sends by."""

    path: Path
    provider: FaultProvider
    storage: str
    clock: JumpingClock
    pace: dict[str, Any]
    """What stands under `provider:` besides name and address."""
    more: dict[str, str] = field(default_factory=dict)
    """More of the environment."""

    # the real command

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", *self._argv(words)]

    def _argv(self, words: Sequence[str]) -> list[str]:
        return ["pipeline", "-c", str(self.file), *words]

    def environment(self, **more: str) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("WEEKBRIEF_")}
        return {**own, "WEEKBRIEF_SECRET": SECRET, **self.provider.secrets, **self.more, **more}

    def weekbrief(self, *words: str, **more: str) -> Done:
        """A command, to its end. One that is to die has a process of its own; others spare us the start."""
        if "WEEKBRIEF_CRASH_AT" in more:
            process = self.start(*words, **more)
            out, err = process.communicate(timeout=120)
            return Done(process.returncode, out, err)
        out, err = StringIO(), StringIO()
        with (
            patch.dict(os.environ, self.environment(**more), clear=True),
            patch("sys.argv", self._argv(words)),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            main()
        return Done(int(left.value.code or 0), out.getvalue(), err.getvalue())

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command in a process of its own, which does not outlive the block."""
        process = self.start(*words)
        try:
            yield process
        finally:
            if process.poll() is None:
                kill(process)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: str, code: int = 0) -> Any:
        """What a command with `--json` says: an object, or a list where it prints one a line."""
        done = self.weekbrief(*words, "--json")
        assert done.returncode == code, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 and words[0] in ("run", "send", "status") else lines

    # the same week in this process

    def run(self, *, stop: Event | None = None, **changes: Any) -> Report:
        """`weekbrief run` on the jumping clock; `changes` replace parts of the week."""
        with self.week(**changes) as week:
            return run_due(week, stop=stop or Event())

    @contextmanager
    def week(self, **changes: Any) -> Iterator[Week]:
        settings = self.settings()
        with opened(settings, clock=self.clock) as store:
            yield replace(week_of(settings, store), **{"clock": self.clock, **changes})

    @contextmanager
    def store(self) -> Iterator[Store]:
        with opened(self.settings(), clock=self.clock) as store:
            yield store

    # arranging and looking

    @property
    def file(self) -> Path:
        return self.path / "schedule.yaml"

    def settings(self) -> Settings:
        return load_settings(self.file, self.environment())

    def write(self, url: str = "https://brief.stillepost.example", **pace: Any) -> None:
        """Write schedule.yaml; `pace` is added to what stands under `provider:`."""
        self.pace |= pace
        values = {"name": self.provider.dialect.name, "base_url": self.provider.url, **self.pace}
        lines = "\n".join(f"  {name}: {value}" for name, value in values.items())
        self.file.write_text(SCHEDULE.format(provider=lines, storage=self.storage, url=url), "utf-8")

    def subscribe(self, count: int, *, prefix: str = "reader") -> None:
        """`reader1@example.org` to `reader<count>@example.org`, confirmed."""
        with self.store() as store:
            builders.subscribe(store, count, prefix=prefix)

    def add_post(self, name: str, date: str, title: str) -> None:
        text = POST.replace("De tas bij de deur", title).replace("2026-09-06", date)
        (self.path / "posts" / f"{name}.md").write_text(text.replace("de-tas", name), "utf-8")

    def counts(self, day: str = DAY) -> Counts:
        """Where everyone is, which must add up."""
        with self.store() as store:
            edition = store.editions.find(day)
            assert edition is not None
            return store.check_sum(edition.id)

    def copies(self) -> dict[str, int]:
        """How many letters the provider took for each address, by its own log."""
        return dict(self.provider.truth.copies())

    def once_each(self, count: int) -> bool:
        copies = self.copies()
        return len(copies) == count and set(copies.values()) == {1}

    def sizes(self) -> list[int]:
        """People of each sending call that was taken."""
        return [seen.messages for seen in self.provider.truth.requests() if seen.outcome == "taken"]


@contextmanager
def faulty(
    path: Path,
    storage: str,
    *,
    speaks: str = "resend",
    script: Any = (),
    clock: JumpingClock | None = None,
    **pace: Any,
) -> Iterator[Faulty]:
    """A folder with one post, and a provider that speaks `speaks` and keeps the jumping clock's time."""
    posts = path / "posts"
    posts.mkdir(parents=True)
    (posts / "de-tas.md").write_text(POST, "utf-8")
    clock = clock or JumpingClock()
    with FaultProvider(dialect(speaks), script, clock=lambda: clock.now().timestamp()) as provider:
        letter = Faulty(path, provider, storage, clock, {"batch_size": 10, "canary": 5, **pace})
        letter.write()
        yield letter


def at_answer(number: int, act: Callable[[], object]) -> Mapping[str, Any]:
    """A change for `Faulty.run`: do something once the n-th answer is recorded."""
    seen = [0]

    def progress(kind: AnswerClass | None, _people: int) -> None:
        seen[0] += kind is not None
        if seen[0] == number and kind is not None:
            act()

    return {"progress": progress}


def eventually(true: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait until something is true; fails when the process ends before."""
    ends = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)
