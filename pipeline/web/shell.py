"""Around everything: the headers of every answer, one log line, and no exception that gets out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emails.pages import style_source
from pipeline.web.site import Room, Site, log, where


class Shell:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, site: Site, rooms: Sequence[Room]) -> None:
        self._app = app
        self._site = site
        self._rooms = rooms
        self._headers = _headers(https=site.newsletter.url.startswith("https:"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, place = time.monotonic(), self._place(str(scope["path"]))
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name.lower() for name, _ in message["headers"]}
                missing = (header for header in self._headers if header[0] not in own)
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            log.error("%s %s failed\n%s", scope["method"], place, where(error))
            if not status:
                await self._site.trouble()(scope, receive, send_on)
        self._site.tally.answered(place, status)
        log.info("%s %s %d %.0f ms", scope["method"], place, status, 1000 * (time.monotonic() - began))

    def _place(self, path: str) -> str:
        """A path that may stand in a log: a token is shortened to `…`, an unknown path to its kind."""
        parts = [part for part in path.split("/") if part]
        known = (room.place(parts) for room in self._rooms)
        return next((place for place in known if place is not None), "(unknown path)")


def policy(style: str) -> str:
    """What a page may load: nothing but the one style sheet in it, named by its hash."""
    return (
        f"default-src 'none'; style-src {style}; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


def _headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    headers = {
        "content-security-policy": policy(style_source()),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
    }
    if https:
        headers["strict-transport-security"] = "max-age=31536000"
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
