"""One page or feed from a web address, fetched in a way that cannot be turned against our own network.

The name is looked up by us, every address that comes back is vetted, and the vetted address is the one that
is connected to: a name that means something else a moment later (DNS rebinding) changes nothing. TLS and the
Host header keep the name. Redirects are followed by hand, and each hop is vetted like the first. The answer
is bounded in decoded bytes, and one deadline covers everything, however slowly the server drips.

httpcore stands below `httpx.Client`: it reads no proxy, no `.netrc` and no cookie from anywhere.
"""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Event, Thread
from typing import Any, Final

import httpcore
import httpx

from emails.esp.http import look_up
from pipeline import __version__
from pipeline.sources import AskedToStop
from pipeline.sources.vetting import odd_spelling, why_not

DEADLINE: Final = 30.0
"""Seconds for one address, with its redirects, from the look-up to the last byte."""
CONNECT_SECONDS: Final = 10.0
STOP_SECONDS: Final = 0.2
"""Between two looks whether the program was told to stop."""
MOST_REDIRECTS: Final = 5
LONGEST_ADDRESS: Final = 2000
"""Characters."""

LONGEST_ETAG: Final = 500
LONGEST_DATE: Final = 100
"""Characters."""

_HOST: Final = re.compile(rb"[A-Za-z0-9_.:-]{1,253}\Z")
_VALIDATOR: Final = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)*")
"""Visible ASCII: a header that can be sent back as it came."""

Resolver = Callable[[str, int, float], Sequence[str]]
"""(host, port, seconds) → its IP addresses. Raises what httpcore raises when it cannot connect."""


