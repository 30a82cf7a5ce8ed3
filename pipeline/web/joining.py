"""Signing up, and confirming."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.web.reading import body_of, fields_of
from pipeline.web.site import Site, either
from subscribers.pages import JoinForm

JOIN_SECONDS: Final = 0.4
"""Every sign-up is answered after this time at the earliest, so that the time says nothing about the
address."""
JOIN_THREADS: Final = 4
"""Sign-ups worked on at once. Leaving never waits behind a flood of them."""


@dataclass(frozen=True, slots=True)
class Joining:
    """`/join`, `/` and `/c/TOKEN`."""

    site: Site
    seconds: float = JOIN_SECONDS
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(JOIN_THREADS))

    def routes(self) -> Sequence[Route]:
        return [
            *either("/c/{token}", self.confirm, "GET", "POST"),
            *either("/join", self.join, "GET", "POST"),
            Route("/", self.join, methods=["GET", "POST"]),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case []:
                return "/"
            case ["join"]:
                return "/join"
            case ["c", _]:
                return "/c/…"
        return None

    async def join(self, request: Request) -> Response:
        pages = self.site.pages
        if request.method != "POST":
            return self.site.answer(pages.show_join(request.query_params.get("language", "")))
        earliest = asyncio.get_running_loop().time() + self.seconds
        form = _join_form(fields_of(request, await body_of(request)))
        reply = await to_thread.run_sync(pages.join, form, limiter=self.limiter)
        await anyio.sleep_until(earliest)
        return self.site.answer(reply)

    async def confirm(self, request: Request) -> Response:
        pages, token = self.site.pages, request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(pages.show_confirm, token))
        await body_of(request)
        return self.site.answer(await to_thread.run_sync(pages.confirm, token))


def _join_form(fields: Mapping[str, str]) -> JoinForm:
    email, name, language, website = (
        fields.get(field, "") for field in ("email", "name", "language", "website")
    )
    return JoinForm(email=email, name=name, language=language, website=website)
