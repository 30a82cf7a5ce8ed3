"""Asking a provider for what it would have reported: after an outage, or where no report can reach us.

Each provider that can be asked has a function `pull` in its file here. Its records are asked for from a
moment on; what was reported already is known by its key or changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, cast
from urllib.parse import urlencode

from emails.delivery import Esp, Request
from emails.esp.base import Ask, Dialect, HttpEsp
from emails.esp.http import NoAnswer
from emails.esp.reading import is_success, json_of
from emails.events import reporter_names
from emails.events.event import Event, EventKind
from emails.events.reading import key, said, text, when
from emails.plainly import plain

log = logging.getLogger("weekbrief.events")

OVERLAP = timedelta(hours=1)
"""How much of the past is asked for again: records are complete only after a while (Mailgun: 30 minutes)."""
FIRST_TIME = timedelta(days=30)
"""How far back the first question goes."""
EVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any provider's list."""
MAX_PAGES = 400


class Refusal(Exception):
    """The provider did not tell. Says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a provider's records tell."""

    events: Sequence[Event] = ()
    cursor: str = ""
    """From where to ask the next time."""
    error: str | None = None
    """Why they were not read to their end; then the cursor stays where it was."""


class Puller(Protocol):
    """A provider's file whose records can be asked."""

    WHAT: str
    """Which facts they hold, in a few words for people."""

    def pull(self, dialect: Dialect, since: datetime, now: datetime, ask: Ask) -> Iterator[Event]:
        """Everything since then. Raises `Refusal`."""
        ...


def puller(name: str) -> Puller | None:
    """The records of the provider called `name`; None where nobody can ask."""
    if name not in reporter_names():
        return None
    module: ModuleType = import_module(f"emails.events.{name}")
    return cast(Puller, module) if hasattr(module, "pull") else None


def pull(esp: Esp, *, cursor: str | None, now: datetime, deadline: float) -> Pulled:
    """Ask the provider's records, from the cursor of the last time on. Never raises for what the provider
    did."""
    name = esp.capabilities.name
    of = puller(name)
    if of is None or not isinstance(esp, HttpEsp):
        return Pulled(error=f"{name} cannot be asked for its reports; set up its webhook")
    since = (when(cursor) if cursor else None) or now - FIRST_TIME
    try:
        events = list(of.pull(esp.dialect, since, now, esp.asking(deadline)))
    except Refusal as refusal:
        return Pulled(error=esp.hide(str(refusal)))
    except Exception as error:
        log.exception("the records of %s could not be read", name)
        return Pulled(error=f"its answer could not be read ({type(error).__name__})")
    return Pulled(events=events, cursor=(now - OVERLAP).astimezone(UTC).isoformat())


# For the providers' files


def get(ask: Ask, url: str, query: Mapping[str, object] | None = None) -> Any:
    """The JSON at `url`. Raises `Refusal`."""
    whole = f"{url}?{urlencode(query)}" if query else url
    request = Request(method="GET", url=whole, headers={"accept": "application/json"}, body=b"", key="")
    answer = ask(request)
    if isinstance(answer, NoAnswer):
        raise Refusal(answer.error)
    body = json_of(answer)
    if not is_success(answer) or body is None:
        raise Refusal(f"HTTP {answer.status}: {plain(_words(body)) or 'no list'}")
    return body


def get_page(ask: Ask, url: str, query: Mapping[str, object] | None = None) -> Mapping[str, Any]:
    """As `get`, where the answer must be an object. Raises `Refusal`."""
    page = get(ask, url, query)
    if not isinstance(page, Mapping):
        raise Refusal("it answered in a shape that we do not know")
    return page


def counted_pages(page: Callable[[int], list[Mapping[str, Any]]], size: int) -> Iterator[Mapping[str, Any]]:
    """All of a list that is read by offset: `page` gives those from an offset on, `size` at most. Raises
    `Refusal` when it does not end."""
    for number in range(MAX_PAGES):
        found = page(number * size)
        yield from found
        if len(found) < size:
            return
    raise Refusal(TOO_LONG)


TOO_LONG = "its records go on for too long; ask again more often, or look at them in its own pages"


def items(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list. Raises `Refusal` for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise Refusal("it answered in a shape that we do not know")
    return value


def items_or_none(page: Mapping[str, Any], name: str, *beside: str) -> list[Mapping[str, Any]]:
    """The list called `name`, which some providers leave out when it is empty: then nothing but `beside` may
    be there. Raises `Refusal`."""
    return [] if not page.keys() - {*beside} else items(page.get(name))


def listed(provider: str, kind: EventKind, address: Any, at: Any, *reason: Any) -> Event | None:
    """An entry of the provider's own list: an address that it does not mail any more, and why. It counts as
    old news (`REJECTED` because of it), not as another bounce or complaint."""
    found = text(address)
    if found is None:
        return None
    moment = when(at)
    return Event(
        provider=provider,
        key=key(None, "listed", kind, found.lower(), moment.isoformat() if moment else None),
        kind=EventKind.REJECTED,
        because=kind,
        occurred_at=moment,
        address=found,
        detail=said("on its list", *reason),
    )


def _words(body: Any) -> str:
    """What a provider's error says, whatever its shape."""
    if not isinstance(body, Mapping):
        return ""
    for name in ("message", "Message", "ErrorMessage", "error"):
        if isinstance(body.get(name), str):
            return str(body[name])
    errors = body.get("errors")
    return _words(errors[0]) if isinstance(errors, list) and errors else ""
