"""The sandbox's inbox page: what has arrived, and each message as letter, text, headers and source.

A letter is content of strangers here: it is shown in a sandboxed frame without scripts, under a content
policy of its own. Its links open in a new tab and work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emails.sandbox.record import Line, SandboxRecord, Stored

PAGE = 50
VIEWS = ("letter", "text", "headers", "source")
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' https: http:"
)
LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; font-src https: data:; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_COMMON = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What the list shows."""

    edition: str = ""
    words: str = ""
    before: int | None = None

    @classmethod
    def of(cls, request: Request) -> Filter:
        query = request.query_params
        before = query.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        return cls(edition=query.get("edition", ""), words=query.get("q", ""), before=number)

    def query(self, **changes: object) -> str:
        """As the query of a link, `?` included; empty when there is nothing to say."""
        values = {"edition": self.edition, "q": self.words, "before": self.before, **changes}
        said = {name: value for name, value in values.items() if value not in ("", None)}
        return f"?{urlencode(said)}" if said else ""


class Inbox:
    def __init__(self, record: SandboxRecord) -> None:
        self._record = record
        self._templates = Environment(
            loader=PackageLoader("emails.sandbox"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        self._templates.filters["time"] = _time

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index),
            Route("/newest", self.newest),
            Route("/letters/{id}.eml", self.download),
            Route("/letters/{id}", self.letter),
            Route("/letters/{id}/frame", self.frame),
            Route("/static/{name}", self.static),
        ]

    async def index(self, request: Request) -> Response:
        return await run_in_threadpool(self._page, Filter.of(request), None, "letter")

    async def letter(self, request: Request) -> Response:
        stored = await run_in_threadpool(self._record.find, request.path_params["id"])
        if stored is None:
            return self._missing()
        view = request.query_params.get("view", "letter")
        if view not in VIEWS or (view == "letter" and not stored.message.get("html")):
            view = "text"
        return await run_in_threadpool(self._page, Filter.of(request), stored, view)

    async def frame(self, request: Request) -> Response:
        stored = await run_in_threadpool(self._record.find, request.path_params["id"])
        if stored is None:
            return self._missing()
        html = _links_in_new_tabs(str(stored.message.get("html") or ""))
        return HTMLResponse(html, headers={"content-security-policy": LETTER_POLICY, **_COMMON})

    async def download(self, request: Request) -> Response:
        stored = await run_in_threadpool(self._record.find, request.path_params["id"])
        if stored is None:
            return self._missing()
        name = f"{stored.line.id}.eml"
        return Response(
            source(stored),
            media_type="message/rfc822",
            headers={"content-disposition": f'attachment; filename="{name}"', **_COMMON},
        )

    async def newest(self, _request: Request) -> Response:
        """Number of the newest message, for the page to see that something came."""
        number = await run_in_threadpool(self._record.newest)
        return Response(str(number), media_type="text/plain", headers=_COMMON)

    async def static(self, request: Request) -> Response:
        kind = _STATIC.get(request.path_params["name"])
        if kind is None:
            return self._missing()
        data = (files("emails.sandbox") / "static" / request.path_params["name"]).read_bytes()
        return Response(data, media_type=kind, headers={"x-content-type-options": "nosniff"})

    def _page(self, shown: Filter, stored: Stored | None, view: str) -> Response:
        lines = self._record.page(
            limit=PAGE + 1, before=shown.before, edition=shown.edition, words=shown.words
        )
        html = self._templates.get_template("inbox.html").render(
            lines=lines[:PAGE],
            older=shown.query(before=lines[PAGE - 1].number) if len(lines) > PAGE else None,
            counts=self._record.counts(),
            newest=self._record.newest(),
            shown=shown,
            open=_opened(stored) if stored else None,
            view=view,
            views=VIEWS,
        )
        return HTMLResponse(html, headers={"content-security-policy": PAGE_POLICY, **_COMMON})

    def _missing(self) -> Response:
        html = self._templates.get_template("missing.html").render()
        return HTMLResponse(html, 404, headers={"content-security-policy": PAGE_POLICY, **_COMMON})


_BOUNDARY = "=_sandbox_part_="
_STATIC = {"inbox.css": "text/css", "inbox.js": "text/javascript", "icon.svg": "image/svg+xml"}


def source(stored: Stored) -> bytes:
    """The message as an e-mail file, unencoded so that people can read it."""
    lines = [f"{name}: {' '.join(value.split())}" for name, value in headers_of(stored)]
    lines += ["MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"', ""]
    for subtype, field in (("plain", "text"), ("html", "html")):
        if stored.message.get(field):
            lines += [f"--{_BOUNDARY}", f"Content-Type: text/{subtype}; charset=utf-8"]
            lines += ["Content-Transfer-Encoding: 8bit", "", *str(stored.message[field]).splitlines()]
    lines += [f"--{_BOUNDARY}--", ""]
    return "\r\n".join(lines).encode("utf-8", "replace")


def headers_of(stored: Stored) -> list[tuple[str, str]]:
    """The headers a mailbox would show."""
    message = stored.message
    listed: list[tuple[str, str]] = [
        ("From", str(message["from"])),
        ("To", stored.line.to),
        ("Subject", str(message["subject"])),
        ("Date", datetime.fromisoformat(stored.line.received_at).strftime("%a, %d %b %Y %H:%M:%S %z")),
    ]
    if message.get("reply_to"):
        reply_to = message["reply_to"]
        listed.append(("Reply-To", reply_to if isinstance(reply_to, str) else ", ".join(reply_to)))
    own = message.get("headers") or {}
    taken = {name.lower() for name, _ in listed}
    return listed + [(str(name), str(value)) for name, value in own.items() if name.lower() not in taken]


def _opened(stored: Stored) -> dict[str, Any]:
    headers = headers_of(stored)
    return {
        "line": stored.line,
        "sender": str(stored.message["from"]),
        "html": bool(stored.message.get("html")),
        "text": str(stored.message.get("text") or ""),
        "headers": [(name, _linked(value)) for name, value in headers],
        "tags": [tag for tag in stored.message.get("tags") or () if isinstance(tag, Mapping)],
        "key": stored.key,
        "source": source(stored).decode("utf-8", "replace").replace("\r\n", "\n"),
        "one_click": _one_click({name.lower(): value for name, value in headers}),
    }


def _one_click(headers: Mapping[str, str]) -> str | None:
    """Where a mail program would post "unsubscribe" (RFC 8058 3.1)."""
    if headers.get("list-unsubscribe-post", "").replace(" ", "").lower() != "list-unsubscribe=one-click":
        return None
    found = re.search(r"<(https?://[^<>\s]+)>", headers.get("list-unsubscribe", ""))
    return found[1] if found else None


def _linked(value: str) -> list[tuple[str, bool]]:
    """The value in parts; True marks those that are web addresses."""
    parts = re.split(r"(https?://[^<>\s,]+)", value)
    return [(part, index % 2 == 1) for index, part in enumerate(parts) if part]


def _links_in_new_tabs(html: str) -> str:
    base = '<base target="_blank">'
    head = re.search(r"<head(\s[^>]*)?>", html, re.IGNORECASE)
    return html[: head.end()] + base + html[head.end() :] if head else base + html


def _time(line: Line) -> str:
    """Today only the hour, else the day too; in the time zone of this machine."""
    at = datetime.fromisoformat(line.received_at).astimezone()
    today = datetime.now(at.tzinfo).date()
    return at.strftime("%H:%M") if at.date() == today else at.strftime("%-d %b, %H:%M")
