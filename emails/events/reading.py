"""Reading a provider's JSON: nothing in it is trusted to be of the right kind."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from emails.events.event import Call, Malformed
from emails.plainly import plain

_DELIVERY = re.compile(r"[0-9a-f]{40}")
_LONGEST_KEY = 200
_NOTHING: Mapping[str, Any] = {}


def document(call: Call) -> Any:
    """The body as JSON. Raises `Malformed`, also for one that is nested too deeply."""
    try:
        return json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON ({type(error).__name__})") from None


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else _NOTHING


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, or the one object itself. Raises `Malformed` for anything else."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
        return list(value)
    raise Malformed("the body is neither an object nor a list of objects")


def one(value: Any) -> Mapping[str, Any]:
    """`value`, which must be an object. Raises `Malformed`."""
    if not isinstance(value, Mapping):
        raise Malformed("the body is not an object")
    return value


def text(value: Any) -> str | None:
    """A text or a number, at most 500 characters of it; None for an empty one and for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    found = str(value)[:500]
    if not found.isprintable():
        # No database takes a NUL, and no encoding half a surrogate pair.
        found = found.replace("\0", "").encode("utf-8", "replace").decode()
    return found or None


def ours(value: Any) -> str | None:
    """A delivery id of ours, or whatever else names a letter of ours, such as a notice."""
    found = text(value)
    return found if found and len(found) <= 100 and found.isascii() and found.isprintable() else None


def is_delivery(value: Any) -> bool:
    """Is this the id of a delivery (`pipeline.store.editions`)?"""
    return isinstance(value, str) and _DELIVERY.fullmatch(value) is not None


def inner_json(value: Any) -> Mapping[str, Any]:
    """The object in a text of JSON, which some providers put into one field; else an empty one."""
    if isinstance(value, Mapping):
        return value
    try:
        return mapping(json.loads(value)) if isinstance(value, str) else _NOTHING
    except (ValueError, RecursionError):
        return _NOTHING


def key(own: Any, *parts: Any) -> str:
    """A report's own name: the provider's id of it, or else a hash of what tells it from others (one of the
    parts may be an address)."""
    named = text(own)
    if named and len(named) <= _LONGEST_KEY:
        return named
    written = json.dumps([text(part) for part in (own, *parts)])
    return hashlib.sha256(written.encode()).hexdigest()


def said(*words: Any) -> str:
    """What a provider gives as its reason, fit to be stored: no address, not long."""
    return plain(" ".join(found for found in map(text, words) if found))


def when(value: Any) -> datetime | None:
    """An instant written as ISO 8601 or RFC 5322 date, or as seconds or milliseconds since 1970."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and not re.fullmatch(r"\d{1,19}(?:\.\d{1,9})?", value):
        return _written(value)
    if not isinstance(value, str | int | float):
        return None
    seconds = float(value)
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _written(value: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(value.strip())
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
