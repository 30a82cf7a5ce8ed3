"""Brevo's side of `POST /smtp/email` and `GET /smtp/statistics/events` (its API reference and guides)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._curly import emptied, unhidden
from tests.dialects._mailboxes import as_mailbox, is_address, named


def _error(status: int, code: str, message: str, **headers: str) -> Reply:
    named_so = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body={"code": code, "message": message}, headers=named_so)


_TROUBLES = {
    Trouble.WRONG_KEY: _error(401, "unauthorized", "Key not found"),
    Trouble.UNVERIFIED: _error(403, "permission_denied", "Your SMTP account is not yet activated."),
    Trouble.RATE_LIMIT: _error(429, "too_many_requests", "Slow down", x_sib_ratelimit_reset="18"),
    Trouble.QUOTA: _error(402, "not_enough_credits", "You do not have enough credits."),
    Trouble.BROKEN: _error(500, "internal_error", "Something went wrong."),
}


class Fake(FakeDialect):
    name = "brevo"
    secrets: ClassVar = {"BREVO_API_KEY": "xkeysib-canary"}
    base_path = "/v3"
    max_batch = 1000
    tracking_flag = False
    retry_after = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/v3/smtp/email")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("api-key") == self.secrets["BREVO_API_KEY"]

    def messages(self, call: Call) -> list[Message]:
        body = call.json()
        if not isinstance(body, Mapping) or not isinstance(body.get("htmlContent"), str):
            raise WrongRequest(_error(400, "missing_parameter", "htmlContent is missing"))
        versions = body.get("messageVersions")
        if not isinstance(versions, list) or not 1 <= len(versions) <= self.max_batch:
            raise WrongRequest(_error(400, "invalid_parameter", "messageVersions is not valid"))
        if any("WBMERGE" in body[name] for name in ("htmlContent", "textContent", "subject")):
            raise WrongRequest(_error(400, "invalid_parameter", "a merge field is left"))
        return [_message(body, version) for version in versions]

    def ids(self, count: int) -> list[str]:
        return [f"<202611290800.{uuid.uuid4().hex}@smtp-relay.mailin.fr>" for _ in range(count)]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        ids = [outcome.provider_id for outcome in outcomes]
        return Reply(status=201, body={"messageId": ids[0]} if len(ids) == 1 else {"messageIds": ids})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        if trouble is Trouble.BAD_ADDRESS:
            return _bad_address(messages[0].address)
        return _TROUBLES.get(trouble)

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        if call.path != "/v3/smtp/statistics/events":
            return None
        tags = json.loads(call.query.get("tags", "[]"))
        events = [
            _event(record, kind)
            for record in records[::-1]
            if set(tags) <= set(record.message.meta["_tags"].split(" "))
            for kind in ("delivered", "requests")
        ]
        offset, limit = int(call.query.get("offset", 0)), min(int(call.query.get("limit", 2500)), 2500)
        page = events[offset : offset + limit]
        return Reply(status=200, body={"events": page} if page else {})

    def as_read(self, text: str) -> str:
        return unhidden(text)


def _bad_address(address: str) -> Reply:
    return _error(400, "invalid_parameter", f"email is not valid in to: {address}")


def _message(body: Mapping[str, Any], version: Mapping[str, Any]) -> Message:
    visible = tuple(each["email"] for name in ("to", "cc") for each in version.get(name, ()))
    for address in visible:
        if not is_address(address):
            raise WrongRequest(_bad_address(address))
    whole = {**body, **version}
    headers = whole.get("headers", {})
    if not all(
        isinstance(value, str) and value.isascii() and "=?" not in value for value in headers.values()
    ):
        raise WrongRequest(_error(400, "invalid_parameter", "headers must be ASCII"))
    sender = whole["sender"]
    return Message(
        address=visible[0],
        visible=visible,
        sender=as_mailbox(f"{_quoted(sender['name'])} <{sender['email']}>")
        if "name" in sender
        else sender["email"],
        reply_to=named(whole.get("replyTo", {}).get("name"), whole.get("replyTo", {}).get("email", "")),
        subject=emptied(whole["subject"]),
        html=emptied(whole["htmlContent"]),
        text=emptied(whole["textContent"]),
        headers=headers,
        meta={**json.loads(headers["X-Mailin-custom"]), "_tags": " ".join(body.get("tags", ()))},
        tracking=None,
    )


def _quoted(name: str) -> str:
    """As Brevo writes it: a name with specials is quoted; with non-ASCII characters too, it is dropped."""
    if name.startswith("=?"):
        return name
    specials = any(character in '()<>[]:;@\\,."' for character in name)
    if specials and not name.isascii():
        return ""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if specials else name


def _event(record: Record, kind: str) -> Mapping[str, str]:
    return {
        "email": record.message.address,
        "date": "2026-11-29T08:00:00.000Z",
        "messageId": record.provider_id,
        "event": kind,
        "tag": record.message.meta["_tags"].split(" ")[0],
    }
