"""Lettermint's side of `POST /send/batch` (its API reference and idempotency page)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Reply, Trouble, WrongRequest
from tests.dialects._curly import emptied, unhidden
from tests.dialects._mailboxes import as_mailbox, is_address, only_address


def _invalid(fields: Mapping[str, str]) -> Reply:
    errors = {name: [text] for name, text in fields.items()}
    return Reply(status=422, body={"message": next(iter(fields.values())), "errors": errors})


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status=status, body={"error": {"code": code, "message": message}})


_TROUBLES = {
    Trouble.WRONG_KEY: Reply(status=401, body={"message": "Unauthenticated."}),
    Trouble.UNVERIFIED: _invalid({"0.from": "The from domain voorbeeld.example is not verified."}),
    Trouble.RATE_LIMIT: Reply(status=429, body={"message": "Too Many Attempts."}),
    Trouble.QUOTA: Reply(
        status=422, body={"error": "daily_limit_exceeded", "message": "Your daily sending limit is reached."}
    ),
    Trouble.CHANGED: _error(
        409, "invalid_idempotent_request", "This idempotency key was used with a different body."
    ),
    Trouble.RUNNING: _error(
        409, "concurrent_idempotent_requests", "A request with this idempotency key is still being processed."
    ),
    Trouble.BROKEN: Reply(status=500, body={"message": "Server Error"}),
}


class Fake(FakeDialect):
    name = "lettermint"
    secrets: ClassVar = {"LETTERMINT_TOKEN": "lm_canary_token"}
    base_path = "/v1"
    max_batch = 500
    keyed = True

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/v1/send/batch")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("x-lettermint-token") == self.secrets["LETTERMINT_TOKEN"]

    def messages(self, call: Call) -> list[Message]:
        batch = call.json()
        if not isinstance(batch, list) or not 1 <= len(batch) <= self.max_batch:
            raise WrongRequest(_invalid({"messages": "The batch must hold 1 to 500 messages."}))
        return [_message(index, item) for index, item in enumerate(batch)]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        body = [{"message_id": outcome.provider_id, "status": "pending"} for outcome in outcomes]
        return Reply(status=202, body=body)

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        if trouble is Trouble.BAD_ADDRESS:
            return _bad_address(0, messages[0].address)
        return _TROUBLES[trouble]

    def as_read(self, text: str) -> str:
        return unhidden(text)


def _bad_address(index: int, address: str) -> Reply:
    return _invalid({f"{index}.to.0": f"The address {address} is not valid."})


_FIELDS = {
    "route",
    "from",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "subject",
    "headers",
    "metadata",
    "tag",
    "settings",
}
_FIELDS |= {"html", "text", "attachments"}


def _message(index: int, item: Any) -> Message:
    if not isinstance(item, Mapping) or not set(item) <= _FIELDS:
        raise WrongRequest(_invalid({str(index): "A field is not known."}))
    wrong = [name for name in ("from", "subject", "html", "text") if not isinstance(item.get(name), str)]
    if wrong or len(item["subject"]) > 998:
        raise WrongRequest(
            _invalid({f"{index}.{name}": f"The {name} field is wrong." for name in [*wrong, "subject"]})
        )
    for name in ("headers", "metadata"):
        if not all(isinstance(value, str) for value in item.get(name, {}).values()):
            raise WrongRequest(_invalid({f"{index}.{name}": "Values must be text."}))
    visible = [*item["to"], *item.get("cc", ())]
    for address in visible:
        if not is_address(address):
            raise WrongRequest(_bad_address(index, address))
    settings = item.get("settings", {})
    return Message(
        address=only_address(visible[0]),
        visible=tuple(map(only_address, visible)),
        sender=as_mailbox(item["from"]),
        reply_to=as_mailbox(item.get("reply_to", [""])[0]),
        subject=emptied(item["subject"]),
        html=emptied(item["html"]),
        text=emptied(item["text"]),
        headers=item.get("headers", {}),
        meta=item.get("metadata", {}),
        tracking=settings.get("track_opens", True) or settings.get("track_clicks", True),
    )
