"""The public pages over HTTP: a Starlette application that carries requests to `subscribers.pages` and
replies back, and adds what every answer needs. It decides nothing about subscribers.

Links in letters are opened by people, by scanners and by mailbox providers (RFC 8058). So: GET changes
nothing, no answer to `/u/…` is ever a redirect, no cookie is set or read, and no token or address reaches
a log.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

import anyio
import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emails.edition import Newsletter
from emails.pages import render_page, style_source
from subscribers.asking import Ask
from subscribers.links import check_base_url
from subscribers.pages import JoinForm, Pages, Reply
from subscribers.ports import SubscriberStore
from subscribers.tokens import Signer

MAX_BODY: Final = 16_384
"""Octets of a request body that are read. A one-click body has 26, a sign-up a few hundred."""
BODY_SECONDS: Final = 10.0
"""How long a body may take to arrive."""
MAX_FIELDS: Final = 20
JOIN_SECONDS: Final = 0.4
"""Every sign-up is answered after this time at the earliest, so that the time says nothing about the
address."""
JOIN_THREADS: Final = 4
"""Sign-ups worked on at once. Leaving never waits behind a flood of them."""

log = logging.getLogger("weekbrief.web")

Clock = Callable[[], datetime]
SendConfirmation = Callable[[Ask], None]
"""Sends one confirmation message; blocks, and raises when it could not be sent."""


def create_app(
    store: SubscriberStore,
    signer: Signer,
    newsletter: Newsletter,
    *,
    clock: Clock,
    send_confirmation: SendConfirmation,
    every: str = "week",
    join_seconds: float = JOIN_SECONDS,
) -> Starlette:
    """The application for `serve` and `demo`.

    `clock` gives the time in UTC; `every` is `schedule.every`. Raises `subscribers.links.LinkError` when
    `newsletter.url` cannot carry links.
    """
    check_base_url(newsletter.url)
    pages = Pages(store=store, signer=signer, newsletter=newsletter, clock=clock, every=every)
    site = _Site(pages, newsletter, every, send_confirmation, join_seconds, CapacityLimiter(JOIN_THREADS))
    app = Starlette(
        routes=site.routes(),
        middleware=[Middleware(_Shell, site=site)],
        exception_handlers={HTTPException: site.not_taken},
    )
    # RFC 8058, 3.1: a one-click POST follows no redirect, so a stray slash must not cause one.
    app.router.redirect_slashes = False
    return app


def server_config(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """How the application is served. Uvicorn's own access log holds whole paths, so tokens: it is off, and
    shut as well, so that no logging set-up brings it back."""
    logging.getLogger("uvicorn.access").addFilter(_nothing)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16_384,
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """What every handler needs."""

    pages: Pages
    newsletter: Newsletter
    every: str
    send_confirmation: SendConfirmation
    join_seconds: float
    join_limiter: CapacityLimiter

    def routes(self) -> list[Route]:
        both = ["GET", "POST"]
        found: list[Route] = []
        for slash in ("", "/"):
            found += [
                Route(f"/u/{{token}}{slash}", self.unsubscribe, methods=both),
                Route(f"/u/{{token}}/undo{slash}", self.undo, methods=["POST"]),
                Route(f"/c/{{token}}{slash}", self.confirm, methods=both),
                Route(f"/join{slash}", self.join, methods=both),
                Route(f"/privacy{slash}", self.privacy, methods=["GET"]),
                Route(f"/healthz{slash}", self.health, methods=["GET"]),
            ]
        return [*found, Route("/", self.join, methods=both)]

    # Token pages

    async def unsubscribe(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return self.answer(await to_thread.run_sync(self.pages.show_unsubscribe, token))
        how = _how(await _body(request))
        return self.answer(await to_thread.run_sync(lambda: self.pages.unsubscribe(token, how=how)))

    async def undo(self, request: Request) -> Response:
        await _body(request)
        return self.answer(await to_thread.run_sync(self.pages.undo, request.path_params["token"]))

    async def confirm(self, request: Request) -> Response:
        token = request.path_params["token"]
        if request.method != "POST":
            return self.answer(await to_thread.run_sync(self.pages.show_confirm, token))
        await _body(request)
        return self.answer(await to_thread.run_sync(self.pages.confirm, token))

    # Open pages

    async def join(self, request: Request) -> Response:
        if request.method != "POST":
            return self.answer(self.pages.show_join(request.query_params.get("language", "")))
        earliest = asyncio.get_running_loop().time() + self.join_seconds
        form = _join_form(request, await _body(request))
        reply = await to_thread.run_sync(self.pages.join, form, limiter=self.join_limiter)
        await anyio.sleep_until(earliest)
        return self.answer(reply)

    async def privacy(self, request: Request) -> Response:
        return self.answer(self.pages.show_privacy(request.query_params.get("language", "")))

    async def health(self, request: Request) -> Response:
        await to_thread.run_sync(self.pages.alive)
        return PlainTextResponse("ok\n")

    # Answers

    async def not_taken(self, request: Request, error: Exception) -> Response:
        """Every 4xx: an unknown path looks like an unknown token."""
        assert isinstance(error, HTTPException)
        reply = self.pages.unknown() if error.status_code == 404 else self.pages.refused(error.status_code)
        response = self.answer(reply)
        response.headers.update(error.headers or {})
        return response

    def answer(self, reply: Reply) -> Response:
        background = BackgroundTask(self.ask, reply.ask) if reply.ask else None
        return HTMLResponse(
            render_page(reply.page, self.newsletter, reply.language, every=self.every, values=reply.values),
            status_code=reply.status,
            headers=None if reply.findable else {"X-Robots-Tag": "noindex, nofollow"},
            background=background,
        )

    def trouble(self) -> Response:
        """The page that says sorry; an empty one if the pages themselves are what broke."""
        try:
            return self.answer(self.pages.trouble())
        except Exception as error:
            log.error("the page for errors failed\n%s", _where(error))
            return Response(status_code=500)

    def ask(self, ask: Ask) -> None:
        """After the answer is out, so that its time says nothing. A failure is told to the operator."""
        try:
            self.send_confirmation(ask)
        except Exception as error:
            log.error(
                "the confirmation message to subscriber %d was not sent; they can sign up again in a day\n%s",
                ask.subscriber.id,
                _where(error),
            )


def _how(body: bytes) -> str:
    """Who pressed. Both encodings of RFC 8058 hold the words; a body we cannot read still unsubscribes."""
    return "one-click" if b"one-click" in body.lower() else "page"


async def _body(request: Request) -> bytes:
    """The whole body, or a refusal: 413 when too large, 408 when too slow. Raises `HTTPException`."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:12]) > MAX_BODY:
        raise HTTPException(413, headers={"Connection": "close"})
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise HTTPException(413, headers={"Connection": "close"})
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    return bytes(body)


