"""A mail server on loopback, for tests: another project's implementation of SMTP (aiosmtpd), with a script.

    with MailServer([{"RCPT": "550 5.1.1 no such user"}]) as server:
        ...
        assert server.taken == []

The n-th message gets the n-th step, later ones are taken. A step maps a moment to what happens then: an
answer, or `CUT` (the connection is dropped), `SILENCE` (no answer comes). The moments are `MAIL`, `RCPT`,
`message` (the final dot has come, nothing is recorded), `after` (it is recorded). `RawServer` is for what no
server does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CUT = "CUT"
SILENCE = "SILENCE"
MAX_SECONDS = 20.0

Step = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One message as the server took it."""

    connection: int
    sender: str
    recipients: Sequence[str]
    content: bytes = field(repr=False)
    """With dots as they were before they were doubled for the way."""
    encrypted: bool
    user: str | None


@dataclass
class MailServer:
    """Serves until the block ends."""

    steps: Sequence[Step] = ()
    tls: ssl.SSLContext | None = None
    """TLS from the first byte."""
    starttls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    """Name and password that it insists on."""
    taken: list[Taken] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    """Options of each MAIL command."""
    connections: int = 0

    def __enter__(self) -> MailServer:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(MAX_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(MAX_SECONDS)
        self._loop.close()

    @property
    def messages(self) -> int:
        """How many messages have begun."""
        return len(self.announced)

    def drop_connections(self) -> None:
        """Close every open connection, as a server does with one that says nothing."""
        done = threading.Event()

        def close() -> None:
            for protocol in self._protocols:
                if protocol.transport:
                    protocol.transport.close()
            self._loop.call_later(0.05, done.set)

        self._loop.call_soon_threadsafe(close)
        assert done.wait(MAX_SECONDS)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._protocols: list[SMTP] = []
        server = await self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=self.tls)
        self.port = int(server.sockets[0].getsockname()[1])
        ready.set()
        await self._stop.wait()
        server.close()
        for protocol in self._protocols:
            if protocol.transport:
                protocol.transport.abort()
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _protocol(self) -> SMTP:
        self.connections += 1
        protocol = SMTP(
            _Handler(self, self.connections),
            hostname="mail.voorbeeld.example",
            tls_context=self.starttls,
            require_starttls=self.starttls is not None,
            auth_required=self.login is not None,
            auth_require_tls=False,
            authenticator=self._authenticate if self.login else None,
            loop=self._loop,
        )
        self._protocols.append(protocol)
        return protocol

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = (data.login.decode(), data.password.decode()) == self.login
        return AuthResult(success=good, handled=False, auth_data=data.login.decode() if good else None)


class _Handler:
    def __init__(self, server: MailServer, connection: int) -> None:
        self._server = server
        self._connection = connection
        self._step: Step = {}

    async def handle_MAIL(  # noqa: N802 - aiosmtpd calls it so
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        steps, number = self._server.steps, self._server.messages
        self._step = steps[number] if number < len(steps) else {}
        self._server.announced.append(" ".join(options))
        envelope.mail_from = address
        return await self._at("MAIL", smtp) or "250 2.1.0 sender ok"

    async def handle_RCPT(  # noqa: N802
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._at("RCPT", smtp)
        if not answer:
            envelope.rcpt_tos.append(address)
        return answer or "250 2.1.5 recipient ok"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._at("message", smtp)
        if answer:
            return answer
        assert isinstance(envelope.content, bytes)
        self._server.taken.append(
            Taken(
                connection=self._connection,
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                content=envelope.content,
                encrypted=session.ssl is not None or self._server.tls is not None,
                user=session.auth_data,
            )
        )
        return await self._at("after", smtp) or f"250 2.0.0 Ok: queued as Q{len(self._server.taken):05}"

    async def _at(self, moment: str, smtp: SMTP) -> str | None:
        answer = self._step.get(moment)
        if answer == CUT:
            smtp.transport.abort()
            return "421 gone"
        if answer == SILENCE:
            await asyncio.sleep(MAX_SECONDS)
        return answer


@dataclass
class RawServer:
    """Takes one connection and does to it what `script` says."""

    script: Callable[[socket.socket], None]

    def __enter__(self) -> RawServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(MAX_SECONDS)

    def _serve(self) -> None:
        try:
            sock, _ = self._listener.accept()
            with sock:
                sock.settimeout(MAX_SECONDS)
                self.script(sock)
        except OSError:
            return  # the client went away, or never came
