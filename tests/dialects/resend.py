"""Resend's side of `POST /emails/batch` (its OpenAPI file, error list and idempotency page)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Reply, Trouble, WrongRequest
from tests.dialects._mailboxes import as_mailbox, is_address, only_address


def _error(status: int, name: str, message: str) -> Reply:
    return Reply(status=status, body={"statusCode": status, "name": name, "message": message})


_TROUBLES = {
    Trouble.WRONG_KEY: _error(401, "invalid_api_key", "API key is invalid"),
    Trouble.UNVERIFIED: _error(403, "validation_error", "The voorbeeld.example domain is not verified."),
    Trouble.RATE_LIMIT: _error(429, "rate_limit_exceeded", "Too many requests."),
    Trouble.QUOTA: _error(429, "daily_quota_exceeded", "You have reached your daily email quota."),
    Trouble.CHANGED: _error(409, "invalid_idempotent_request", "This key was used with another body."),
    Trouble.RUNNING: _error(409, "concurrent_idempotent_requests", "The first request is in progress."),
    Trouble.BROKEN: _error(500, "application_error", "An unexpected error occurred."),
}


class Fake(FakeDialect):
    name = "resend"
    secrets: ClassVar = {"RESEND_API_KEY": "re_canary_key"}
    max_batch = 100
    keyed = True
    tracking_flag = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/emails/batch")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("authorization") == f"Bearer {self.secrets['RESEND_API_KEY']}"

    def messages(self, call: Call) -> list[Message]:
        batch = call.json()
        if not isinstance(batch, list) or not batch:
            raise WrongRequest(_error(422, "validation_error", "The body must be an array."))
        if len(batch) > self.max_batch:
            raise WrongRequest(_error(422, "validation_error", "Batch size cannot exceed 100 emails."))
        return [_message(item) for item in batch]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        return Reply(status=200, body={"data": [{"id": outcome.provider_id} for outcome in outcomes]})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        if trouble is Trouble.BAD_ADDRESS:
            return _bad_address(messages[0].address)
        return _TROUBLES[trouble]


def _bad_address(address: str) -> Reply:
    return _error(422, "validation_error", f"Invalid `to` field: {address}")


def _message(item: Any) -> Message:
    to = item.get("to")
    to = to if isinstance(to, list) else [to]
    if not all(isinstance(each, str) and is_address(each) for each in to):
        raise WrongRequest(_bad_address(str(to)))
    for name in ("from", "subject"):
        if not isinstance(item.get(name), str):
            raise WrongRequest(_error(422, "missing_required_field", f"Missing `{name}` field."))
    return Message(
        address=only_address(to[0]),
        visible=tuple(only_address(each) for each in (*to, *item.get("cc", ()))),
        sender=as_mailbox(item["from"]),
        reply_to=as_mailbox(item.get("reply_to", "")),
        subject=item["subject"],
        html=item["html"],
        text=item["text"],
        headers=item.get("headers", {}),
        meta={tag["name"]: tag["value"] for tag in item.get("tags", ())},
        tracking=None,
    )
