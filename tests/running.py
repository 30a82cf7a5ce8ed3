"""A newsletter in a folder with everything real: its pages answering on loopback, and the provider that
writes letters into a folder."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from threading import Event

from pipeline.clock import SystemClock
from pipeline.due import slots
from pipeline.newsletter import make_newsletter
from pipeline.report import Outcome
from pipeline.service import in_thread, public_pages
from pipeline.settings import Settings, load_settings
from pipeline.store import Store
from pipeline.week import run_due
from pipeline.wiring import esp_of, opened, state_folder, week_of
from pipeline.yaml_lines import read_document


@dataclass
class Running:
    """A newsletter whose pages are being served."""

    settings: Settings
    store: Store
    base: str

    def letters(self) -> list[EmailMessage]:
        """What the provider wrote, oldest first."""
        files = (state_folder(self.settings) / "outbox").glob("**/*.eml")
        return [
            message_from_bytes(file.read_bytes(), policy=policy.default)  # type: ignore[misc]
            for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)
        ]

    def letter(self, number: int) -> EmailMessage:
        """That letter, as soon as it is there: it leaves after the page."""
        deadline = time.monotonic() + 20
        while len(self.letters()) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        found = self.letters()
        assert len(found) == number, [letter["Subject"] for letter in found]
        return found[-1]

    def send_week(self) -> None:
        """A real run, at the newest slot's moment."""
        now = SystemClock().now()
        due = slots(self.settings.schedule, now - timedelta(days=8), now)[-1].due_at
        report = run_due(week_of(self.settings, self.store, now=due), stop=Event())
        assert (report.outcome, report.counts.accepted) == (Outcome.SENT, 1), report.notes


@contextmanager
def running(folder: Path, **newsletter: object) -> Iterator[Running]:
    """`newsletter`: more keys of that section of schedule.yaml."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for _made in make_newsletter(folder, samples=True):
            pass
        file = folder / "schedule.yaml"
        values = read_document(file.read_bytes(), str(file)).value
        values["newsletter"] |= {
            "name": "Stille post",
            "url": base,
            "sender": "Marijke <m@stillepost.example>",
            "address": "Dorpsstraat 1, Utrecht",
            **newsletter,
        }
        values["provider"] = {"name": "outbox"}
        file.write_text(json.dumps(values, ensure_ascii=False), "utf-8")
        own = {key: value for key, value in os.environ.items() if not key.startswith("WEEKBRIEF_")}
        settings = load_settings(file, own)
        with opened(settings) as store:
            esp = esp_of(settings)
            try:
                with in_thread(public_pages(settings, store, esp), listener):
                    yield Running(settings, store, base)
            finally:
                esp.close()


def text_of(letter: EmailMessage) -> str:
    """Its plain text, in lines of this system."""
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def link(letter: EmailMessage, path: str) -> str:
    """The address in a letter whose path matches."""
    found = re.search(rf"^(http://127\.0\.0\.1:\d+{path})$", text_of(letter), re.MULTILINE)
    assert found is not None, text_of(letter)
    return found[1]
