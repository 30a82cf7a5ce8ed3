"""The demo: a whole week in a temporary folder, with nothing to set up and nobody mailed."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from threading import Event

from emails.sandbox import SandboxRecord, serve_in_thread
from pipeline.clock import SystemClock
from pipeline.deliver import Progress
from pipeline.due import Slot, slots
from pipeline.newsletter import make_newsletter
from pipeline.report import Report
from pipeline.service import in_thread, listening, public_pages
from pipeline.settings import Settings, load_settings
from pipeline.store import Store
from pipeline.week import run_due
from pipeline.wiring import esp_of, opened, week_of
from pipeline.yaml_lines import read_document
from subscribers.addresses import normalise
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.importing import ImportRow, read_subscribers

SENDER = "Marijke <brief@lichterleven.example>"
NAME = "Lichter leven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A newsletter that runs, and where to look at it."""

    settings: Settings
    store: Store
    inbox: str
    folder: Path


@contextmanager
def demo_newsletter(*, subscribers: int, port: int) -> Iterator[Demo]:
    """A newsletter on our sample posts with that many subscribers, a sandbox as its provider and its public
    pages answering. Everything is gone after the block. Raises OSError when the port is taken."""
    with (
        tempfile.TemporaryDirectory(prefix="weekbrief-demo-") as name,
        listening("127.0.0.1", 0) as listener,
        SandboxRecord(Path(name) / "sandbox" / "sandbox.db") as record,
        serve_in_thread(record, port=port) as sandbox,
    ):
        folder = Path(name)
        public = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = _settings(folder, public=public, provider=sandbox.url)
        with opened(settings) as store:
            _subscribe(store, subscribers)
            esp = esp_of(settings)
            try:
                with in_thread(public_pages(settings, store, esp), listener):
                    yield Demo(settings=settings, store=store, inbox=sandbox.url, folder=folder)
            finally:
                esp.close()


def send_week(demo: Demo, *, progress: Progress) -> Report:
    """Send the letter of the newest slot, as if it were that moment."""
    week = week_of(demo.settings, demo.store, now=_newest_slot(demo.settings).due_at)
    return run_due(replace(week, progress=progress), stop=Event())


def _newest_slot(settings: Settings) -> Slot:
    now = SystemClock().now()
    return slots(settings.schedule, now - timedelta(days=8), now)[-1]


def _settings(folder: Path, *, public: str, provider: str) -> Settings:
    for _made in make_newsletter(folder, samples=True):
        pass
    file = folder / "schedule.yaml"
    values = read_document(file.read_bytes(), str(file)).value
    values["newsletter"] |= {"name": NAME, "sender": SENDER, "url": public}
    values["provider"] = {"name": "sandbox", "base_url": provider}
    file.write_text(json.dumps(values, ensure_ascii=False, indent=2), "utf-8")
    return load_settings(file, {k: v for k, v in os.environ.items() if not k.startswith("WEEKBRIEF_")})


def _subscribe(store: Store, count: int) -> None:
    """Our sample people first; beyond them, numbered ones."""
    sample = io.BytesIO(files("pipeline").joinpath("samples", "subscribers.csv").read_bytes())
    rows = [row for row in read_subscribers(sample) if isinstance(row, ImportRow)][:count]
    people = [(row.address, row.name, row.language or "nl") for row in rows]
    people += [
        (normalise(f"lezer{n}@example.org"), f"Lezer {n}", "nl") for n in range(len(people) + 1, count + 1)
    ]
    consent = ConsentRecord(
        kind=ConsentKind.IMPORTED,
        wording="",
        source="sample",
        page="",
        language="nl",
        occurred_at=SystemClock().now(),
    )
    for _outcome in store.subscribers.add_many(people, consent=consent):
        pass
