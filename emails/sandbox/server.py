"""Running the sandbox: until stopped, or in a thread beside other work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette

from emails.sandbox.app import LOOPBACK_NAMES, create_app
from emails.sandbox.record import SandboxRecord

START_SECONDS = 10.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SandboxServer:
    """A sandbox that runs in a thread. Also a context manager that stops it."""

    url: str
    """Where the inbox page is, and the provider's `base_url`; no slash at the end."""
    _server: uvicorn.Server = field(repr=False)
    _thread: threading.Thread = field(repr=False)

    def stop(self) -> None:
        """End it and wait for calls at work. The record stays open; the caller closes it."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("the sandbox did not stop")

    def __enter__(self) -> SandboxServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_in_thread(
    record: SandboxRecord, host: str = "127.0.0.1", port: int = 0, *, api_key: str | None = None
) -> SandboxServer:
    """Start a sandbox over `record`; port 0 takes a free one. Raises OSError when the port is taken."""
    listener = _listen(host, port)
    server = _server(create_app(record, api_key=api_key, hosts=(*LOOPBACK_NAMES, host)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    _wait_until_started(server, thread)
    return SandboxServer(_url(listener), server, thread)


def serve(
    record: SandboxRecord,
    host: str = "127.0.0.1",
    port: int = 8026,
    *,
    api_key: str | None = None,
    ready: Callable[[str], None],
) -> None:
    """Run a sandbox over `record` until SIGINT or SIGTERM; `ready` is told its address first.

    Raises OSError when the port is taken.
    """
    listener = _listen(host, port)
    ready(_url(listener))
    _server(create_app(record, api_key=api_key, hosts=(*LOOPBACK_NAMES, host))).run(sockets=[listener])


def _server(app: Starlette) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    # asyncio does this for sockets of its own only; without it an answer on a kept connection takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    ends = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > ends:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.01)
