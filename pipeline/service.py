"""The running service: public pages, and the bell that wakes `run_due`."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import uvicorn
from starlette.types import ASGIApp

from emails.delivery import Esp
from pipeline.clock import SystemClock
from pipeline.due import next_slots
from pipeline.events import heard, reading
from pipeline.housekeeping import tidy
from pipeline.notices import Notices
from pipeline.report import Outcome, Report
from pipeline.settings import Settings, SettingsError
from pipeline.stopping import until_stopped
from pipeline.store import Store
from pipeline.store.archive import Archive
from pipeline.store.broken_text import told
from pipeline.store.engine import StorageTrouble
from pipeline.store.facts import facts_of
from pipeline.store.lock import AnotherRun
from pipeline.telling import tell_editor
from pipeline.timer import ringing
from pipeline.web import create_app, server_config
from pipeline.web.archive import Archiving
from pipeline.web.hooks import Hooks
from pipeline.web.metrics import Metrics
from pipeline.web.site import SendNotice
from pipeline.week import run_due
from pipeline.wiring import esp_of, opened, settings_from, signer_of, week_of
from subscribers.notices import Notice, Welcome

log = logging.getLogger("weekbrief.service")

START_SECONDS = 10.0


def public_pages(
    settings: Settings, store: Store, esp: Esp, *, rung: Callable[[], None] = lambda: None
) -> ASGIApp:
    """The application of this newsletter: sign-up, confirm, unsubscribe, and what providers report (`rung` is
    called when something of that was stored)."""
    notices = notices_of(settings, store, esp)
    clock = SystemClock().now
    hooks = Hooks(store.incoming.keep, secrets=settings.revealed, clock=clock, rung=rung)
    return create_app(
        store.subscribers,
        signer_of(settings, store),
        settings.newsletter,
        clock=clock,
        send_confirmation=notices.confirm,
        send_notice=_following(settings, notices),
        preferences=store.preferences,
        zone=settings.zone,
        joins=store.joins,
        web=settings.web,
        every=settings.newsletter.every,
        more=lambda site: [
            Metrics(site, lambda: facts_of(store.engine)),
            hooks,
            *([Archiving(settings.newsletter, Archive(store.engine))] if settings.newsletter.archive else []),
        ],
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections. asyncio switches Nagle's delay off for sockets that it made itself and
    not for those handed to it: without this line an answer on a kept connection takes 40 ms (measured)."""
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _following(settings: Settings, notices: Notices) -> SendNotice:
    def send(notice: Notice) -> None:
        if settings.welcome or not isinstance(notice, Welcome):
            following = next_slots(settings.schedule, SystemClock().now(), 1)[0]
            notices.follow(notice, first=following.day)

    return send


def notices_of(settings: Settings, store: Store, esp: Esp) -> Notices:
    return Notices(
        settings.newsletter,
        esp,
        installation=store.installation.id,
        deadline=settings.provider.timeout,
    )


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    stop: Event,
    ready: Callable[[str], None],
    pages_only: bool = False,
) -> None:
    """Answer on host and port and do what is due, until SIGINT or SIGTERM. With `pages_only` nothing is done
    but answering: reports are stored for `run` to read.

    `stop` is set by the caller's own handler of these signals: uvicorn raises them anew once it has closed.
    Then a batch that is on its way ends before this returns. Raises OSError for a taken port.
    """
    with opened(settings) as store:
        esp = esp_of(settings)
        try:
            bell = Event()
            app = public_pages(settings, store, esp, rung=bell.set)
            server = uvicorn.Server(server_config(app, host=host, port=port))
            listener = listening(host, port)
            with ExitStack() as stack:
                if not pages_only:
                    stack.enter_context(reading(store, bell=bell))
                    stack.enter_context(ringing(lambda: _look(settings.file, stop, bell)))
                ready(f"http://{host}:{listener.getsockname()[1]}")
                server.run(sockets=[listener])
                stop.set()
        finally:
            esp.close()


@contextmanager
def in_thread(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Answer on `listener` from a thread for the block."""
    server = uvicorn.Server(server_config(app, host="127.0.0.1", port=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    ends = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > ends:
            raise RuntimeError("the public pages did not start")
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _look(file: Path, stop: Event, reports: Event) -> None:
    """One ring of the bell. The configuration is read anew, so that a mended file needs no restart. `reports`
    rings for who reads them: a process of `serve --pages` may take them in."""
    try:
        settings = settings_from(file)
        with opened(settings) as store:
            week = week_of(settings, store)
            with told(store.engine), heard(week, bell=reports) as heard_week:
                report = until_stopped(heard_week, stop, lambda given: run_due(given, stop=stop))
            _tell(report)
            tell_editor(settings, week, report)
            tidy(week, stop=stop)
    except AnotherRun:
        log.info("another run is at work")
    except (SettingsError, StorageTrouble) as error:
        # Not where it came from: the database's own words may hold an address.
        log.error("%s", error)
    except Exception:
        log.exception("this look failed; the next one comes in half a minute")


def _tell(report: Report) -> None:
    quiet = report.outcome is Outcome.NOTHING_DUE
    loud = report.outcome in (Outcome.HELD, Outcome.PARTIAL)
    level = logging.DEBUG if quiet else logging.WARNING if loud else logging.INFO
    log.log(level, "%s %s: %s", report.outcome, report.edition or "", "; ".join(report.notes))
