"""A transaction pooler before PostgreSQL: each transaction of a client may get another server session.

It passes bytes. Between transactions (the server's ReadyForQuery says "idle") a client holds no session; its
next message takes one, opened when none is free. It greets as a server that trusts everyone.
PostgreSQL's message formats: its documentation, chapter "Frontend/Backend Protocol".
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import URL, make_url

IDLE = b"I"


class _Pooler:
    def __init__(self, url: URL, hands_out: str) -> None:
        self._url = url
        self._newest = hands_out == "newest"
        self._free: deque[socket.socket] = deque()
        self._lock = threading.Lock()
        self._startup = b""
        self._open: list[socket.socket] = []

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._client, args=(client,), daemon=True).start()

    def close(self) -> None:
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _client(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            self._greet(client)
            while True:
                first = _message(client)
                if first[:1] == b"X":
                    return
                server = self._take()
                server.sendall(first)
                self._transaction(client, server)

    def _greet(self, client: socket.socket) -> None:
        """Answer the start-up as a server that trusts everyone."""
        while True:
            body = _exactly(client, struct.unpack("!i", _exactly(client, 4))[0] - 4)
            code = struct.unpack("!i", body[:4])[0]
            if code == 196608:  # protocol 3.0; anything else asks for TLS or GSS
                break
            client.sendall(b"N")
        with self._lock:
            self._startup = struct.pack("!i", len(body) + 4) + body
        server, greeting = self._connect()
        self._give(server)
        client.sendall(greeting)

    def _transaction(self, client: socket.socket, server: socket.socket) -> None:
        """Carry messages until the server is idle again, then let go of it."""
        answered = threading.Event()

        def up() -> None:
            with suppress(OSError, EOFError):
                while not answered.is_set():
                    client.settimeout(0.02)
                    try:
                        kind = client.recv(1)
                    except TimeoutError:
                        continue
                    if not kind:
                        return
                    client.settimeout(None)
                    rest = _after(client)
                    server.sendall(kind + rest)

        carrying = threading.Thread(target=up, daemon=True)
        carrying.start()
        while True:
            answer = _message(server)
            over = answer[:1] == b"Z" and answer[5:6] == IDLE
            if over:
                answered.set()
                carrying.join()
                client.settimeout(None)
                self._give(server)
            client.sendall(answer)
            if over:
                return

    def _take(self) -> socket.socket:
        with self._lock:
            if self._free:
                return self._free.pop() if self._newest else self._free.popleft()
        return self._connect()[0]

    def _give(self, server: socket.socket) -> None:
        with self._lock:
            self._free.append(server)

    def _dial(self) -> socket.socket:
        folder = self._url.query.get("host")
        if folder is None:
            return socket.create_connection((self._url.host or "127.0.0.1", self._url.port or 5432))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{self._url.port or 5432}")
        return server

    def _connect(self) -> tuple[socket.socket, bytes]:
        server = self._dial()
        self._open.append(server)
        server.sendall(self._startup)
        greeting = b""
        while True:
            message = _message(server)
            greeting += message
            if message[:1] == b"Z":
                return server, greeting
            if message[:1] == b"E":
                raise ConnectionError(message.decode("utf-8", "replace"))


def _message(sock: socket.socket) -> bytes:
    return _exactly(sock, 1) + _after(sock)


def _after(sock: socket.socket) -> bytes:
    length = _exactly(sock, 4)
    return length + _exactly(sock, struct.unpack("!i", length)[0] - 4)


def _exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = sock.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


@contextmanager
def pooler(storage: str, *, hands_out: str) -> Iterator[str]:
    """The URL of a pooler before the database of `storage`; it hands out the `newest` free session, as
    PgBouncer does, or the `oldest`."""
    url = make_url(storage)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = _Pooler(url, hands_out)
        threading.Thread(target=made.serve, args=(listener,), daemon=True).start()
        try:
            yield f"postgresql://{url.username}@127.0.0.1:{listener.getsockname()[1]}/{url.database}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            made.close()
