"""A conversation with a mail server (RFC 5321), under one deadline, that knows what has left.

`smtplib` bounds each read and not the call, looks names up without a bound, and cannot say whether the end of
a message was on its way when a connection broke; that decides here whether trying again is safe.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpcore

from emails.esp.http import MAX_CONNECT_SECONDS, look_up

MAX_LINE = 4096
"""Bytes of one line of an answer; RFC 5321 4.5.3.1.5 allows 512, servers write more."""
MAX_LINES = 200


class LineBroke(Exception):
    """The connection is of no more use: closed, out of time, or not SMTP. Holds words for a person."""


class Untrusted(Exception):
    """The server did not prove who it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the server: its code, and its words on one line."""

    code: int
    text: str

    @property
    def done(self) -> bool:
        return 200 <= self.code < 300

    @property
    def passing(self) -> bool:
        """Not now, perhaps later (RFC 5321 4.2.1)."""
        return 400 <= self.code < 500

    @property
    def refusing(self) -> bool:
        return 500 <= self.code < 600


@dataclass(slots=True)
class Line:
    """An open connection. `until` bounds every operation, and is set anew for each call."""

    sock: socket.socket
    until: float
    """By `time.monotonic`."""
    offers: Mapping[str, str] = field(default_factory=dict)
    """What the server can do: keyword in capitals → its parameters (RFC 5321 4.1.1.1)."""
    handed_over: int = 0
    """Messages it took over this connection."""
    in_transaction: bool = False
    _buffer: bytearray = field(default_factory=bytearray)

    @classmethod
    def open(cls, host: str, port: int, until: float) -> Line:
        """Connect, to each of the host's addresses in turn. Raises `LineBroke`."""
        ends = min(until, time.monotonic() + MAX_CONNECT_SECONDS)
        try:
            addresses = look_up(host, port, ends - time.monotonic())
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise LineBroke(f"the mail server {host} cannot be found") from error
        for tried, address in enumerate(addresses):
            share = (ends - time.monotonic()) / (len(addresses) - tried)
            if share <= 0:
                break
            try:
                sock = socket.create_connection((address, port), timeout=share)
            except OSError:
                continue
            # The end of a message is a write of its own: it must not wait for the one before it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(sock, until)
        raise LineBroke(f"the mail server {host}:{port} cannot be reached")

    def close(self) -> None:
        self.sock.close()

    @property
    def quiet(self) -> bool:
        """Nothing has come since the last answer: neither a goodbye nor the end of the connection."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        unread = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
        return not self._buffer and not unread and not poll.poll(0)

    @property
    def own_name(self) -> str:
        """What to greet with: our address (RFC 5321 4.1.3), as a host often has no public name."""
        address = str(self.sock.getsockname()[0]).partition("%")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS; what was read before it does not count (RFC 3207 4.2). Raises `Untrusted`, and
        `LineBroke`."""
        self._buffer.clear()
        self.offers = {}
        try:
            self.sock.settimeout(self._left())
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"the TLS certificate of {host} is not valid for its name") from error
        except (OSError, ValueError) as error:
            raise LineBroke(f"no TLS with {host} came about") from error

    def command(self, *words: str) -> Reply:
        """Say one line and hear the answer. Raises `LineBroke`."""
        self.write(" ".join(words).encode("ascii") + b"\r\n")
        return self.hear()

    def greet(self) -> Reply:
        """EHLO; remembers what the server offers."""
        reply = self.command("EHLO", self.own_name)
        if reply.done:
            rows = (row.partition(" ") for row in reply.text.split("\n")[1:])
            self.offers = {keyword.upper(): parameters for keyword, _, parameters in rows}
        return reply

    def log_in(self, username: str, password: str) -> Reply:
        """AUTH PLAIN (RFC 4616), or LOGIN where a server knows only that. Raises `LineBroke`."""
        ways = self.offers.get("AUTH", "").upper().split()
        if "PLAIN" in ways or "LOGIN" not in ways:
            return self.command("AUTH", "PLAIN", _base64(f"\0{username}\0{password}"))
        reply = self.command("AUTH", "LOGIN")
        for answer in (username, password):
            if reply.code == 334:
                reply = self.command(_base64(answer))
        return reply

    def write(self, data: bytes) -> None:
        """Send all of `data`, however slowly the server takes it in. Raises `LineBroke`."""
        rest = memoryview(data)
        try:
            while rest:
                self.sock.settimeout(self._left())
                rest = rest[self.sock.send(rest) :]
        except OSError as error:
            raise LineBroke(_words(error)) from error

    def hear(self) -> Reply:
        """The next answer, all its lines (RFC 5321 4.2.1). Raises `LineBroke`."""
        texts: list[str] = []
        for _ in range(MAX_LINES):
            line = self._read_line()
            code, mark, text = line[:3], line[3:4], line[4:]
            if not (code.isascii() and code.isdigit() and mark in ("", " ", "-")):
                raise LineBroke("what came is not an answer of a mail server")
            texts.append(text)
            if mark != "-":
                return Reply(code=int(code), text="\n".join(texts))
        raise LineBroke("the server's answer does not end")

    def _read_line(self) -> str:
        try:
            while b"\n" not in self._buffer:
                if len(self._buffer) > MAX_LINE:
                    raise LineBroke("the server's answer does not end")
                self.sock.settimeout(self._left())
                data = self.sock.recv(MAX_LINE)
                if not data:
                    raise LineBroke("the server closed the connection")
                self._buffer += data
        except OSError as error:
            raise LineBroke(_words(error)) from error
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise LineBroke("time is up")
        return left


def stuffed(message: bytes) -> bytes:
    """`message` as it goes over the line: a dot before each dot that begins a line (RFC 5321 4.5.2)."""
    body = message.replace(b"\r\n.", b"\r\n..")
    return b"." + body if body.startswith(b".") else body


def path(address: str) -> str:
    return f"<{address}>"


def parameters(offers: Mapping[str, str], size: int) -> Iterable[str]:
    """What to tell with MAIL: the size, so that too large a message is refused at once (RFC 1870)."""
    return (f"SIZE={size}",) if "SIZE" in offers else ()


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    return "the connection broke"