class NotFetched(Exception):
    """Nothing usable came from an address. The message names it without user, password and query; `status` is
    what the server answered, if it did."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def gone(self) -> bool:
        """The server says that there is nothing here, and that it knows."""
        return self.status in (404, 410)


class Forbidden(NotFetched):
    """The address leads to where we must not go."""


class Inside(Forbidden):
    """It leads to an address that is not of the open internet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What an address gave: its whole body, or with `unchanged` nothing new since the last time."""

    url: str
    """Where the body came from, after redirects."""
    body: bytes = b""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""
    unchanged: bool = False


class Fetcher:
    """`resolve` and `ssl_context` are the outside world, handed in. After `stop` nothing is waited for."""

    def __init__(
        self,
        *,
        resolve: Resolver = look_up,
        ssl_context: ssl.SSLContext | None = None,
        stop: Event | None = None,
    ) -> None:
        self._resolve = resolve
        self._ssl_context = ssl_context
        self._stop = stop

    def get(
        self,
        address: str,
        *,
        accept: str,
        at_most: int,
        internal: str | None = None,
        seconds: float = DEADLINE,
        etag: str = "",
        last_modified: str = "",
    ) -> Fetched:
        """Fetch an `http://` or `https://` address; at most `at_most` decoded bytes, within `seconds`.

        `internal` is an address whose host and port the operator has said to be on their own network: only
        these may be on this machine or a private network, at any hop. With `etag` or `last_modified` of the
        time before, a server may answer that nothing changed (RFC 9110, 13.1); one that cannot be sent back
        as it came is left out.

        Raises `NotFetched`: no answer, another status than 200, too large, too slow, broken off; `Forbidden`
        for an address that must not be asked; `AskedToStop`.
        """
        call = _Call(
            ends=time.monotonic() + seconds,
            resolve=self._resolve,
            ours=_origin(_checked(internal)) if internal else None,
        )
        conditions = {
            "If-None-Match": _validator(etag, LONGEST_ETAG),
            "If-Modified-Since": _validator(last_modified, LONGEST_DATE),
        }
        headers = {
            "User-Agent": f"weekbrief/{__version__}",
            "Accept": accept,
            # Not deflate: servers disagree about what that is (RFC 9110, 8.4.1.2). Some send it all the same.
            "Accept-Encoding": "gzip",
            **{name: value for name, value in conditions.items() if value},
        }
        work = partial(self._follow, _checked(address), headers, call, at_most, seconds)
        return work() if self._stop is None else _until(self._stop, work)

    def _follow(
        self, address: httpx.URL, headers: dict[str, str], call: _Call, at_most: int, seconds: float
    ) -> Fetched:
        url = address
        for _ in range(MOST_REDIRECTS + 1):
            found = self._hop(url, headers, call, at_most, seconds)
            if isinstance(found, Fetched):
                return found
            url = found
        raise Forbidden(f"{shown(str(address))}: redirects more than {MOST_REDIRECTS} times")

    def _hop(
        self, url: httpx.URL, headers: dict[str, str], call: _Call, at_most: int, seconds: float
    ) -> Fetched | httpx.URL:
        where = shown(str(url))
        try:
            return self._answer(url, headers, call, at_most)
        except NotFetched:
            raise
        except (httpcore.TimeoutException, TimeoutError):
            slow = "no connection" if not call.connected else "no whole answer"
            raise NotFetched(f"{where}: gave {slow} within {seconds:.0f} seconds") from None
        except httpcore.ConnectError as error:
            raise NotFetched(f"{where}: {_why_no_connection(error)}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotFetched(f"{where}: the answer broke off, or is not HTTP") from error
        except (httpcore.UnsupportedProtocol, UnicodeError) as error:
            raise NotFetched(f"{where}: is no address that can be asked") from error
        except Exception as error:
            # Whatever else a server's answer brings about: it costs this address, never the whole run.
            raise NotFetched(f"{where}: cannot be fetched ({type(error).__name__})") from error

    def _answer(
        self, url: httpx.URL, headers: dict[str, str], call: _Call, at_most: int
    ) -> Fetched | httpx.URL:
        where = shown(str(url))
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        call.hop, call.connected = _origin(url), False
        with (
            httpcore.ConnectionPool(
                ssl_context=self._tls() if url.scheme == "https" else None,
                max_connections=1,
                retries=0,
                network_backend=_VettingBackend(call),
            ) as pool,
            pool.stream(
                "GET", target, headers=[("Host", url.netloc.decode("ascii")), *headers.items()]
            ) as response,
        ):
            told = {
                name.decode("ascii", "replace").lower(): value.strip().decode("latin-1")
                for name, value in response.headers
            }
            if response.status in (301, 302, 303, 307, 308) and told.get("location"):
                return _next(url, _as_utf_8(told["location"]))
            conditional = "If-None-Match" in headers or "If-Modified-Since" in headers
            if response.status == 304 and conditional:
                return Fetched(url=str(url), unchanged=True)
            if response.status != 200:
                raise NotFetched(
                    f"{where}: the server answered with status {response.status}", status=response.status
                )
            body = _body(response.iter_stream(), told.get("content-encoding", ""), at_most, where)
        return Fetched(
            url=str(url),
            body=body,
            content_type=told.get("content-type", ""),
            etag=_validator(told.get("etag", ""), LONGEST_ETAG),
            last_modified=_validator(told.get("last-modified", ""), LONGEST_DATE),
        )

    def _tls(self) -> ssl.SSLContext:
        # An operator with an authority of their own names it with SSL_CERT_FILE, as for other programs.
        self._ssl_context = self._ssl_context or httpx.create_ssl_context()
        return self._ssl_context


def _until(stop: Event, work: Callable[[], Fetched]) -> Fetched:
    """What `work` gives or raises. Raises `AskedToStop` soon after `stop` is set: what was waiting for a
    server is then left to itself, in a thread that ends with its time or with the program."""
    ends: list[Callable[[], Fetched]] = []
    over = Event()

    def run() -> None:
        try:
            found = work()
            ends.append(lambda: found)
        except BaseException as error:
            ends.append(partial(_raise, error))
        over.set()

    if not stop.is_set():
        Thread(target=run, name="fetch", daemon=True).start()
        while not over.wait(STOP_SECONDS) and not stop.is_set():
            pass
    if not ends:
        raise AskedToStop
    return ends[0]()


def _raise(error: BaseException) -> Fetched:
    raise error


def shown(address: str) -> str:
    """`address` as it may stand in a message: without user, password, query and fragment."""
    try:
        url = httpx.URL(address)
        return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"[:300]
    except (httpx.InvalidURL, UnicodeError):
        return "this address"


# Addresses


def _checked(address: str) -> httpx.URL:
    if len(address) > LONGEST_ADDRESS:
        raise NotFetched(f"{shown(address[:200])}…: is longer than {LONGEST_ADDRESS} characters")
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise NotFetched(f"{shown(address)}: is not a web address") from error
    if url.scheme not in ("http", "https"):
        raise Forbidden(f"{shown(address)}: is not a web address; it must begin with https:// or http://")
    port_is_sound = url.port is None or 0 < url.port < 65_536
    if not _HOST.match(url.raw_host) or not port_is_sound:
        raise NotFetched(f"{shown(address)}: names no host or port that there can be")
    if url.userinfo:
        raise Forbidden(f"{shown(address)}: holds a user name or password, which is not used")
    if odd_spelling(url.raw_host.decode("ascii")):
        raise Forbidden(f"{shown(address)}: writes an IP address in an unusual way")
    return url.copy_with(fragment=None)


def _validator(value: str, longest: int) -> str:
    """An ETag or Last-Modified that can be sent back as it came; else empty, and all is fetched anew."""
    return value if len(value) <= longest and _VALIDATOR.fullmatch(value) else ""


def _as_utf_8(value: str) -> str:
    """A header that was read as Latin-1 and holds UTF-8, as many servers write a Location."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value


def _next(url: httpx.URL, location: str) -> httpx.URL:
    try:
        following = _checked(str(url.join(location)))
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise NotFetched(f"{shown(str(url))}: redirects to what is not a web address") from error
    if (url.scheme, following.scheme) == ("https", "http"):
        raise Forbidden(f"{shown(str(url))}: redirects from https:// to http://, where anyone can change it")
    return following


