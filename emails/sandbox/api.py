"""The provider's surface of the sandbox, in Resend's dialect, and a JSON view of what has arrived.

Same idempotency key and body: the first answer again, nothing new kept. Another body: 409. While a call with
the key is at work: 409. The error words are Resend's (resend.com/docs/api-reference/errors).
"""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emails.sandbox.record import ChangedBody, Line, SandboxRecord, Stored

MAX_MESSAGES = 100
MAX_RECIPIENTS = 50
MAX_KEY = 256
MAX_BODY_BYTES = 40_000_000
MAX_PAGE = 1000


class ApiError(Exception):
    """An answer that says no."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message

    def response(self) -> JSONResponse:
        return JSONResponse(
            {"statusCode": self.status, "name": self.name, "message": self.message}, self.status
        )


class Api:
    def __init__(self, record: SandboxRecord, api_key: str | None) -> None:
        self._record = record
        self._api_key = api_key
        self._at_work = _AtWork()

    def routes(self) -> list[Route]:
        return [
            Route("/emails/batch", self.send_batch, methods=["POST"]),
            Route("/emails", self.send_one, methods=["POST"]),
            Route("/emails/{id}", self.email, methods=["GET"]),
            Route("/messages", self.messages, methods=["GET"]),
            Route("/messages/{id}", self.message, methods=["GET"]),
            Route("/counts", self.counts, methods=["GET"]),
        ]

    # As the provider

    async def send_batch(self, request: Request) -> Response:
        return await self._send(request, batch=True)

    async def send_one(self, request: Request) -> Response:
        return await self._send(request, batch=False)

    async def _send(self, request: Request, *, batch: bool) -> Response:
        try:
            self._check_api_key(request)
            key = _idempotency_key(request)
            body = await _body(request)
            ids = await run_in_threadpool(self._accept, body, key, batch=batch)
        except ApiError as error:
            return error.response()
        return JSONResponse({"data": [{"id": message_id} for message_id in ids]} if batch else {"id": ids[0]})

    def _accept(self, body: bytes, key: str | None, *, batch: bool) -> list[str]:
        messages = _messages(body, batch=batch)
        with self._at_work.on(key):
            try:
                return self._record.accept(messages, body, key)
            except ChangedBody:
                raise ApiError(
                    409, "invalid_idempotent_request", "This idempotency key was used with another body."
                ) from None

    async def email(self, request: Request) -> Response:
        try:
            self._check_api_key(request)
        except ApiError as error:
            return error.response()
        stored = await run_in_threadpool(self._record.find, request.path_params["id"])
        return JSONResponse(_as_resend(stored)) if stored else _not_found()

    def _check_api_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise ApiError(401, "missing_api_key", "Missing API key in the authorization header.")
        if self._api_key and not hmac.compare_digest(given.strip().encode(), self._api_key.encode()):
            raise ApiError(401, "invalid_api_key", "API key is invalid.")

    # As a view on the record

    async def messages(self, request: Request) -> Response:
        """`?limit=&before=&edition=&q=`: the newest first; `next` is the `before` of the next page."""
        try:
            limit = _number(request, "limit", 100)
            before = _number(request, "before", None)
        except ApiError as error:
            return error.response()
        limit = min(max(limit or 1, 1), MAX_PAGE)
        query = request.query_params
        lines = await run_in_threadpool(
            lambda: self._record.page(
                limit=limit, before=before, edition=query.get("edition", ""), words=query.get("q", "")
            )
        )
        following = lines[-1].number if len(lines) == limit else None
        return JSONResponse({"data": [_summary(line) for line in lines], "next": following})

    async def message(self, request: Request) -> Response:
        stored = await run_in_threadpool(self._record.find, request.path_params["id"])
        if stored is None:
            return _not_found()
        return JSONResponse({**_summary(stored.line), "key": stored.key, "message": stored.message})

    async def counts(self, _request: Request) -> Response:
        counts = await run_in_threadpool(self._record.counts)
        return JSONResponse(
            {
                "calls": counts.calls,
                "messages": counts.messages,
                "recipients": counts.recipients,
                "editions": dict(counts.editions),
            }
        )


class _AtWork:
    """The idempotency keys whose calls are being worked on in this moment."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def on(self, key: str | None) -> Iterator[None]:
        if key is None:
            yield
            return
        with self._lock:
            if key in self._keys:
                raise ApiError(
                    409, "concurrent_idempotent_requests", "A request with this key is still in progress."
                )
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)


