"""The editor's desk: the letter that would go next, in a browser on this machine.

It goes the way a real edition goes as far as the rendered letter, and ends there: no provider is built and
nobody's address is read. The page watches what the letter is made of and loads anew when that changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

import uvicorn
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emails import render as letters
from emails.edition import Letter, LetterContent
from emails.merge import split
from emails.words import UnknownLanguage, forget
from pipeline.clock import Clock, SystemClock
from pipeline.complaints import SettingsError
from pipeline.compose import compose
from pipeline.condense import condense
from pipeline.due import Slot, next_slots
from pipeline.plan import PlannedWeek, plan
from pipeline.post import NotVerbatim
from pipeline.reading.read import SUFFIXES, Unreadable
from pipeline.settings import FolderSource, Settings, Source
from pipeline.sources import SourceUnavailable
from pipeline.sources.folder import read_file
from pipeline.store.engine import StorageError
from pipeline.wiring import catalogue_of, settings_from, state_folder

HOST: Final = "127.0.0.1"
NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
"""The only names the desk answers to: a web page elsewhere that points its own name at this machine (DNS
rebinding) reads nothing."""
SAMPLE_LINK: Final = "https://unsubscribe.invalid/sample"
"""Stands where each reader's own link will be; `.invalid` leads nowhere (RFC 6761, 6.4)."""

_TEMPLATES = Path(letters.__file__).parent / "templates"
_CATALOGUES = Path(letters.__file__).parent / "locale"
_MENDABLE = (
    OSError, StorageError, letters.RenderError, UnknownLanguage, Unreadable, NotVerbatim,
)  # fmt: skip
"""What a person can put right; the message says how."""


class Scheme(StrEnum):
    """The colours a letter is looked at in."""

    LIGHT = "light"
    DARK = "dark"


