"""A provider that misbehaves by script: a loopback server that works on bytes, one script per request."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_DRIP_SECONDS = 20.0
"""No script goes on for longer, whatever the client does."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived."""

    connection: int
    """Counts from 0 in the order of connecting."""
    line: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Wire:
    """What a script does to the client."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self._sock = sock
        self._stopping = stopping

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def drip(self, data: bytes, gap: float) -> None:
        """One byte every `gap` seconds."""
        ends = time.monotonic() + MAX_DRIP_SECONDS
        for index in range(len(data)):
            if time.monotonic() > ends or self._stopping.wait(gap):
                return
            self._sock.sendall(data[index : index + 1])

    def stream(self, piece: bytes) -> None:
        """`piece` again and again, until the client has had enough."""
        ends = time.monotonic() + MAX_DRIP_SECONDS
        while time.monotonic() < ends and not self._stopping.is_set():
            self._sock.sendall(piece)

    def wait(self, seconds: float = MAX_DRIP_SECONDS) -> None:
        """Say nothing until the server stops."""
        self._stopping.wait(seconds)

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Script = Callable[[Wire, Received], bool | None]
"""Answers one request; True keeps the connection open for the next."""


@dataclass
class FaultServer:
    """Serves until the block ends. The n-th request gets the n-th script, later ones the last."""

    scripts: Sequence[Script]
    tls: ssl.SSLContext | None = None
    reads: bool = True
    """False: takes connections, says `greeting`, and never reads."""
    greeting: bytes = b""
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> FaultServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            sock.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            if not self.reads:
                sock.sendall(self.greeting)
                self._stopping.wait(MAX_DRIP_SECONDS)
                return
            stream = sock.makefile("rb")
            while (request := _read(stream, number)) is not None:
                if not self._script_for(request)(Wire(sock, self._stopping), request):
                    return
        except OSError:
            return  # the client went away, which is what many tests are about
        finally:
            sock.close()

    def _script_for(self, request: Received) -> Script:
        with self._lock:
            self.received.append(request)
            return self.scripts[min(len(self.received), len(self.scripts)) - 1]


def _read(stream: BinaryIO, number: int) -> Received | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while field_line := stream.readline().decode("latin-1").strip():
        name, _, value = field_line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Received(number, line, headers, body)


# Answers


def http(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer; `headers` replace those made here, a None-like empty value leaves one out."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def says(status: int, body: bytes | object = b"", headers: Mapping[str, str] | None = None) -> Script:
    """A script that answers so and keeps the connection; what is not bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def script(wire: Wire, _request: Received) -> bool:
        wire.send(http(status, data, headers))
        return True

    return script
