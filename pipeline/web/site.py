"""What every room of the site shares: how a reply becomes an answer."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emails.edition import Newsletter
from emails.pages import render_page
from pipeline.settings import Web
from pipeline.web.tally import Tally
from pipeline.web.visitor import visitor_network
from subscribers.asking import Ask
from subscribers.limits import Held, window
from subscribers.notices import Notice
from subscribers.pages import Pages
from subscribers.ports import JoinCounter
from subscribers.replies import Reply

log = logging.getLogger("weekbrief.web")

Clock = Callable[[], datetime]
SendConfirmation = Callable[[Ask], None]
"""Sends one confirmation message; blocks, and raises when it could not be sent."""
SendNotice = Callable[[Notice], None]
"""Sends another letter to one reader, in the same way."""


_HELD = {
    Held.NETWORK: (
        "sign-ups are being held back: more than %d this hour from one network; visitors see no difference "
        "and nothing is sent. If all of yours come through one web server, name it in web.proxies"
    ),
    Held.OVERALL: (
        "sign-ups are being held back: more than %d this hour in all; visitors see no difference and nothing "
        "is sent until the hour is over. If these are readers, raise web.sign_ups_per_hour"
    ),
}


class Room(Protocol):
    """Some pages that belong together, with addresses of their own."""

    def routes(self) -> Sequence[Route]: ...

    def place(self, parts: Sequence[str]) -> str | None:
        """How a path, cut at its slashes, may stand in a log; None for a path of another room."""
        ...


def either(path: str, handler: Callable[..., object], *methods: str) -> list[Route]:
    """A route with and without a slash at its end: a stray one causes neither a 404 nor a redirect."""
    return [Route(f"{path}{slash}", handler, methods=list(methods)) for slash in ("", "/")]


@dataclass(frozen=True, slots=True)
class Site:
    """What every handler needs."""

    pages: Pages
    newsletter: Newsletter
    every: str
    send_confirmation: SendConfirmation
    clock: Clock
    joins: JoinCounter
    web: Web = field(default_factory=Web)
    tally: Tally = field(default_factory=Tally)
    send_notice: SendNotice = field(kw_only=True)

    async def not_taken(self, request: Request, error: Exception) -> Response:
        """Every 4xx: an unknown path looks like an unknown token."""
        assert isinstance(error, HTTPException)
        reply = self.pages.unknown() if error.status_code == 404 else self.pages.refused(error.status_code)
        response = self.answer(reply)
        response.headers.update(error.headers or {})
        return response

    def answer(self, reply: Reply) -> Response:
        """A page as an answer; what is still to be done for the visitor is done after it went out."""
        return HTMLResponse(
            render_page(reply.page, self.newsletter, reply.language, every=self.every, values=reply.values),
            status_code=reply.status,
            headers=None if reply.findable else {"X-Robots-Tag": "noindex, nofollow"},
            background=self.afterwards(reply),
        )

    def afterwards(self, reply: Reply) -> BackgroundTask | None:
        """What is still to be done once the answer is out."""
        if reply.notice is not None:
            return BackgroundTask(partial(self.tell, reply.notice))
        return BackgroundTask(partial(self.ask, reply.ask)) if reply.ask else None

    def network(self, request: Request) -> str:
        """The visitor's network; empty when nobody knows."""
        return visitor_network(request, self.web.proxies)

    def held_back(self, why: Held) -> None:
        """Count a sign-up that was held back; tell the operator once an hour, whichever process it was."""
        self.tally.held_back(why)
        since = window(self.clock())
        if self.joins.count(f"told:{why}", since=since, most=1):
            limits = self.web.limits
            log.warning(_HELD[why], limits.per_network if why is Held.NETWORK else limits.overall)

    def trouble(self) -> Response:
        """The page that says sorry; an empty one if the pages themselves are what broke."""
        try:
            return self.answer(self.pages.trouble())
        except Exception as error:
            log.error("the page for errors failed\n%s", where(error))
            return Response(status_code=500)

    def ask(self, ask: Ask) -> None:
        """After the answer is out, so that its time says nothing. A failure is told to the operator."""
        try:
            self.send_confirmation(ask)
        except Exception as error:
            log.error(
                "the confirmation message to subscriber %d was not sent; they can sign up again in a day\n%s",
                ask.subscriber.id,
                where(error),
            )

    def tell(self, notice: Notice) -> None:
        """As `ask`, with a letter that follows from what a reader did."""
        try:
            self.send_notice(notice)
        except Exception as error:
            kind = type(notice).__name__
            log.error("the %s to subscriber %d was not sent\n%s", kind, notice.subscriber.id, where(error))


def where(error: BaseException) -> str:
    """The kind of an error and the lines that led to it, without its words: those may hold an address."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    lines = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return "\n".join([*lines, f"  {type(error).__module__}.{type(error).__qualname__}"])
