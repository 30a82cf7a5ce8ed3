"""One HTTP attempt: one request, one bounded answer, one deadline around everything.

The usual time-outs of HTTP clients bound each read, not the call: a server that sends one byte every
quarter of a second holds a caller with `timeout=1` for as long as it likes (measured with httpx 0.28.1).
Here every socket operation gets what is left of the whole call's time, and the caller learns the one fact
that decides whether trying again is safe: did any byte of the request leave?

`httpx.Client` stands aside on purpose: it logs whole URLs at INFO, keeps cookies, and follows settings from
the environment. Its transport is all an attempt needs.
"""

from __future__ import annotations

import ipaddress
import logging
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import httpcore

from emails.spared import without

# Its command line comes with a library for terminals and one for colouring programs: a twentieth of all that
# a run has to load.
with without("httpx._main"):
    import httpx

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 1_000_000
"""An answer about 1,000 recipients is under 100 kB; more than this is no answer."""
MAX_CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS = 4.0
"""Shorter than the 5 s after which common servers close an idle connection: a request written to a
connection that is being closed is in doubt."""


class Reach(StrEnum):
    """How far an attempt got that brought no answer."""

    UNUSABLE = "unusable"
    """No request could be made of this (a broken address or header); nothing left."""
    CERTIFICATE = "certificate"
    """The server did not prove who it is; nothing left."""
    NOTHING_LEFT = "nothing_left"
    SOMETHING_LEFT = "something_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No status line came. `error` is in our own words: it holds no secret, no address, no URL path."""

    reach: Reach
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What came back, as far as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; several of one name joined by a comma (RFC 9110 5.3)."""
    body: bytes = b""
    cut: str | None = None
    """Why `body` is not the whole body; None when it is."""
    received: datetime = field(default_factory=lambda: datetime.now(UTC))


class Channel:
    """Connections to providers, shared by all workers of a process. Safe to use from several threads."""

    def __init__(
        self,
        *,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        max_connections: int = 64,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._max_answer_bytes = max_answer_bytes
        self._transport = transport or _DeadlineTransport(max_connections, ssl_context)

    def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> HttpAnswer | NoAnswer:
        """Post once; see `exchange`."""
        return self.exchange("POST", url, headers=headers, body=body, deadline=deadline)

    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> HttpAnswer | NoAnswer:
        """Make exactly one request: no retry, no redirect followed, no compressed answer asked for.

        `deadline` is seconds for everything from the look-up of the host's name to the last byte of the
        answer. Whatever the network does is a value here and no exception.
        """
        call = _Call(ends=time.monotonic() + deadline)
        token = _current.set(call)
        try:
            request = httpx.Request(
                method,
                url,
                headers={**headers, "accept-encoding": "identity"},
                content=body,
                extensions={"timeout": {"pool": deadline}},
            )
            response = self._transport.handle_request(request)
            return self._read(response)
        except Exception as error:
            return _no_answer(error, call, deadline)
        finally:
            _current.reset(token)

    def close(self) -> None:
        self._transport.close()

    def _read(self, response: httpx.Response) -> HttpAnswer:
        """The answer up to the size bound; once the status line is here, nothing can unsay it."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            body, cut = _bounded_body(response, headers.get("content-encoding", ""), self._max_answer_bytes)
        except (httpcore.TimeoutException, httpx.TimeoutException):
            body, cut = b"", "the answer did not end in time"
        except Exception as error:
            log.warning("an answer with status %d broke off: %s", response.status_code, type(error).__name__)
            body, cut = b"", "the answer broke off"
        finally:
            response.close()
        return HttpAnswer(status=response.status_code, headers=headers, body=body, cut=cut)


# The answer's body


def _bounded_body(response: httpx.Response, encoding: str, limit: int) -> tuple[bytes, str | None]:
    decode = _decoder(encoding.strip().lower())
    if decode is None:
        return b"", "the answer is compressed in a way we did not ask for"
    parts: list[bytes] = []
    room = limit
    for raw in response.iter_raw():
        piece = decode(raw, room + 1)
        parts.append(piece[:room])
        room -= len(piece)
        if room < 0:
            return b"".join(parts), f"the answer is longer than {limit} bytes"
    return b"".join(parts), None


def _decoder(encoding: str) -> Any:
    """A function (bytes, room) → at most `room` decoded bytes, or None for an unknown encoding."""
    if encoding in ("", "identity"):
        return lambda raw, _room: raw
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress
    return None


# What went wrong, in our own words


