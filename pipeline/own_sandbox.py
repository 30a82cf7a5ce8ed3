"""A sandbox that a run brings along: `provider: sandbox` works with nothing else running."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from emails.delivery import Answer, Capabilities, Esp, Found, Recipient, Request, Sought
from emails.edition import Mailing
from emails.esp.sandbox import BASE_URL
from emails.sandbox import SandboxRecord, SandboxServer, serve_in_thread


def bring_along(folder: Path, make: Callable[[str | None], Esp]) -> Esp:
    """The sandbox that runs at its usual address, or else one of our own that keeps its record below
    `folder`; `weekbrief sandbox` shows the same record afterwards."""
    if _answers(BASE_URL):
        return make(None)
    record = SandboxRecord(folder / "sandbox" / "sandbox.db")
    server = serve_in_thread(record)
    return OwnSandbox(make(server.url), server, record)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 80)) == 0


class OwnSandbox:
    """An `Esp` whose server lives as long as it does; what was taken stays in the record."""

    def __init__(self, esp: Esp, server: SandboxServer, record: SandboxRecord) -> None:
        self._esp = esp
        self._server = server
        self._record = record

    @property
    def capabilities(self) -> Capabilities:
        return self._esp.capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        return self._esp.build(mailing, recipients, key)

    def submit(self, request: Request, deadline: float) -> Answer:
        return self._esp.submit(request, deadline)

    def find(self, sought: Sought, deadline: float) -> Found:
        return self._esp.find(sought, deadline)

    def close(self) -> None:
        self._esp.close()
        self._server.stop()
        self._record.close()
