"""A warm process that senders are forked from: each is a process of its own, with its own death.

Starting Python and loading everything takes a second; forking takes milliseconds, and ten thousand runs of
the sweep become possible. What runs in the child is the real command line. Three things differ from
`python -m pipeline`: waiting takes no time, a provider's abilities can be set (`kind`), and it all was loaded
before. Orders come one JSON line each on stdin; the answer is a line with the exit code, negative for the
signal that ended it.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Engine

import emails.esp
import pipeline.cli
import pipeline.store
from emails.delivery import Esp, Search
from pipeline import wiring
from pipeline.store.engine import _check_durable as check_durable
from pipeline.store.engine import open_engine
from tests.sweep.points import Kind

MAX_SECONDS = 60
"""A sender that takes longer hangs: SIGALRM ends it, and the judge hears of it."""
SETTLE = timedelta(seconds=20)

_engines: dict[str, Engine] = {}
_esp_of = wiring.esp_of


class FastClock:
    """Waiting takes no time, but time passes."""

    def __init__(self, starts_at: datetime | None = None) -> None:
        self._starts_at = starts_at or datetime.now(UTC)
        self._began = time.monotonic()
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._starts_at + timedelta(seconds=self.monotonic() - self._began)

    def monotonic(self) -> float:
        with self._lock:
            return time.monotonic() + self._passed

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        with self._lock:
            self._passed += max(0.0, seconds)
        time.sleep(0.001)  # let the other workers come by
        return stop.is_set()


def able(esp: Esp, kind: Kind) -> Esp:
    """The same provider with what its kind can do: it can or cannot be searched, wholly or in part."""
    search = {
        Kind.KEYED: None,
        Kind.UNKEYED: None,
        Kind.COMPLETE: Search(settle=SETTLE, complete=True),
        Kind.PARTIAL: Search(settle=SETTLE),
    }[kind]
    dialect = esp._dialect
    esp._dialect = replace(dialect, capabilities=replace(dialect.capabilities, search=search))
    return esp


def main() -> None:
    _load()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(order)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def _load() -> None:
    for package in (emails.esp, pipeline.cli):
        for module in pkgutil.iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
    for name in ("psycopg", "sqlalchemy.dialects.postgresql.psycopg", "alembic.command", "alembic.config"):
        import_module(name)
    for name in ("pipeline.week", "pipeline.plan", "emails.render", "getpass"):
        import_module(name)
    pipeline.store.open_engine = _engine
    for folder in sys.argv[1:]:
        _warm(Path(folder))
    if threading.active_count() != 1:
        raise RuntimeError("a process with several threads must not fork")
    gc.collect()
    gc.freeze()
    gc.disable()  # a child is short, and collecting would copy the pages it shares with this process


def _engine(storage: str) -> Engine:
    """The engine of before, for its statements; checked for durability as every new one is."""
    if storage not in _engines:
        _engines[storage] = open_engine(storage)
    check_durable(_engines[storage])
    return _engines[storage]


def _warm(folder: Path) -> None:
    """One whole week in this process: templates, patterns and statements are made once for all children. It
    closes its connections: no child gets a hand on another's."""
    before = sys.argv
    quiet = os.open(os.devnull, os.O_WRONLY)
    out = os.dup(1)
    os.dup2(quiet, 1)
    try:
        for words in (
            (
                "subscribers",
                "add",
                "warm@example.org",
                "--confirmed",
                "--source",
                "x",
                "--date",
                "2026-01-05",
            ),
            ("run", "--now", "2026-11-29T08:05", "--json"),
        ):
            sys.argv = ["weekbrief", "-c", str(folder / "schedule.yaml"), *words]
            try:
                pipeline.cli.main()
            except SystemExit as done:
                if done.code:
                    raise RuntimeError(f"the warm run ended with {done.code}") from done
    finally:
        sys.stdout.flush()
        os.dup2(out, 1)
        os.close(quiet)
        os.close(out)
        sys.argv = before


def _child(order: Mapping[str, Any]) -> NoReturn:
    code = 70
    try:
        signal.alarm(MAX_SECONDS)
        new = Path(order["pid_file"] + ".new")
        new.write_text(str(os.getpid()))
        new.rename(order["pid_file"])  # whole or not at all: the provider reads it at any moment
        for number, file in ((1, order["out"]), (2, order["err"])):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(handle, number)
            os.close(handle)
        os.environ.update(order["environment"])
        kind = Kind(order["kind"])
        wiring.SystemClock = FastClock
        wiring.esp_of = lambda settings: able(_esp_of(settings), kind)
        code = _run(order["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(arguments: list[str]) -> int:
    sys.argv = ["weekbrief", *arguments]
    try:
        pipeline.cli.main()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    return 0


if __name__ == "__main__":
    main()
