"""A newsletter in a folder, worked on by real child processes, with a sandbox that keeps its own record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emails.sandbox import SandboxRecord, serve_in_thread

NOW = "2026-11-29T08:05"
"""A Sunday, five minutes after the letter's time."""

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
  name: sandbox
  base_url: {provider}
  batch_size: {batch_size}
storage: {storage}
"""

SECRET = "een-geheim-dat-alleen-de-tests-kennen-0123456789"

POST = """\
---
title: De tas bij de deur
date: 2026-09-06
url: https://stillepost.example/de-tas
---
Soms dragen we meer dan we merken.

## Neerzetten

Voorbeeld: Je komt thuis van je werk en houdt je tas nog vast terwijl je de post bekijkt. Pas na een kwartier
merk je dat je schouder pijn doet. Je zet de tas bij de deur en ademt uit.

💡 Wat draag jij nog met je mee dat je allang had kunnen neerzetten?
"""


@dataclass(frozen=True)
class Folder:
    """One newsletter's folder."""

    path: Path
    record: SandboxRecord

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", "-c", str(self.path / "schedule.yaml"), *words]

    def environment(self, **more: str) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("WEEKBRIEF_")}
        return {**own, "WEEKBRIEF_SECRET": SECRET, **more}

    def weekbrief(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words),
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **more: str) -> dict[str, Any]:
        """`weekbrief run --json` as an object; its exit code is added as `exit`."""
        done = self.weekbrief("run", "--now", NOW, "--json", *words, **more)
        assert done.stdout, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return {**said, "exit": done.returncode}

    def subscribe(self, count: int) -> None:
        rows = "".join(f"lezer{n}@example.org,Lezer {n},nl\n" for n in range(1, count + 1))
        file = self.path / "lezers.csv"
        file.write_text("email,name,language\n" + rows, "utf-8")
        words = ("import", str(file), "--confirmed", "--source", "test list", "--date", "2026-01-05")
        done = self.weekbrief("subscribers", *words)
        assert done.returncode == 0, done.stderr

    def copies(self) -> Counter[str]:
        """How many copies each address got, by the sandbox's own record."""
        found: Counter[str] = Counter()
        before: int | None = None
        while True:
            lines = self.record.page(limit=500, before=before)
            if not lines:
                return found
            found.update(line.to for line in lines)
            before = lines[-1].number


@contextmanager
def newsletter(
    path: Path,
    *,
    storage: str = "sqlite:///var/weekbrief.db",
    post: str = POST,
    batch_size: int = 100,
    url: str = "https://brief.stillepost.example",
    api_key: str | None = None,
) -> Iterator[Folder]:
    """A folder with one post and a sandbox beside it."""
    posts = path / "posts"
    posts.mkdir(parents=True)
    (posts / "de-tas.md").write_text(post, "utf-8")
    with SandboxRecord(path / "sandbox.db") as record, serve_in_thread(record, api_key=api_key) as sandbox:
        values = {"provider": sandbox.url, "storage": storage, "batch_size": batch_size, "url": url}
        (path / "schedule.yaml").write_text(SCHEDULE.format(**values), "utf-8")
        yield Folder(path, record)


def kill(process: subprocess.Popen[str]) -> None:
    """A real SIGKILL, and the wait for it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
