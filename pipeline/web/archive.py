"""The archive over HTTP: letters that went out, a search among them, and feeds. Nothing here knows a reader.

A page may be kept for five minutes, by anyone: it is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emails.archive import Places, style_source
from emails.edition import Newsletter
from pipeline.archive import MAX_QUERY, index_html, is_day, json_feed, letter_html, on_the_web, rss
from pipeline.store.archive import Archive
from pipeline.web.shell import policy
from pipeline.web.site import either

KEPT: Final = "public, max-age=300"


@dataclass(frozen=True, slots=True)
class Archiving:
    """`/archive`, `/archive/2026-11-29`, `/feed.xml` and `/feed.json`."""

    newsletter: Newsletter
    archive: Archive
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", on_the_web(self.newsletter))

    def routes(self) -> Sequence[Route]:
        return [
            *either("/archive", self.index, "GET"),
            *either("/archive/{day}", self.letter, "GET"),
            *either("/feed.xml", self.rss, "GET"),
            *either("/feed.json", self.json, "GET"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["archive"]:
                return "/archive"
            case ["archive", day]:
                return f"/archive/{day}" if is_day(day) else "/archive/…"
            case ["feed.xml" | "feed.json"]:
                return f"/{parts[0]}"
        return None

    async def index(self, request: Request) -> Response:
        query = request.query_params.get("q", "")[:MAX_QUERY]
        return _page(await to_thread.run_sync(self._index, query), findable=not query.strip())

    async def letter(self, request: Request) -> Response:
        day = str(request.path_params["day"])
        page = await to_thread.run_sync(self._letter, day) if is_day(day) else None
        if page is None:
            raise HTTPException(404)
        return _page(page)

    async def rss(self, _request: Request) -> Response:
        return _feed(await to_thread.run_sync(self._rss), "application/rss+xml")

    async def json(self, _request: Request) -> Response:
        return _feed(await to_thread.run_sync(self._json), "application/feed+json")

    def _index(self, query: str) -> str:
        letters = self.archive.listed()
        return index_html(self.newsletter, self.places, letters, query=query, searchable=True)

    def _letter(self, day: str) -> str | None:
        published = self.archive.letter(day)
        if published is None:
            return None
        return letter_html(self.newsletter, self.places, published, self.archive.listed())

    def _rss(self) -> bytes:
        return rss(self.newsletter, self.archive.listed())

    def _json(self) -> bytes:
        return json_feed(self.newsletter, self.archive.listed())


def _page(html: str, *, findable: bool = True) -> Response:
    headers = {"Content-Security-Policy": policy(style_source()), "Cache-Control": KEPT}
    if not findable:
        headers["X-Robots-Tag"] = "noindex"
    return HTMLResponse(html.encode("utf-8", "replace"), headers=headers)


def _feed(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers={"Cache-Control": KEPT})
