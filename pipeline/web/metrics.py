"""`/metrics`: how things stand, for a program that watches (Prometheus text format 0.0.4). Numbers only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipeline.store.facts import Facts
from pipeline.web.site import Site, either
from pipeline.web.visitor import is_this_machine

FRESH_SECONDS = 10.0
"""Counting a million people takes a second: a crowd that asks must not make it a crowd of seconds."""
KIND = "text/plain; version=0.0.4"
Sample = tuple[str, int]
"""Labels as they are written, and a number."""


class Metrics:
    """Answered to this machine alone, unless `web.metrics` says otherwise; to others it is not there."""

    def __init__(self, site: Site, facts: Callable[[], Facts]) -> None:
        self._site = site
        self._read = facts
        self._turn = asyncio.Lock()
        self._facts: Facts | None = None
        self._read_at = 0.0

    def routes(self) -> Sequence[Route]:
        return either("/metrics", self.show, "GET")

    def place(self, parts: Sequence[str]) -> str | None:
        return "/metrics" if list(parts) == ["metrics"] else None

    async def show(self, request: Request) -> Response:
        site = self._site
        if not site.web.metrics and not is_this_machine(request):
            return site.answer(site.pages.unknown())
        return PlainTextResponse("".join(_written(await self._fresh(), site)), media_type=KIND)

    async def _fresh(self) -> Facts:
        """How things stand, not older than `FRESH_SECONDS`; read once for all who ask together."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._facts is None or now - self._read_at >= FRESH_SECONDS:
                self._facts = await to_thread.run_sync(self._read)
                self._read_at = now
            return self._facts


def _written(facts: Facts, site: Site) -> Iterator[str]:
    states = [(f'{{state="{state}"}}', number) for state, number in facts.subscribers.items()]
    held = [(f'{{reason="{why}"}}', number) for why, number in site.tally.held().items()]
    answers = [
        (f'{{page="{place}",status="{status}"}}', number)
        for (place, status), number in sorted(site.tally.answers().items())
    ]
    yield from _metric("subscribers", "gauge", "Subscribers by state.", states)
    yield from _metric("editions_held", "gauge", "Editions that wait for a person.", [("", facts.held)])
    yield from _metric("events_waiting", "gauge", "Provider reports not read yet.", [("", facts.waiting)])
    yield from _metric("sign_ups_held_back_total", "counter", "Sign-ups over a limit.", held)
    yield from _metric("http_requests_total", "counter", "Answers by page and class of status.", answers)


def _metric(name: str, kind: str, said: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP weekbrief_{name} {said}\n# TYPE weekbrief_{name} {kind}\n"
    yield from (f"weekbrief_{name}{labels} {number}\n" for labels, number in samples)
