"""`check --online` against a real server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.check.online import head_status


class _Site(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        moved = self.path == "/moved"
        status = {"/there": 200, "/moved": 301, "/no-head": 405, "/forbidden": 403}.get(self.path, 404)
        self.send_response(status)
        if moved:
            self.send_header("Location", "/there")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/there", "/no-head") else 403)
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/there", 200), ("/moved", 200), ("/gone", 404), ("/no-head", 200), ("/forbidden", 403)],
)
def test_what_a_page_answers(site: str, path: str, status: int) -> None:
    assert head_status(site + path) == status


def test_nobody_answers() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        port = server.server_address[1]
    assert head_status(f"http://127.0.0.1:{port}/") is None
    assert head_status("mailto:marijke@example.org") is None
    assert head_status("http://[bad") is None
