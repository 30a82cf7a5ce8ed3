"""Unsubscribing, and coming back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.web.reading import body_of
from pipeline.web.site import Site, either


@dataclass(frozen=True, slots=True)
class Leaving:
    """`/u/TOKEN`: the address in List-Unsubscribe, and the link at the foot of a letter (RFC 8058)."""

    site: Site

    def routes(self) -> Sequence[Route]:
        return [
            *either("/u/{token}", self.unsubscribe, "GET", "POST"),
            *either("/u/{token}/undo", self.undo, "POST"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["u", _]:
                return "/u/…"
            case ["u", _, "undo"]:
                return "/u/…/undo"
        return None

    async def unsubscribe(self, request: Request) -> Response:
        pages, token = self.site.pages, request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(pages.show_unsubscribe, token))
        how = _how(await body_of(request))
        return self.site.answer(await to_thread.run_sync(lambda: pages.unsubscribe(token, how=how)))

    async def undo(self, request: Request) -> Response:
        await body_of(request)
        token = request.path_params["token"]
        return self.site.answer(await to_thread.run_sync(self.site.pages.undo, token))


def _how(body: bytes) -> str:
    """Who pressed. Both encodings of RFC 8058 hold the words; a body we cannot read still unsubscribes."""
    return "one-click" if b"one-click" in body.lower() else "page"
