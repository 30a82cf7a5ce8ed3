"""The least that could be called an unsubscribe: a Starlette endpoint with one fully synced SQLite write.

    python -m benchmarks.leaving.bare DATABASE

It prints its port.
"""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading

import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def app(database: str) -> Starlette:
    """`POST /u/TOKEN` notes the token. Each thread has a connection of its own, as weekbrief's have."""
    own = threading.local()

    def note(token: str) -> None:
        connection = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = sqlite3.connect(database, isolation_level=None, timeout=10)
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("PRAGMA synchronous = full")
        connection.execute("INSERT OR IGNORE INTO gone VALUES (?)", (token,))

    async def leave(request: Request) -> Response:
        await request.body()
        await to_thread.run_sync(note, request.path_params["token"])
        return PlainTextResponse("gone\n")

    return Starlette(routes=[Route("/u/{token}", leave, methods=["POST"])])


def main() -> None:
    database = sys.argv[1]
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE IF NOT EXISTS gone (token TEXT PRIMARY KEY)")
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app(database), access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