# Reading a call


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ApiError(413, "validation_error", f"The body is longer than {MAX_BODY_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_KEY:
        raise ApiError(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
    return key


def _messages(body: bytes, *, batch: bool) -> Sequence[Mapping[str, Any]]:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "validation_error", "The body is no JSON.") from None
    messages = sent if batch else [sent]
    if not isinstance(messages, list) or not messages:
        raise ApiError(422, "validation_error", "The body must be an array of at least one email.")
    if len(messages) > MAX_MESSAGES:
        raise ApiError(422, "validation_error", f"Batch size cannot exceed {MAX_MESSAGES} emails.")
    for position, message in enumerate(messages):
        _check(message, f"[{position}]." if batch else "")
    return messages


def _check(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise ApiError(422, "validation_error", f"{place or 'The body'} is no email.")
    for name in ("from", "to", "subject"):
        if not message.get(name):
            raise ApiError(422, "missing_required_field", f"Missing `{place}{name}` field.")
    if not isinstance(message["from"], str) or not isinstance(message["subject"], str):
        raise ApiError(422, "validation_error", f"`{place}from` and `{place}subject` must be texts.")
    if not isinstance(message.get("html", ""), str) or not isinstance(message.get("text", ""), str):
        raise ApiError(422, "validation_error", f"`{place}html` and `{place}text` must be texts.")
    if not (message.get("html") or message.get("text")):
        raise ApiError(422, "missing_required_field", f"Missing `{place}html` or `{place}text` field.")
    if not _are_headers(message.get("headers", {})):
        raise ApiError(422, "validation_error", f"`{place}headers` must be an object of names and texts.")
    _check_recipients(message["to"], place)


def _are_headers(headers: Any) -> bool:
    """Field names by RFC 5322 2.2."""
    return isinstance(headers, dict) and all(
        re.fullmatch(r"[!-9;-~]+", name) and isinstance(value, str) for name, value in headers.items()
    )


def _check_recipients(to: Any, place: str) -> None:
    addresses = [to] if isinstance(to, str) else to
    if not isinstance(addresses, list) or len(addresses) > MAX_RECIPIENTS:
        raise ApiError(422, "validation_error", f"`{place}to` must hold 1 to {MAX_RECIPIENTS} addresses.")
    for address in addresses:
        local, at, domain = str(address).rpartition("@")
        if not isinstance(address, str) or not (local and at and domain.strip(">")):
            raise ApiError(422, "validation_error", f"Invalid `{place}to` field.")


def _number(request: Request, name: str, default: int | None) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise ApiError(422, "validation_error", f"`{name}` must be a whole number.")
    return int(value)


# Answering


def _not_found() -> JSONResponse:
    return ApiError(404, "not_found", "There is no message with this id.").response()


def _summary(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "to": line.to,
        "subject": line.subject,
        "received_at": line.received_at,
        "edition": line.edition,
        "delivery": line.delivery,
    }


def _as_resend(stored: Stored) -> dict[str, Any]:
    message = stored.message
    return {
        "object": "email",
        "id": stored.line.id,
        "to": _list(message["to"]),
        "from": message["from"],
        "created_at": stored.line.received_at,
        "subject": message["subject"],
        "html": message.get("html"),
        "text": message.get("text"),
        "bcc": _list(message.get("bcc")),
        "cc": _list(message.get("cc")),
        "reply_to": _list(message.get("reply_to")),
        "tags": message.get("tags", []),
        "last_event": "delivered",
    }


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
