"""A blog on loopback whose feed misbehaves as a test wants: gone, slow, endless, a bomb, a lie."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

Play = Callable[["Answer"], None]
"""Writes one answer to the socket."""


@dataclass(frozen=True)
class Answer:
    """One request, and the way to answer it."""

    path: str
    headers: dict[str, str]
    """Of the request; names in lower case."""
    handler: BaseHTTPRequestHandler
    stop: threading.Event

    def begin(self, status: int = 200, **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, body: bytes) -> None:
        self.handler.wfile.write(body)


@dataclass
class FaultFeed:
    """`plays` says what each path answers; what is not named is 404. `asked` is every request so far."""

    url: str = ""
    plays: dict[str, Play] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request."""

    @property
    def feed(self) -> str:
        return f"{self.url}/feed"

    def play(self, play: Play, path: str = "/feed") -> None:
        self.plays[path] = play

    def show(self, *items: str) -> None:
        """A sound feed of these, whose posts have their pages here."""
        self.play(body(rss(*items).replace("https://blog.example/", f"{self.url}/")))
        for name in _STORIES:
            self.play(body(page(name), "text/html; charset=utf-8"), path=f"/{name}/")


@contextmanager
def fault_feed(tls: ssl.SSLContext | None = None) -> Iterator[FaultFeed]:
    """A server on a free port of 127.0.0.1, until the block ends."""
    feed, stop = FaultFeed(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            feed.asked.append(self.path)
            feed.told.append(headers)
            play = feed.plays.get(self.path.partition("?")[0], status(404))
            try:
                play(Answer(self.path, headers, self, stop))
            except OSError:
                self.close_connection = True  # whoever asked has left

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    feed.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield feed
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


def make_certificate(folder: Path) -> Path:
    """`folder`, with `blog.pem` and its key `blog.key` in it: for blog.example, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no test certificate can be made")
    words = (
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    )
    name = ("-subj", "/CN=test", "-addext", "subjectAltName=DNS:blog.example")
    files = ("-keyout", folder / "blog.key", "-out", folder / "blog.pem")
    subprocess.run(["openssl", *words, *name, *files], check=True, capture_output=True)
    return folder


# What a feed can answer


def body(content: str | bytes, kind: str = "application/rss+xml", **headers: str) -> Play:
    raw = content.encode() if isinstance(content, str) else content

    def play(answer: Answer) -> None:
        answer.begin(Content_Type=kind, Content_Length=str(len(raw)), **headers)
        answer.write(raw)

    return play


def status(code: int, **headers: str) -> Play:
    def play(answer: Answer) -> None:
        answer.begin(code, Content_Length="0", **headers)

    return play


def redirect(to: str, code: int = 302) -> Play:
    return status(code, Location=to)


def silence(answer: Answer) -> None:
    """Takes the request and says nothing."""
    answer.stop.wait(60)


def drip(answer: Answer) -> None:
    """A byte every tenth of a second: each read is quick, the whole never ends."""
    answer.begin(Content_Type="application/rss+xml")
    while not answer.stop.wait(0.1):
        answer.write(b"<")


def dripping_headers(answer: Answer) -> None:
    answer.write(b"HTTP/1.1 200 OK\r\n")
    while not answer.stop.wait(0.1):
        answer.write(b"X: y\r\n")


def endless(answer: Answer) -> None:
    answer.begin(Content_Type="application/rss+xml")
    answer.write(b"<rss><channel>")
    while not answer.stop.is_set():
        answer.write(b"<item><title>Nog een</title></item>" * 2000)


def gzip_bomb(answer: Answer) -> None:
    """A gigabyte in one megabyte."""
    answer.begin(Content_Type="application/rss+xml", Content_Encoding="gzip")
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    nothing = b"<" * 1_000_000
    for _ in range(1000):
        answer.write(packer.compress(nothing))
    answer.write(packer.flush())


def zipped(content: str) -> Play:
    return body(gzip.compress(content.encode()), Content_Encoding="gzip")


def cut(content: str, at: float = 0.6) -> Play:
    """The server promises the whole, sends a part and hangs up."""
    raw = content.encode()

    def play(answer: Answer) -> None:
        answer.begin(Content_Type="application/rss+xml", Content_Length=str(len(raw)))
        answer.write(raw[: int(len(raw) * at)])
        answer.handler.close_connection = True

    return play


def with_etag(content: str, etag: str = '"een"') -> Play:
    """Answers 304 to who has it already."""

    def play(answer: Answer) -> None:
        if answer.headers.get("if-none-match") == etag:
            answer.begin(304, ETag=etag)
        else:
            body(content, ETag=etag)(answer)

    return play


# What stands in a feed

_STORIES = {
    "tas": ("De tas bij de deur", "je tas", "Wat draag jij nog met je mee dat je allang kunt neerzetten?"),
    "trap": ("Op de trap", "je jas", "Welke deur heb jij vandaag te snel achter je dichtgetrokken?"),
    "brood": ("Vers brood", "het mes", "Voor wie heb jij deze week iets gemaakt zonder dat het moest?"),
}


def story(name: str) -> str:
    """The HTML of a post that has a question and an example."""
    _, thing, question = _STORIES[name]
    return (
        f"<p>Soms dragen we meer dan we merken, en het begint met {thing}.</p><h2>Neerzetten</h2>"
        f"<p>Voorbeeld: Je komt thuis van je werk en houdt {thing} nog vast terwijl je de post bekijkt. "
        f"Pas na een kwartier merk je dat je schouder pijn doet. Je legt {thing} weg en ademt uit.</p>"
        f"<p>💡 {question}</p>"
    )


def title(name: str) -> str:
    return _STORIES[name][0]


def question(name: str) -> str:
    return _STORIES[name][2]


def page(name: str) -> str:
    """The post on a page of its own."""
    return (
        f"<!doctype html><html lang='nl'><body><nav>Menu</nav><article><h1>{title(name)}</h1>{story(name)}"
        "</article></body></html>"
    )


def item(
    name: str,
    *,
    date: str | None = "Sun, 06 Sep 2026 10:00:00 +0200",
    guid: str | None = None,
    link: str | None = None,
    content: str | None = None,
    summary: str | None = None,
) -> str:
    """An `<item>` with the whole post, as WordPress writes it. Empty `guid` or `link`: none. With `summary`
    only that."""
    link = f"https://blog.example/{name}/" if link is None else link
    guid = f"https://blog.example/?p={name}" if guid is None else guid
    told = content if content is not None else story(name)
    parts = [
        f"<title>{escape(title(name))}</title>",
        f"<link>{escape(link)}</link>" if link else "",
        f'<guid isPermaLink="false">{escape(guid)}</guid>' if guid else "",
        f"<pubDate>{date}</pubDate>" if date else "",
        f"<description>{escape(summary)}</description>"
        if summary is not None
        else f"<content:encoded><![CDATA[{told}]]></content:encoded>",
    ]
    return f"<item>{''.join(parts)}</item>"


def rss(*items: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    return (
        f'{head}\n<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">'
        f"<channel><title>Stille post</title><link>https://blog.example/</link><language>nl</language>"
        f"{''.join(items)}</channel></rss>"
    )


def until(true: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)