def _origin(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


# The body


def _body(pieces: Iterable[bytes], encoding: str, at_most: int, where: str) -> bytes:
    body = bytearray()
    megabytes = f"{at_most / 1_000_000:g} MB"
    larger = NotFetched(f"{where}: is larger than {megabytes}, which we do not read", status=200)
    try:
        for piece in _decoded(_bounded(pieces, at_most, larger), encoding.strip().lower(), where):
            body += piece
            if len(body) > at_most:
                raise larger
    except zlib.error as error:
        broken = f"{where}: the answer broke off, or is not compressed as it says"
        raise NotFetched(broken, status=200) from error
    return bytes(body)


_PIECE: Final = 65_536
"""Bytes that are decoded at once, so that a bomb is noticed before it has grown."""
_MOST_MEMBERS: Final = 1_000
"""Of one gzip body. Empty ones would cost time without an end."""


def _bounded(pieces: Iterable[bytes], at_most: int, larger: NotFetched) -> Iterator[bytes]:
    """What comes over the line: compressed, it is hardly ever larger than what it holds."""
    came = 0
    for piece in pieces:
        came += len(piece)
        if came > at_most + _PIECE:
            raise larger
        yield piece


def _decoded(pieces: Iterable[bytes], encoding: str, where: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NotFetched(f"{where}: is compressed in a way that we did not ask for", status=200)
    first, pieces = _begun(pieces)
    raw = encoding == "deflate" and _is_raw_deflate(first)
    decoder, members = zlib.decompressobj(wbits=-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32), 1
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:  # another member follows (RFC 1952, 2.2)
                decoder, members = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), members + 1
                if members > _MOST_MEMBERS:
                    raise NotFetched(f"{where}: is compressed in more than {_MOST_MEMBERS} parts", status=200)
            yield decoder.decompress(rest, _PIECE)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while not decoder.eof:
        more = decoder.decompress(decoder.unconsumed_tail, _PIECE)
        if not more:
            raise NotFetched(f"{where}: the answer broke off", status=200)
        yield more


def _begun(pieces: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first two bytes, as far as there are any, and all of the pieces."""
    left, begun = iter(pieces), b""
    while len(begun) < 2 and (piece := next(left, None)) is not None:
        begun += piece
    return begun[:2], chain((begun,), left)


def _is_raw_deflate(first: bytes) -> bool:
    """Whether these two bytes begin DEFLATE data without a wrapper (RFC 9110, 8.4.1.2: some send such).

    They cannot be both: what begins zlib data (RFC 1950, 2.2) or gzip would be a block whose unused bits are
    set, or of the type that does not exist (RFC 1951, 3.2.3 and 3.2.4).
    """
    zlib_data = len(first) == 2 and first[0] & 0x0F == 8 and int.from_bytes(first) % 31 == 0
    return not zlib_data and first != b"\x1f\x8b"


# The connection


@dataclass(slots=True)
class _Call:
    """One `Fetcher.get` under way."""

    ends: float
    resolve: Resolver
    ours: tuple[str, int] | None
    """Host and port that may be internal."""
    hop: tuple[str, int] = ("", 0)
    connected: bool = False

    def left(self, at_most: float | None = None) -> float:
        left = self.ends - time.monotonic()
        return left if at_most is None else min(left, at_most)


class _VettingBackend(httpcore.NetworkBackend):
    """The only way out: connects to addresses that it has vetted, within the call's time."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        call = self._call
        ends = time.monotonic() + min(call.left(timeout), CONNECT_SECONDS)
        addresses = list(call.resolve(host, port, ends - time.monotonic()))
        for address in addresses:
            if reason := why_not(address, internal=call.hop == call.ours):
                raise Inside(f"{host}: leads to {address}, which is {reason}; it is not asked")
        last: Exception = httpcore.ConnectTimeout()
        for tried, address in enumerate(addresses):
            share = (ends - time.monotonic()) / (len(addresses) - tried)
            if share <= 0:
                break
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
            else:
                call.connected = True
                return _DeadlineStream(stream, call)
        raise last

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise Forbidden("a socket of this machine is not asked")


class _DeadlineStream(httpcore.NetworkStream):
    """Each operation gets what is left of the call's time, so that no drip outlasts it."""

    def __init__(self, inner: httpcore.NetworkStream, call: _Call) -> None:
        self._inner = inner
        self._call = call

    def _left(self, timeout: float | None) -> float:
        left = self._call.left(timeout)
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Our requests have no body: a few hundred bytes, which the socket's buffer takes at once.
        self._inner.write(buffer, self._left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _DeadlineStream(inner, self._call)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _why_no_connection(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate is not valid for its name"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection can be made"
        cause = cause.__cause__ or cause.__context__
    return "cannot be fetched: there is no such host, or it takes no connection"
