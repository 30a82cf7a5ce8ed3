"""A reader's own choices: less often, a pause, another language; and, with a link that was mailed to them,
what we hold, another address, and being forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.web.reading import body_of, fields_of
from pipeline.web.site import Site, either
from subscribers.own_data import OwnDataPages
from subscribers.preferences import PreferenceForm, PreferencePages
from subscribers.replies import Reply


@dataclass(frozen=True, slots=True)
class Preferring:
    """`/u/TOKEN/preferences`: the link at the foot of a letter."""

    site: Site
    pages: PreferencePages

    def routes(self) -> Sequence[Route]:
        return [
            *either("/u/{token}/preferences", self.preferences, "GET", "POST"),
            *either("/u/{token}/preferences/link", self.link, "GET", "POST"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["u", _, "preferences"]:
                return "/u/…/preferences"
            case ["u", _, "preferences", "link"]:
                return "/u/…/preferences/link"
        return None

    async def preferences(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(self.pages.show, token))
        form = _preference_form(await _fields(request))
        return self.site.answer(await to_thread.run_sync(self.pages.change, token, form))

    async def link(self, request: Request) -> Response:
        """Read again (a page that is reloaded), it only shows the preferences."""
        token = request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(self.pages.show, token))
        await body_of(request)
        return self.site.answer(await to_thread.run_sync(self.pages.send_link, token))


@dataclass(frozen=True, slots=True)
class Owning:
    """`/p/TOKEN`, mailed to somebody's own address, and `/a/TOKEN`, mailed to their new one."""

    site: Site
    pages: OwnDataPages

    def routes(self) -> Sequence[Route]:
        return [
            *either("/p/{token}", self.own, "GET"),
            *either("/p/{token}/data.json", self.data, "GET"),
            *either("/p/{token}/name", self.name, "GET", "POST"),
            *either("/p/{token}/address", self.address, "GET", "POST"),
            *either("/p/{token}/erase", self.erase, "GET", "POST"),
            *either("/a/{token}", self.move, "GET", "POST"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["p", _]:
                return "/p/…"
            case ["p", _, "data.json" | "name" | "address" | "erase" as what]:
                return f"/p/…/{what}"
            case ["a", _]:
                return "/a/…"
        return None

    async def own(self, request: Request) -> Response:
        token = request.path_params["token"]
        return self.site.answer(await to_thread.run_sync(self.pages.show, token))

    async def data(self, request: Request) -> Response:
        found = await to_thread.run_sync(self.pages.data, request.path_params["token"])
        if isinstance(found, Reply):
            return self.site.answer(found)
        return Response(
            json.dumps(found.as_object(), ensure_ascii=False, indent=2) + "\n",
            media_type="application/json",
            headers={
                "Content-Disposition": 'attachment; filename="my-data.json"',
                "X-Robots-Tag": "noindex, nofollow",
            },
        )

    async def name(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return await self.own(request)
        name = (await _fields(request)).get("name", "")
        return self.site.answer(await to_thread.run_sync(self.pages.rename, token, name))

    async def address(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return await self.own(request)
        email = (await _fields(request)).get("email", "")
        return self.site.answer(await to_thread.run_sync(self.pages.ask_move, token, email))

    async def erase(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(self.pages.show_erase, token))
        await body_of(request)
        return self.site.answer(await to_thread.run_sync(self.pages.erase, token))

    async def move(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return self.site.answer(await to_thread.run_sync(self.pages.show_move, token))
        await body_of(request)
        return self.site.answer(await to_thread.run_sync(self.pages.confirm_move, token))


async def _fields(request: Request) -> Mapping[str, str]:
    """A form's fields; none for a body that is empty."""
    body = await body_of(request)
    return fields_of(request, body) if body else {}


def _preference_form(fields: Mapping[str, str]) -> PreferenceForm:
    pause, frequency, language = (fields.get(name, "") for name in ("pause", "frequency", "language"))
    return PreferenceForm(pause=pause, frequency=frequency, language=language)
