"""What stands still: the privacy page, and the sign that the service is alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipeline.web.site import Site, either


@dataclass(frozen=True, slots=True)
class Papers:
    """`/privacy` and `/healthz`."""

    site: Site

    def routes(self) -> Sequence[Route]:
        return [*either("/privacy", self.privacy, "GET"), *either("/healthz", self.health, "GET")]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["privacy" | "healthz"]:
                return f"/{parts[0]}"
        return None

    async def privacy(self, request: Request) -> Response:
        language = request.query_params.get("language", "")
        return self.site.answer(self.site.pages.show_privacy(language))

    async def health(self, request: Request) -> Response:
        await to_thread.run_sync(self.site.pages.alive)
        return PlainTextResponse("ok\n")