class Trouble(StrEnum):
    """Why there is no letter to show."""

    SETTINGS = "settings"
    NO_POST = "no_post"
    LETTER = "letter"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lies on the desk: a letter with its plan, or the trouble and what to do about it."""

    version: str
    """As `Desk.version` gave it before anything was read."""
    trouble: Trouble | None = None
    details: tuple[str, ...] = ()
    """What is wrong, a sentence each."""
    problems: tuple[str, ...] = ()
    """Posts that could not be read, a sentence each."""
    slot: Slot | None = None
    goes: datetime | None = None
    """The slot's moment on the clock of the schedule's zone."""
    zone: str = ""
    why: str = ""
    """How the post was chosen; empty for a file that was named."""
    key: str = ""
    content: LetterContent | None = None
    letter: Letter | None = None
    """With `SAMPLE_LINK` for its merge field."""


class Desk:
    """Makes the letter from what is on disk now; may be asked from several threads."""

    def __init__(self, config: Path, file: Path | None = None, *, clock: Clock | None = None) -> None:
        """`file` is a post to show instead of the one that is next."""
        self._config = config
        self._file = file
        self._clock = clock or SystemClock()
        self._last: Look | None = None
        self._rendering = Lock()

    def version(self) -> str:
        """A name for the state of everything that the letter is made of: two are equal when nothing changed.

        Of files it knows size, place and time of change. Other editions of the newsletter are not in it.
        """
        parts = [*_marks(_TEMPLATES), *_marks(_CATALOGUES, {".mo"}), _mark(self._config)]
        if self._file:
            parts.append(_mark(self._file))
        try:
            settings = settings_from(self._config)
        except SettingsError as error:
            parts.append(str(error))
        else:
            parts.append(str(next_slots(settings.schedule, self._clock.now(), 1)))
            if Path(settings.newsletter.design).is_absolute():
                parts += _marks(Path(settings.newsletter.design))
            parts += (mark for source in settings.sources for mark in _source_marks(settings, source))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:20]

    def look(self) -> Look:
        """The letter as it would be now. What a person can mend is in the answer and not raised."""
        with self._rendering:
            version = self.version()
            _forget_templates()
            try:
                self._last = self._next_letter(version, settings_from(self._config))
            except SettingsError as error:
                self._last = Look(
                    version=version, trouble=Trouble.SETTINGS, details=tuple(str(error).splitlines())
                )
            except _MENDABLE as error:
                self._last = Look(version=version, trouble=Trouble.LETTER, details=(str(error),))
            return self._last

    def last(self) -> Look:
        """The latest look, or a new one when something has changed since."""
        last = self._last
        return last if last is not None and last.version == self.version() else self.look()

    def _next_letter(self, version: str, settings: Settings) -> Look:
        week = self._named(settings) if self._file else plan(settings, weeks=1, now=self._clock.now())[0]
        problems: tuple[str, ...] = ()
        if not self._file:
            catalogue = catalogue_of(settings, clock=self._clock)
            with suppress(SourceUnavailable):  # the plan says it
                catalogue.posts()
            problems = (*catalogue.problems(), *catalogue.remarks())
        if week.brief is None:
            details = tuple(week.why.split("; "))
            return Look(version=version, trouble=Trouble.NO_POST, details=details, problems=problems)
        slot = week.slot
        content = compose(
            week.brief, newsletter=settings.newsletter, edition=slot.day.isoformat(), day=slot.day
        )
        return Look(
            version=version,
            problems=problems,
            slot=slot,
            goes=slot.due_at.astimezone(settings.zone),
            zone=str(settings.zone),
            why=week.why,
            key=week.brief.post.key,
            content=content,
            letter=_for_nobody(letters.render(content)),
        )

    def _named(self, settings: Settings) -> PlannedWeek:
        """The file that was asked for, as if it were next."""
        assert self._file is not None
        slot = next_slots(settings.schedule, self._clock.now(), 1)[0]
        post = read_file(self._file, name=self._file.name, default_language=settings.newsletter.language)
        condensed = condense(post)
        reasons = filter(None, (condensed.no_question, condensed.no_example))
        return PlannedWeek(slot=slot, brief=condensed.brief(), why="; ".join(reasons))


def create_app(desk: Desk, *, secret: str) -> ASGIApp:
    """The desk over HTTP, below `/SECRET/`. Whoever does not know `secret` is told nothing."""
    pages = _Pages(desk)
    app = Starlette(
        routes=[
            Route("/{secret}/", pages.page),
            Route("/{secret}/letter/{scheme}", pages.letter),
            Route("/{secret}/version", pages.version),
        ],
        exception_handlers={Exception: pages.fault},
    )
    app.router.redirect_slashes = False
    return _Door(app, secret)


def serve(desk: Desk, *, port: int, ready: Callable[[str], None]) -> None:
    """Show the desk on loopback until SIGINT or SIGTERM; `ready` is told its address first.

    Port 0 takes a free one. Raises OSError when the port is taken.
    """
    secret = secrets.token_urlsafe(24)
    with socket.create_server((HOST, port)) as listener:
        # asyncio does this for its own sockets only; without it an answer on a kept connection takes 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready(f"http://{HOST}:{listener.getsockname()[1]}/{secret}/")
        config = uvicorn.Config(
            create_app(desk, secret=secret),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run(sockets=[listener])


# The letter -----------------------------------------------------------------------------------------


def _for_nobody(letter: Letter) -> Letter:
    parts = split(letter)
    values = {"unsubscribe": SAMPLE_LINK}
    return Letter(
        subject=letter.subject,
        html=parts.html.fill(values),
        text=parts.text.fill(values),
        language=letter.language,
    )


_STYLE = re.compile(r"<style\b[^>]*>.*?</style>", re.DOTALL | re.IGNORECASE)
_ASKS_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)


def in_scheme(html: str, scheme: Scheme) -> str:
    """A letter as it looks to a reader whose device is set to `scheme`, whatever this one is set to; its
    links open in a new tab."""

    def answered(asked: re.Match[str]) -> str:
        return "(min-width:0)" if asked[1].lower() == scheme else "(max-width:0)"

    settled = _STYLE.sub(lambda sheet: _ASKS_SCHEME.sub(answered, sheet[0]), html)
    fixed = f'<head><base target="_blank"><style>:root{{color-scheme:{scheme} !important}}</style>'
    return settled.replace("<head>", fixed, 1)


def _forget_templates() -> None:
    """A template or catalogue saved now is one used now: rendering keeps them for the life of a process."""
    letters._environment.cache_clear()
    forget()


def _marks(folder: Path, suffixes: frozenset[str] | set[str] = frozenset()) -> Iterator[str]:
    """A mark for each visible file below `folder` that ends in one of `suffixes` (none: every file)."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            file = Path(place, name)
            if not name.startswith(".") and (not suffixes or file.suffix.lower() in suffixes):
                yield _mark(file)