def _join_form(request: Request, body: bytes) -> JoinForm:
    """The fields of a sign-up. Raises `HTTPException`: 415 for another kind of body, 400 for a broken one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise HTTPException(400) from None
    email, name, language, website = (
        fields.get(field, [""])[0] for field in ("email", "name", "language", "website")
    )
    return JoinForm(email=email, name=name, language=language, website=website)


class _Shell:
    """Around everything: the headers of every answer, one log line, and no exception that gets out."""

    def __init__(self, app: ASGIApp, site: _Site) -> None:
        self._app = app
        self._site = site
        self._headers = _headers(https=site.newsletter.url.startswith("https:"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            log.error("%s %s failed\n%s", scope["method"], _place(scope), _where(error))
            if not status:
                await self._site.trouble()(scope, receive, send_on)
        log.info(
            "%s %s %d %.0f ms", scope["method"], _place(scope), status, 1000 * (time.monotonic() - began)
        )


def _headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    policy = (
        f"default-src 'none'; style-src {style_source()}; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "content-security-policy": policy,
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


def _nothing(_: logging.LogRecord) -> bool:
    return False


def _place(scope: Scope) -> str:
    """A path that may stand in a log: a token is shortened to `…`, an unknown path to its kind."""
    match [part for part in str(scope["path"]).split("/") if part]:
        case []:
            return "/"
        case [("join" | "privacy" | "healthz") as page]:
            return f"/{page}"
        case [("u" | "c") as kind, _]:
            return f"/{kind}/…"
        case ["u", _, "undo"]:
            return "/u/…/undo"
        case _:
            return "(unknown path)"


def _where(error: BaseException) -> str:
    """The kind of an error and the lines that led to it, without its words: those may hold an address."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    lines = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return "\n".join([*lines, f"  {type(error).__module__}.{type(error).__qualname__}"])
