"""SparkPost's side of `POST /transmissions` and of its event search (its API reference)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._curly import unhidden
from tests.dialects._mailboxes import as_mailbox, is_address, named


def _error(status: int, code: str, message: str, description: str = "") -> Reply:
    return Reply(
        status=status, body={"errors": [{"message": message, "description": description, "code": code}]}
    )


_TROUBLES = {
    Trouble.BAD_ADDRESS: _error(422, "1300", "invalid data format/type", "address.email is not valid"),
    Trouble.WRONG_KEY: Reply(status=401, body={"errors": [{"message": "Unauthorized."}]}),
    Trouble.UNVERIFIED: _error(400, "7001", "Invalid domain", "Unconfigured or unverified sending domain."),
    Trouble.RATE_LIMIT: _error(429, "1421", "Too many requests"),
    Trouble.QUOTA: _error(420, "2102", "Exceed Sending Limit (daily)"),
    Trouble.CHANGED: _error(409, "1600", "idempotency key conflict", "The key was used with another body."),
    Trouble.RUNNING: _error(409, "1601", "idempotency key in use", "The first request is still running."),
    Trouble.BROKEN: _error(500, "1000", "internal server error"),
}
_PAGE = 250


class Fake(FakeDialect):
    name = "sparkpost"
    secrets: ClassVar = {"SPARKPOST_API_KEY": "sp_canary_key"}
    base_path = "/api/v1"
    max_batch = 10_000
    keyed = True
    id_per_message = False
    own_unsubscribe = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/api/v1/transmissions")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("authorization") == self.secrets["SPARKPOST_API_KEY"]

    def messages(self, call: Call) -> list[Message]:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", call.headers.get("idempotency-key", "x")):
            raise WrongRequest(_error(400, "1602", "invalid idempotency key"))
        body = call.json()
        if not isinstance(body, Mapping) or not body.get("recipients"):
            raise WrongRequest(_error(422, "1400", "required field is missing", "recipients is required"))
        if not set(body) <= _FIELDS or len(body["campaign_id"].encode()) > 64:
            raise WrongRequest(_error(422, "1300", "invalid data format/type"))
        return [_message(body, person) for person in body["recipients"]]

    def ids(self, count: int) -> list[str]:
        return [str(int.from_bytes(super().ids(1)[0].encode()[:8], "big"))] * count

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        results = {
            "total_rejected_recipients": 0,
            "total_accepted_recipients": len(outcomes),
            "id": outcomes[0].provider_id,
        }
        return Reply(status=200, body={"results": results})

    def repeated(self, first: Reply) -> Reply:
        return Reply(status=first.status, body=first.body, headers={"X-Idempotent-Replayed": "true"})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        return _TROUBLES[trouble]

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        if call.path != "/api/v1/events/message" or len(call.target) > 4096:
            return None
        people = call.query["recipients"].split(",")
        events = [
            event
            for record in records
            if record.message.address in people and record.message.meta["campaign"] == call.query["campaigns"]
            for event in _events(record, call.query["events"].split(","))
        ]
        size, cursor = min(int(call.query["per_page"]), _PAGE), call.query.get("cursor", "initial")
        start = 0 if cursor == "initial" else int(cursor)
        links = [{"href": "/api/v1/events/message?cursor=initial", "rel": "first"}]
        if start + size < len(events):
            links.append({"href": f"/api/v1/events/message?cursor={start + size}&per_page=1", "rel": "next"})
        page = {"results": events[start : start + size], "total_count": len(events), "links": links}
        return Reply(status=200, body=page)

    def as_read(self, text: str) -> str:
        return unhidden(text)


_FIELDS = {
    "options", "recipients", "content", "campaign_id", "description", "metadata", "substitution_data",
    "return_path",
}  # fmt: skip


def _events(record: Record, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    meta = {name: value for name, value in record.message.meta.items() if name != "campaign"}
    for kind in ("injection", "delivery"):
        if kind in wanted:
            yield {
                "type": kind,
                "transmission_id": record.provider_id,
                "campaign_id": record.message.meta["campaign"],
                "rcpt_to": record.message.address.lower(),
                "rcpt_meta": meta,
            }


def _message(body: Mapping[str, Any], person: Mapping[str, Any]) -> Message:
    content, address = body["content"], person["address"]["email"]
    if not is_address(address) or person["address"].get("header_to"):
        raise WrongRequest(_TROUBLES[Trouble.BAD_ADDRESS])
    values = {**body.get("substitution_data", {}), **person.get("substitution_data", {})}
    headers = {name: _merged(value, values) for name, value in content["headers"].items()}
    if not body["options"].get("transactional"):
        headers["List-Unsubscribe"] = "<https://sparkpost.example/unsub>"
    options = body["options"]
    return Message(
        address=address,
        visible=(address,),
        sender=named(_merged(content["from"].get("name", ""), values), content["from"]["email"]),
        reply_to=as_mailbox(_merged(content.get("reply_to", ""), values)),
        subject=_merged(content["subject"], values),
        html=_merged(content["html"], values, escape=html.escape),
        text=_merged(content["text"], values),
        headers=headers,
        meta={**body.get("metadata", {}), **person["metadata"], "campaign": body["campaign_id"]},
        tracking=any(options.get(name, True) for name in ("open_tracking", "click_tracking", "initial_open")),
    )


def _merged(text: str, values: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Three braces show a value as it is, two may escape it; what has no value vanishes."""
    text = re.sub(r"\{\{\{\s*(.*?)\s*\}\}\}", lambda found: values.get(found[1], ""), text, flags=re.DOTALL)
    return re.sub(
        r"\{\{\s*(.*?)\s*\}\}", lambda found: escape(values.get(found[1], "")), text, flags=re.DOTALL
    )