def _source_marks(settings: Settings, source: Source) -> Iterator[str]:
    """Of a feed only what we remember of it: nobody is asked whether it changed."""
    if isinstance(source, FolderSource):
        yield from _marks(source.path, SUFFIXES)
    else:
        from pipeline.sources.kept import kept_file

        yield _mark(kept_file(state_folder(settings), source.url))


def _mark(file: Path) -> str:
    try:
        found = file.stat()
    except OSError as error:
        return f"{file} {error.strerror}"
    return f"{file} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


# Over HTTP ------------------------------------------------------------------------------------------

_LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_PAGE_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""For every answer that does not say otherwise."""


@dataclass(frozen=True, slots=True)
class _Pages:
    desk: Desk

    async def page(self, request: Request) -> Response:
        look = await run_in_threadpool(self.desk.look)
        asked = request.query_params.get("letter", "")
        return _page(look, scheme=Scheme.DARK if asked == Scheme.DARK else Scheme.LIGHT)

    async def letter(self, request: Request) -> Response:
        scheme = request.path_params["scheme"]
        if scheme not in list(Scheme):
            raise HTTPException(404)
        look = await run_in_threadpool(self.desk.last)
        if look.letter is None:
            return PlainTextResponse("There is no letter now.\n", status_code=404)
        headers = {"content-security-policy": _LETTER_POLICY, "x-frame-options": "SAMEORIGIN"}
        return HTMLResponse(in_scheme(look.letter.html, Scheme(scheme)), headers=headers)

    async def version(self, _request: Request) -> Response:
        return PlainTextResponse(await run_in_threadpool(self.desk.version))

    async def fault(self, _request: Request, error: Exception) -> Response:
        """A fault of the program; the server writes it to its log as well."""
        version = await run_in_threadpool(self.desk.version)
        details = (f"{type(error).__name__}: {error}",)
        look = Look(version=version, trouble=Trouble.FAULT, details=details)
        return _page(look, scheme=Scheme.LIGHT, status=500)


def _page(look: Look, *, scheme: Scheme, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(18)
    html = _environment().get_template("desk.html").render(look=look, scheme=scheme, nonce=nonce)
    policy = _PAGE_POLICY.format(nonce=nonce)
    return HTMLResponse(html, status_code=status, headers={"content-security-policy": policy})


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("emails", "templates/desk"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class _Door:
    """Lets in who comes from this machine, by its name, with this run's secret, and only to look."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "the desk speaks HTTP only"

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_on)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        port = scope["server"][1]
        hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        if [host.lower() in hosts for host in headers.getlist("host")] != [True]:
            return PlainTextResponse("The desk answers on this machine only.\n", status_code=403)
        if any(
            origin.lower() not in {f"http://{host}" for host in hosts} for origin in headers.getlist("origin")
        ):
            return PlainTextResponse("The desk answers its own pages only.\n", status_code=403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "The desk only shows.\n", status_code=405, headers={"allow": "GET, HEAD"}
            )
        given = str(scope["path"]).split("/")[1:2]
        if not given or not secrets.compare_digest(given[0].encode(), self._secret):
            return PlainTextResponse("Open the address that weekbrief preview printed.\n", status_code=404)
        return None
