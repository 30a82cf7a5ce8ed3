"""Postmark's side of `POST /email/batch` and `GET /messages/outbound` (its OpenAPI file, developer pages)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._curly import unhidden
from tests.dialects._mailboxes import as_mailbox, is_address, only_address


def _error(status: int, code: int, message: str) -> Reply:
    return Reply(status=status, body={"ErrorCode": code, "Message": message})


_TROUBLES = {
    Trouble.WRONG_KEY: _error(401, 10, "Request does not contain a valid Server token."),
    Trouble.RATE_LIMIT: _error(429, 429, "Rate limit exceeded."),
    Trouble.BROKEN: _error(500, 500, "Internal server error."),
}
_PER_MESSAGE = {
    Trouble.UNVERIFIED: {"ErrorCode": 400, "Message": "The 'From' address is not a Sender Signature."},
    Trouble.QUOTA: {"ErrorCode": 405, "Message": "Not allowed to send: no credits left."},
}


class Fake(FakeDialect):
    name = "postmark"
    secrets: ClassVar = {"POSTMARK_SERVER_TOKEN": "canary-server-token"}
    max_batch = 500
    refuses_whole = False
    echoes = True
    retry_after = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/email/batch")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("x-postmark-server-token") == self.secrets["POSTMARK_SERVER_TOKEN"]

    def messages(self, call: Call) -> list[Message]:
        batch = call.json()
        if call.headers.get("accept") != "application/json":
            raise WrongRequest(_error(406, 0, "Accept must be application/json."))
        if not isinstance(batch, list) or not batch:
            raise WrongRequest(_error(422, 403, "A list of messages is needed."))
        if len(batch) > self.max_batch:
            raise WrongRequest(_error(422, 410, "You may only send up to 500 messages in one batch."))
        return [_message(item) for item in batch]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        return Reply(status=200, body=[_result(outcome) for outcome in outcomes])

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        if trouble in _PER_MESSAGE:
            return Reply(status=200, body=[_PER_MESSAGE[trouble] for _ in messages])
        return _TROUBLES.get(trouble)

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        if call.path != "/messages/outbound":
            return None
        query = dict(call.query)
        if not {"count", "offset"} <= set(query):
            return _error(422, 701, "count and offset are needed.")
        found = [record for record in records[::-1] if _matches(record, query)]
        offset, count = int(query["offset"]), min(int(query["count"]), 500)
        page = [_listed(record) for record in found[offset : offset + count]]
        return Reply(status=200, body={"TotalCount": len(found), "Messages": page})

    def as_read(self, text: str) -> str:
        return unhidden(text)


def _message(item: Any) -> Message:
    headers = {header["Name"]: header["Value"] for header in item.get("Headers", ())}
    metadata = item.get("Metadata", {})
    if len(metadata) > 10 or any(len(name) > 20 or len(value) > 80 for name, value in metadata.items()):
        raise WrongRequest(_error(422, 300, "Metadata is limited to 10 pairs of 20 and 80 characters."))
    if item.get("MessageStream") not in ("broadcast", "outbound") or item.get("TrackLinks") not in (
        "None",
        "HtmlAndText",
    ):
        raise WrongRequest(_error(422, 1235, "The stream is unknown, or TrackLinks is none of its words."))
    visible = [
        part.strip() for name in ("To", "Cc") for part in item.get(name, "").split(",") if part.strip()
    ]
    return Message(
        address=only_address(visible[0]),
        visible=tuple(map(only_address, visible)),
        sender=as_mailbox(item["From"]),
        reply_to=as_mailbox(item.get("ReplyTo", "")),
        subject=_filled(item["Subject"]),
        html=_filled(item["HtmlBody"]),
        text=_filled(item["TextBody"]),
        headers=headers,
        meta=metadata | {"_stream": item["MessageStream"], "_tag": item.get("Tag", "")},
        tracking=item.get("TrackOpens", True) or item["TrackLinks"] != "None",
    )


def _filled(text: str) -> str:
    """A broadcast stream puts its own unsubscribe link where this stands."""
    return re.sub(r"\{\{\{?\s*pm:\w+\s*\}?\}\}", "https://unsubscribe.postmarkapp.com/x", text)


def _result(outcome: Outcome) -> Mapping[str, Any]:
    if outcome.refused is not None or not is_address(outcome.message.address):
        address = outcome.message.address
        return {"ErrorCode": 300, "Message": f"Invalid 'To' address: '{address}' is {outcome.refused}."}
    return {
        "To": outcome.message.address,
        "SubmittedAt": "2026-11-29T08:00:00.0000000-05:00",
        "MessageID": outcome.provider_id,
        "ErrorCode": 0,
        "Message": "OK",
    }


def _matches(record: Record, query: Mapping[str, str]) -> bool:
    meta = record.message.meta
    if meta["_stream"] != query.get("messagestream", "outbound"):
        return False
    asked = {
        name.removeprefix("metadata_"): value for name, value in query.items() if name.startswith("metadata_")
    }
    return (
        all(meta.get(name) == value for name, value in asked.items())
        and query.get("tag", meta["_tag"]) == meta["_tag"]
    )


def _listed(record: Record) -> Mapping[str, Any]:
    meta = {name: value for name, value in record.message.meta.items() if not name.startswith("_")}
    return {
        "MessageID": record.provider_id,
        "MessageStream": record.message.meta["_stream"],
        "To": [{"Email": record.message.address, "Name": None}],
        "Recipients": [record.message.address],
        "Tag": record.message.meta["_tag"],
        "Metadata": meta,
        "Status": "Sent",
    }
