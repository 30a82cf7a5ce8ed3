"""A provider on this machine that is never the bottleneck: it counts, waits as long as told, and says yes.

It speaks just enough HTTP/1.1 to answer Resend's `POST /emails/batch` and Mailgun's `POST /v3/DOMAIN/messages`,
in a process of its own. With a limit it answers 429 to the call that would be one too many within any second.

    python -m benchmarks.send.provider [--latency SECONDS] [--limit CALLS_A_SECOND]

It prints its port. `GET /stats` gives what it counted as JSON.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections import deque

TO_RESEND, TO_MAILGUN = b'"to":["', b'name="to"'
CHUNK = 1 << 20
WINDOW = 1.0
"""Seconds in which at most `limit` calls are taken: a sliding window, the strictest reading of "10 a second"."""


class Counted:
    """What was taken, and when."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self._calls = self._recipients = self._bytes = self._too_many = 0
        self._first = self._last = 0.0

    def admit(self, now: float) -> bool:
        """May a call that arrived now be taken? A call that is turned away does not fill the window."""
        with self._lock:
            while self._recent and now - self._recent[0] >= WINDOW:
                self._recent.popleft()
            if self._limit is not None and len(self._recent) >= self._limit:
                self._too_many += 1
                return False
            if self._limit is not None:
                self._recent.append(now)
            self._first = self._first or now
            self._last = now
            return True

    def take(self, recipients: int, size: int) -> int:
        """Count a call; gives its number."""
        with self._lock:
            self._calls += 1
            self._recipients += recipients
            self._bytes += size
            return self._calls

    def as_json(self) -> bytes:
        with self._lock:
            values = {
                "calls": self._calls,
                "recipients": self._recipients,
                "bytes": self._bytes,
                "too_many": self._too_many,
                "first": self._first,
                "last": self._last,
            }
        return json.dumps(values).encode()


def serve(latency: float, limit: float | None) -> None:
    """Answer until the process is ended."""
    counted = Counted(limit)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer_all, args=(connection, counted, latency), daemon=True).start()


def _answer_all(connection: socket.socket, counted: Counted, latency: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(CHUNK)
    with connection:
        while (call := _read_call(connection, buffer)) is not None:
            target, body = call
            arrived = time.monotonic()
            if target == b"/stats":
                connection.sendall(_response(200, counted.as_json()))
                continue
            if not counted.admit(arrived):
                connection.sendall(_response(429, _TOO_MANY, retry_after=True))
                continue
            answer = _take(target, body, counted)
            time.sleep(max(0.0, latency - (time.monotonic() - arrived)))
            connection.sendall(_response(200, answer))


def _read_call(connection: socket.socket, buffer: bytearray) -> tuple[bytes, bytearray] | None:
    """Target and body of the next call, or None when the caller has hung up."""
    got = bytearray()
    while (end := got.find(b"\r\n\r\n")) < 0:
        size = connection.recv_into(buffer)
        if not size:
            return None
        got += memoryview(buffer)[:size]
    head = bytes(got[:end])
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = bytearray(length)
    had = len(got) - end - 4
    body[:had] = got[end + 4 :]
    view = memoryview(body)
    while had < length:
        size = connection.recv_into(view[had:])
        if not size:
            return None
        had += size
    return head.split(b" ", 2)[1], body


def _take(target: bytes, body: bytearray, counted: Counted) -> bytes:
    if target.endswith(b"/emails/batch"):
        people = body.count(TO_RESEND)
        number = counted.take(people, len(body))
        ids = ",".join(f'{{"id":"{number:08x}-0000-4000-8000-{n:012x}"}}' for n in range(people))
        return f'{{"data":[{ids}]}}'.encode()
    number = counted.take(body.count(TO_MAILGUN), len(body))
    return f'{{"id":"<{number:08x}@mg.example.org>","message":"Queued. Thank you."}}'.encode()


_TOO_MANY = b'{"statusCode":429,"name":"rate_limit_exceeded","message":"Too many requests"}'


def _response(status: int, body: bytes, *, retry_after: bool = False) -> bytes:
    wait = "retry-after: 1\r\n" if retry_after else ""
    reason = {200: "OK", 429: "Too Many Requests"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n{wait}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds between a call and its answer")
    parser.add_argument("--limit", type=float, help="calls a second; one more is answered 429")
    options = parser.parse_args()
    serve(options.latency, options.limit)


if __name__ == "__main__":
    main()
