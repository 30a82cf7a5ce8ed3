"""One post from a web address, over a real loopback server."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.reading import Unreadable
from pipeline.sources import page
from pipeline.sources.page import read_page

PAGES = {
    "/rust": (
        200,
        "text/html",
        b"<html lang='nl'><body><article><h1>Rust</h1><p>Tekst.</p></article></body></html>",
    ),
    "/rust.md": (200, "text/plain", b"# Rust\n\nTekst.\n"),
    "/plain": (200, "text/plain", b"Gewone tekst."),
    "/empty": (200, "text/html", b""),
    "/untyped": (200, None, b"<html lang='nl'><body><article><h1>Rust</h1><p>Tekst.</p></article></body>"),
    "/xhtml": (
        200,
        "Application/XHTML+XML; charset=utf-8",
        b"<html><body><h1>Rust</h1><p>Tekst.</p></body></html>",
    ),
    "/twice": (200, "text/html, text/html", b"<html><body><h1>Rust</h1><p>Tekst.</p></body></html>"),
    "/marked": (200, "text/markdown;charset=UTF-8", b"Tekst."),
    "/undefined": (
        200,
        "text/html",
        b"<html><meta charset=undefined><body><h1>Rust</h1><p>Tekst.</p></body></html>",
    ),
    "/broken": (500, "text/html", b"oops"),
}


@pytest.fixture
def site():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", "/rust")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            if self.path == "/loop":
                self.send_response(302)
                self.send_header("location", "/loop")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            status, kind, body = PAGES.get(self.path.partition("?")[0], (404, "text/html", b"nothing"))
            self.send_response(status)
            if kind is not None:
                self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "key", "title"),
    [
        ("/rust", "rust.html", "Rust"),
        ("/rust.md", "rust.md", "Rust"),
        ("/moved", "moved.html", "Rust"),
        ("/plain", "plain.txt", "Plain"),
        ("/untyped", "untyped.txt", "Rust"),
        ("/xhtml", "xhtml.html", "Rust"),
        ("/twice", "twice.html", "Rust"),
        ("/marked", "marked.txt", "Marked"),
        ("/undefined", "undefined.html", "Rust"),
    ],
)
def test_a_page_is_a_post(site, path, key, title):
    post = read_page(site + path, internal=site)
    assert (post.key, post.title) == (key, title)
    assert "ekst" in post.text


@pytest.mark.parametrize(
    ("path", "says"),
    [("/nothing", "404"), ("/broken", "500"), ("/loop", "redirect"), ("/empty", "no text")],
)
def test_what_cannot_be_fetched_says_why(site, path, says):
    with pytest.raises(Unreadable, match=f"(?i){says}"):
        read_page(site + path, internal=site)


@pytest.mark.parametrize(
    "kind",
    [
        "application/pdf",
        "image/svg+xml",
        "application/json",
        "text/css",
        "application/octet-stream",
        "audio/mpeg",
    ],
)
def test_what_is_no_text_is_refused_whatever_is_in_it(site, monkeypatch, kind):
    monkeypatch.setitem(PAGES, "/other", (200, f"{kind}; x=y", PAGES["/rust"][2]))
    with pytest.raises(Unreadable, match=re.escape(f"/other: is {kind}; a post is read as text/html, ")):
        read_page(f"{site}/other?key=secret", internal=site)


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "binary/octet-stream", "text/x-markdown", "text/markdown", None]
)
def test_markdown_is_known_by_its_name_where_the_server_does_not_know_it(site, monkeypatch, kind):
    monkeypatch.setitem(PAGES, "/rust.md", (200, kind, b"---\ntitle: Rust\n---\n\nEen *woord*.\n"))
    post = read_page(f"{site}/rust.md?raw=1", internal=site)
    assert (post.key, post.title, post.text) == ("rust.md", "Rust", "Een woord.")


def test_a_name_does_not_make_text_of_what_is_none(site, monkeypatch):
    monkeypatch.setitem(PAGES, "/rust.md", (200, "application/octet-stream", b"PK\x03\x04\0\0\x12" * 99))
    with pytest.raises(Unreadable, match=r"rust\.md: is not text"):
        read_page(f"{site}/rust.md", internal=site)


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("header", "meta", "written"),
    [
        ("iso-8859-1", "iso-8859-1", "utf-8"),
        ("", "windows-1252", "utf-8"),
        ("koi8-r", "utf-8", "utf-8"),
        ("utf-8", "utf-8", "cp1252"),
        ("iso-8859-15", "utf-8", "iso-8859-15"),
        ("iso-8859-15", "iso-8859-5", "iso-8859-15"),
    ],
)
def test_a_charset_that_lies_is_found_out(site, monkeypatch, header, meta, written):
    page = (
        f"<html><meta charset={meta}><body><p>Één café à côté, señor, wat laat jij staan?</p></body></html>"
    )
    kind = f"text/html; charset={header}" if header else "text/html"
    monkeypatch.setitem(PAGES, "/lie", (200, kind, page.encode(written)))
    assert read_page(f"{site}/lie", internal=site).text == "Één café à côté, señor, wat laat jij staan?"


@pytest.mark.parametrize("kind", ["caf\xe9/\xa0", "x" * 500, "no kind"])
def test_a_kind_that_is_none_is_not_repeated(site, monkeypatch, kind):
    monkeypatch.setitem(PAGES, "/other", (200, kind, PAGES["/rust"][2]))
    with pytest.raises(Unreadable, match="/other: is something unknown; a post is read as"):
        read_page(f"{site}/other", internal=site)


def test_a_page_too_large_is_given_up(site, monkeypatch):
    monkeypatch.setattr(page, "LARGEST", 10)
    with pytest.raises(Unreadable, match="larger"):
        read_page(f"{site}/rust", internal=site)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "http://[bad/", "http://"])
def test_an_address_that_leads_nowhere(address):
    with pytest.raises(Unreadable):
        read_page(address, internal=address if "127" in address else None)


@pytest.mark.fault(136)
@pytest.mark.parametrize("path", ["/rust", "/moved"])
def test_a_page_on_this_machine_only_when_it_is_meant(site, path):
    with pytest.raises(Unreadable, match="this machine; it is not asked"):
        read_page(site + path)


def test_the_command_reads_one_on_this_machine_when_it_is_told_to(site):
    command = [sys.executable, "-m", "pipeline", "condense", f"{site}/rust"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, "this machine" in refused.stderr) == (2, True)
    done = subprocess.run([*command, "--internal"], capture_output=True, text=True, check=False)
    assert (done.returncode, "Rust" in done.stdout) == (0, True)
