"""Where providers report what became of a letter: `/hooks/PROVIDER`, with a secret behind it for those that
sign nothing.

A call is proven, stored as it came in a synced transaction, and answered; reading it comes later. So a burst
costs one insert a call, and calls that come together share one commit. What takes microseconds is done where
the call arrives: to hand it to a thread and back costs ten times as much.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emails.events import Call, Forged, Malformed, Reporter, reporter, reporter_names
from emails.events.reading import document
from pipeline.crashpoint import crashpoint
from pipeline.store.incoming import Raw
from pipeline.web.reading import body_of
from pipeline.web.site import Clock, either

log = logging.getLogger("weekbrief.hooks")

MAX_CALL: Final = 1_000_000
"""Octets of a call. Providers that gather many events in one stay below it (SendGrid: 768 kB)."""
MOST_WAITING: Final = 1_000
MOST_BYTES: Final = 32_000_000
"""Calls, and octets of them, that may wait for their commit; who comes then is told to come again."""
TOGETHER: Final = 500
TOGETHER_BYTES: Final = 4_000_000
"""Calls, and octets of them, in one commit: on SQLite a sender waits while it lasts, some milliseconds."""
AT_ONCE: Final = 32_000
"""Octets of a call that is proven and parsed where it arrives, in less than half a millisecond."""
THREADS: Final = 4
"""Calls proven in threads at once. Leaving never waits behind a flood of them."""


class Hooks:
    """`POST /hooks/PROVIDER` and `POST /hooks/PROVIDER/SECRET`."""

    def __init__(
        self,
        keep: Callable[[Sequence[Raw]], None],
        *,
        secrets: Mapping[str, str],
        clock: Clock,
        rung: Callable[[], None] = lambda: None,
    ) -> None:
        """`keep` stores calls durably; `secrets` by name, for all providers that may report; `rung` is called
        when something was stored."""
        self._intake = Intake(keep)
        self._secrets = secrets
        self._clock = clock
        self._rung = rung
        self._limiter = CapacityLimiter(THREADS)
        self._said: set[str] = set()

    def routes(self) -> Sequence[Route]:
        return [
            *either("/hooks/{provider}", self.take, "POST"),
            *either("/hooks/{provider}/{secret}", self.take, "POST"),
        ]

    def place(self, parts: Sequence[str]) -> str | None:
        match parts:
            case ["hooks", provider] if provider in reporter_names():
                return f"/hooks/{provider}"
            case ["hooks", provider, _] if provider in reporter_names():
                return f"/hooks/{provider}/…"
        return None

    async def take(self, request: Request) -> Response:
        """200 once the call is stored; 401 for one that is not proven, 400 for one that is not JSON, 413 for
        one that is too large: nothing of those is kept."""
        name = request.path_params["provider"]
        of = reporter(name)
        if of is None:
            raise HTTPException(404)
        if missing := [each for each in of.NEEDS if each not in self._secrets]:
            self._say_once(name, f"a report of {name} came, and {' and '.join(missing)} is not set")
            return PlainTextResponse("not set up\n", 503, headers={"Retry-After": "600"})
        call = Call(
            body=await body_of(request, most=MAX_CALL),
            headers={key.lower(): value for key, value in request.headers.items()},
            path_secret=request.path_params.get("secret", ""),
        )
        if of.QUICK and len(call.body) <= AT_ONCE:
            refusal = self._refusal(name, of, call)
        else:
            refusal = await to_thread.run_sync(partial(self._refusal, name, of, call), limiter=self._limiter)
        if refusal is not None:
            return refusal
        kept = {header: call.headers[header] for header in of.KEEPS if header in call.headers}
        await self._intake.store(Raw(provider=name, received_at=self._clock(), body=call.body, headers=kept))
        crashpoint("call stored")
        self._rung()
        return PlainTextResponse("ok\n")

    def _refusal(self, name: str, of: Reporter, call: Call) -> Response | None:
        try:
            of.verify(call, self._secrets, self._clock())
            document(call)
        except Forged as forged:
            self._say_once(f"{name}: {forged}", f"a report of {name} was turned away: {forged}")
            return PlainTextResponse("not proven\n", 401, headers={"WWW-Authenticate": 'Basic realm="hooks"'})
        except Malformed:
            return PlainTextResponse("not in the provider's shape\n", 400)
        return None

    def _say_once(self, what: str, words: str) -> None:
        """Anybody can make such calls: the log hears of each kind once until the next start."""
        if what not in self._said:
            self._said.add(what)
            log.warning("%s (said once)", words)


class Intake:
    """Calls that come together share one commit: while some are written, the next wait and go together."""

    def __init__(self, keep: Callable[[Sequence[Raw]], None]) -> None:
        self._keep = keep
        self._waiting: deque[tuple[Raw, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._limiter = CapacityLimiter(1)

    async def store(self, call: Raw) -> None:
        """Comes back when the call is stored for good. Raises what storing raised, and `HTTPException` 503
        when too many wait."""
        if len(self._waiting) >= MOST_WAITING or self._bytes + len(call.body) > MOST_BYTES:
            raise HTTPException(503, headers={"Retry-After": "30"})
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((call, stored))
        self._bytes += len(call.body)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        while self._waiting:
            together = self._next()
            calls = [call for call, _ in together]
            error: Exception | None = None
            try:
                await to_thread.run_sync(self._keep, calls, limiter=self._limiter)
            except Exception as trouble:
                error = trouble
            self._bytes -= sum(len(call.body) for call in calls)
            for _, stored in together:
                if stored.done():
                    continue
                stored.set_exception(error) if error else stored.set_result(None)

    def _next(self) -> list[tuple[Raw, asyncio.Future[None]]]:
        """The oldest that wait: one, and as many more as go together well."""
        together = [self._waiting.popleft()]
        size = len(together[0][0].body)
        while self._waiting and len(together) < TOGETHER and size < TOGETHER_BYTES:
            together.append(self._waiting.popleft())
            size += len(together[-1][0].body)
        return together
