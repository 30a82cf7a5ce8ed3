"""The public pages over HTTP: a Starlette application that carries requests to `subscribers` and
replies back, and adds what every answer needs. It decides nothing about subscribers.

Links in letters are opened by people, by scanners and by mailbox providers (RFC 8058). So: GET changes
nothing, no answer to `/u/…` is ever a redirect, no cookie is set or read, and no token or address reaches
a log. Each kind of page is a room (`Room`) in a module of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from emails.edition import Newsletter
from pipeline.settings import Web
from pipeline.web.embedding import Embedding
from pipeline.web.joining import JOIN_SECONDS, Joining
from pipeline.web.leaving import Leaving
from pipeline.web.papers import Papers
from pipeline.web.preferences import Owning, Preferring
from pipeline.web.shell import Shell
from pipeline.web.site import Clock, Room, SendConfirmation, SendNotice, Site
from subscribers.joining import JoinPages
from subscribers.limits import Doorkeeper
from subscribers.links import check_base_url
from subscribers.own_data import OwnDataPages
from subscribers.pages import Pages
from subscribers.ports import JoinCounter, PreferenceStore, SubscriberStore
from subscribers.preferences import OwnParts, PreferencePages
from subscribers.tokens import Signer


def create_app(
    store: SubscriberStore,
    signer: Signer,
    newsletter: Newsletter,
    *,
    clock: Clock,
    send_confirmation: SendConfirmation,
    send_notice: SendNotice,
    joins: JoinCounter,
    preferences: PreferenceStore,
    zone: tzinfo = UTC,
    web: Web | None = None,
    every: str = "week",
    join_seconds: float = JOIN_SECONDS,
    more: Callable[[Site], Sequence[Room]] = lambda _site: (),
) -> Starlette:
    """The application for `serve` and `demo`.

    `clock` gives the time in UTC; `joins` counts sign-ups and mailed links; `zone` is the zone in which
    pages tell days; `web` is the section of schedule.yaml; `every` is `schedule.every`; `more` makes further
    rooms. Raises `subscribers.links.LinkError` when `newsletter.url` cannot carry links.
    """
    check_base_url(newsletter.url)
    web = web or Web()
    doorkeeper = Doorkeeper(joins, web.limits, scope_of=signer.network_scope)
    pages = Pages(store=store, signer=signer, newsletter=newsletter, clock=clock, every=every)
    join_pages = JoinPages(
        store=store, signer=signer, newsletter=newsletter, clock=clock, every=every, doorkeeper=doorkeeper
    )
    site = Site(pages, newsletter, every, send_confirmation, clock, joins, web, send_notice=send_notice)
    joining = Joining(site, join_pages, join_seconds)
    own = OwnParts(
        people=store,
        store=preferences,
        counter=joins,
        signer=signer,
        newsletter=newsletter,
        clock=clock,
        zone=zone,
    )
    # A path is compared with one room's after another's: those that programs call most come first.
    rooms: list[Room] = [
        *more(site),
        Leaving(site),
        Preferring(site, PreferencePages(own)),
        Owning(site, OwnDataPages(own)),
        joining,
        Embedding(site, joining),
        Papers(site),
    ]
    app = Starlette(
        routes=[route for room in rooms for route in room.routes()],
        middleware=[Middleware(Shell, site=site, rooms=rooms)],
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
        # By itself it takes a faster parser where one is installed, and that one has no bound for headers.
        http="h11",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16_384,
    )


def _nothing(_: logging.LogRecord) -> bool:
    return False


__all__ = ["Room", "Site", "create_app", "server_config"]