def _no_answer(error: Exception, call: _Call, deadline: float) -> NoAnswer:
    if call.sent:
        return NoAnswer(reach=Reach.SOMETHING_LEFT, error=_words_after(error, deadline))
    if _is_certificate_error(error):
        return NoAnswer(
            reach=Reach.CERTIFICATE,
            error="the provider's TLS certificate is not valid for its name; nothing was sent",
        )
    for kinds, words in _BEFORE_SENDING:
        if isinstance(error, kinds):
            return NoAnswer(reach=Reach.NOTHING_LEFT, error=words)
    if isinstance(error, _UNUSABLE):
        return NoAnswer(
            reach=Reach.UNUSABLE, error="no request can be made of this address, key or header; check them"
        )
    log.warning("an attempt failed in a way we do not know: %s", type(error).__name__)
    return NoAnswer(reach=Reach.SOMETHING_LEFT, error=_words_after(error, deadline))


_BEFORE_SENDING: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpcore.PoolTimeout, httpx.PoolTimeout), "no connection came free in time"),
    ((httpcore.ConnectTimeout, httpx.ConnectTimeout), "the provider did not take the connection in time"),
    ((httpcore.ConnectError, httpx.ConnectError), "the provider cannot be reached"),
)
_UNUSABLE = (
    httpcore.LocalProtocolError,
    httpcore.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    UnicodeError,
)


def _words_after(error: Exception, deadline: float) -> str:
    if isinstance(error, (httpcore.TimeoutException, httpx.TimeoutException)):
        return f"no answer within {deadline:g} s"
    if isinstance(error, (httpcore.RemoteProtocolError, httpx.RemoteProtocolError)):
        return "the connection closed before an answer, or the answer is not HTTP"
    if isinstance(error, (httpcore.NetworkError, httpx.NetworkError)):
        return "the connection broke before an answer"
    return f"the attempt failed unexpectedly ({type(error).__name__})"


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


# The deadline, under httpcore


@dataclass(slots=True)
class _Call:
    """The attempt that the current thread is making. httpcore works in the caller's thread throughout."""

    ends: float
    sent: bool = False

    def left(self, at_most: float | None = None) -> float:
        """Seconds left, 0 or less when time is up."""
        left = self.ends - time.monotonic()
        return left if at_most is None else min(left, at_most)


_current: ContextVar[_Call] = ContextVar("attempt")


class _DeadlineTransport(httpx.BaseTransport):
    """httpx's surface over a httpcore pool whose sockets know the deadline."""

    def __init__(self, max_connections: int, ssl_context: ssl.SSLContext | None) -> None:
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._pools: dict[str, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool(url.scheme).handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_AnswerStream(answer.stream))

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, scheme: str) -> httpcore.ConnectionPool:
        """Reading the certificate bundle takes tens of milliseconds: only who speaks TLS pays it."""
        with self._lock:
            if scheme not in self._pools:
                tls = scheme == "https"
                self._pools[scheme] = httpcore.ConnectionPool(
                    ssl_context=(self._ssl_context or httpx.create_ssl_context()) if tls else None,
                    max_connections=self._max_connections,
                    keepalive_expiry=KEEPALIVE_SECONDS,
                    retries=0,
                    network_backend=_DeadlineBackend(),
                )
            return self._pools[scheme]


class _AnswerStream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Try each of the host's addresses; a dead one costs no more than its share of the time."""
        seconds = min(_current.get().left(timeout), MAX_CONNECT_SECONDS)
        budget = _Call(ends=time.monotonic() + seconds)
        addresses = look_up(host, port, budget.left())
        last: Exception = httpcore.ConnectTimeout()
        for tried, address in enumerate(addresses):
            share = budget.left() / (len(addresses) - tried)
            if share <= 0:
                break
            try:
                return _DeadlineStream(
                    self._sockets.connect_tcp(address, port, share, local_address, socket_options)
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _current.get().left(timeout)
        if left <= 0:
            raise httpcore.ReadTimeout
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer` within the call's time, however slowly the server takes it in."""
        call = _current.get()
        sock: socket.socket = self._inner.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:
            left = call.left(timeout)
            if left <= 0:
                raise httpcore.WriteTimeout if call.sent else httpcore.ConnectTimeout
            call.sent = True
            try:
                sock.settimeout(left)
                rest = rest[sock.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout from error
            except OSError as error:
                raise httpcore.WriteError from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = min(_current.get().left(timeout), MAX_CONNECT_SECONDS)
        if left <= 0:
            self.close()
            raise httpcore.ConnectTimeout
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """The host's addresses. The system's resolver knows no time-out, so it works in a thread of its own
    that is left behind when it takes too long."""
    if _is_address(host):
        return [host]
    found: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=ask, name="name look-up", daemon=True).start()
    try:
        answer = found.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise httpcore.ConnectTimeout from None
    if isinstance(answer, Exception):
        raise httpcore.ConnectError from answer
    return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
