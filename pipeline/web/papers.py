"""What stands still: the privacy page, the description of the pages, and the sign that the service lives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipeline.own_yaml import load_own
from pipeline.web.site import Site, either


@dataclass(frozen=True, slots=True)
class Papers:
    """`/privacy`, `/openapi.json` and `/healthz`."""

    site: Site

    def routes(self) -> Sequence[Route]:
        return [
            *either("/privacy", self.privacy, "GET"),
            *either("/openapi.json", self.openapi, "GET"),
            *either("/healthz", self.health, "GET"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["privacy" | "healthz" | "openapi.json"]:
                return f"/{parts[0]}"
        return None

    async def privacy(self, request: Request) -> Response:
        language = request.query_params.get("language", "")
        return self.site.answer(self.site.pages.show_privacy(language))

    async def openapi(self, _request: Request) -> Response:
        return Response(_description(), media_type="application/json")

    async def health(self, request: Request) -> Response:
        await to_thread.run_sync(self.site.pages.alive)
        return PlainTextResponse("ok\n")


def description() -> dict[str, Any]:
    """Every address that is answered, as OpenAPI 3.1."""
    found: dict[str, Any] = load_own("pipeline.web", "openapi.yaml")
    return found


@cache
def _description() -> bytes:
    return json.dumps(description(), ensure_ascii=False).encode()
