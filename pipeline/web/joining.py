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
from subscribers.joining import JoinForm, JoinPages
from subscribers.replies import Reply

JOIN_SECONDS: Final = 0.4
"""Every sign-up is answered after this time at the earliest, so that the time says nothing about the
address."""
JOIN_THREADS: Final = 4
"""Sign-ups worked on at once. Leaving never waits behind a flood of them."""


@dataclass(frozen=True, slots=True)
class Joining:
    """`/join`, `/` and `/c/TOKEN`."""

    site: Site
    pages: JoinPages
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
        if request.method != "POST":
            return self.site.answer(self.pages.show(request.query_params.get("language", "")))
        form = self._form(request, fields_of(request, await body_of(request)))
        return self.site.answer(await self.take_up(form))

    async def take_up(self, form: JoinForm) -> Reply:
        """What the pages say to a sign-up, when the time has come to say it."""
        earliest = asyncio.get_running_loop().time() + self.seconds
        reply = await to_thread.run_sync(self._take_up, form, limiter=self.limiter)
        await anyio.sleep_until(earliest)
        return reply

    def _take_up(self, form: JoinForm) -> Reply:
        reply = self.pages.join(form)
        if reply.held is not None:
            self.site.held_back(reply.held)
        return reply

    def _form(self, request: Request, fields: Mapping[str, str]) -> JoinForm:
        """A form without a stamp is not from our own page."""
        origin = request.headers.get("origin", "")
        ours = "stamp" in fields
        return JoinForm(
            **{name: fields.get(name, "") for name in ("email", "name", "language", "website")},
            stamp=fields.get("stamp"),
            source="page" if ours else "form",
            site=origin if origin in self.site.web.origins else "",
            network=self.site.network(request),
        )

    async def confirm(self, request: Request) -> Response:
        pages, token = self.site.pages, request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(pages.show_confirm, token))
        await body_of(request)
        network = self.site.network(request)
        return self.site.answer(await to_thread.run_sync(lambda: pages.confirm(token, network=network)))
