"""Signing up from another site by a program: JSON, for pages of sites that the operator named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.web.joining import Joining
from pipeline.web.reading import body_of
from pipeline.web.site import Site, either
from subscribers.joining import JoinForm

PREFLIGHT_SECONDS = 600
"""How long a browser may remember that it was allowed."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """`/api/join`. The same limits and the same silence as the form. A browser tells which site asks, and
    only those in `web.origins` are answered (CORS, Fetch 3.2). No cookie is read, so none is allowed."""

    site: Site
    joining: Joining

    def routes(self) -> Sequence[Route]:
        return either("/api/join", self.join, "POST", "OPTIONS")

    def place(self, parts: Sequence[str]) -> str | None:
        return "/api/join" if list(parts) == ["api", "join"] else None

    async def join(self, request: Request) -> Response:
        """202 and `{"status": "asked"}` for every address; 422 for what is none."""
        origin = request.headers.get("origin", "")
        if origin not in (*self.site.web.origins, _own_origin(self.site)):
            return _said(403, "this site is not in web.origins")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_allowed(origin, preflight=True))
        try:
            form = _form(await _json_of(request), origin=origin, network=self.site.network(request))
        except HTTPException as error:
            return _said(error.status_code, error.detail, {**_allowed(origin), **(error.headers or {})})
        reply = await self.joining.take_up(form)
        if reply.status == 422:
            return _said(422, "this is not an address", _allowed(origin))
        answer = _said(202, "asked", _allowed(origin))
        answer.background = self.site.afterwards(reply)
        return answer


async def _json_of(request: Request) -> Mapping[str, object]:
    """The one object that the body holds. Raises `HTTPException`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "send application/json")
    try:
        found = json.loads(await body_of(request))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, 'send an object: {"email": "…", "name": "…", "language": "nl"}')
    return found


def _form(found: Mapping[str, object], *, origin: str, network: str) -> JoinForm:
    return JoinForm(
        **{name: _text(found.get(name)) for name in ("email", "name", "language", "website")},
        source="api",
        site=origin,
        network=network,
    )


def _text(value: object) -> str:
    """JSON can hold half a character (`\\ud800`), which no database takes: such text counts as none."""
    try:
        return value.encode().decode() if isinstance(value, str) else ""
    except UnicodeEncodeError:
        return ""


def _own_origin(site: Site) -> str:
    parts = urlsplit(site.newsletter.url)
    return f"{parts.scheme}://{parts.netloc}"


def _allowed(origin: str, *, preflight: bool = False) -> dict[str, str]:
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if preflight:
        headers |= {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "content-type",
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
    return headers


def _said(status: int, words: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    kept_out = {"X-Robots-Tag": "noindex, nofollow"}
    return JSONResponse({"status": words}, status_code=status, headers={**kept_out, **(headers or {})})
