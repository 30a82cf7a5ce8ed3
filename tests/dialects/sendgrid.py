"""SendGrid's side of `POST /v3/mail/send` and of the Email Logs (its OpenAPI files)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import unquote

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._mailboxes import is_address, named


def _error(status: int, message: str, field: str | None = None) -> Reply:
    return Reply(status=status, body={"errors": [{"message": message, "field": field, "help": None}]})


_TROUBLES = {
    Trouble.BAD_ADDRESS: _error(400, "Does not contain a valid address.", "personalizations.0.to.0.email"),
    Trouble.WRONG_KEY: _error(401, "The provided authorization grant is invalid, expired, or revoked"),
    Trouble.UNVERIFIED: _error(403, "The from address does not match a verified Sender Identity.", "from"),
    Trouble.RATE_LIMIT: _error(429, "too many requests"),
    Trouble.QUOTA: _error(401, "Maximum credits exceeded"),
    Trouble.BROKEN: _error(500, "internal server error"),
}
_RESERVED = {
    *("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"),
    *("to", "from", "subject", "reply-to", "cc", "bcc"),
}


class Fake(FakeDialect):
    name = "sendgrid"
    secrets: ClassVar[Mapping[str, str]] = {"SENDGRID_API_KEY": "SG.canary"}
    max_batch = 1000
    id_per_message = False
    retry_after = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/v3/mail/send")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("authorization") == "Bearer SG.canary"

    def messages(self, call: Call) -> list[Message]:
        body = call.json()
        people = body.get("personalizations") if isinstance(body, dict) else None
        if not people or len(people) > self.max_batch:
            raise WrongRequest(_error(400, "1 to 1000 personalizations are required", "personalizations"))
        for name in ("from", "subject", "content"):
            if not body.get(name):
                raise WrongRequest(_error(400, f"The {name} is required.", name))
        if [part["type"] for part in body["content"]] != ["text/plain", "text/html"]:
            raise WrongRequest(_error(400, "text/plain must come before text/html", "content"))
        messages = [_message(body, person) for person in people]
        if len({message.address.lower() for message in messages}) != len(messages):
            raise WrongRequest(_error(400, "Each email address must be unique", "personalizations"))
        return messages

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        return Reply(status=202, headers={"X-Message-Id": outcomes[0].provider_id})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        return _TROUBLES.get(trouble)

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        listed = [(f"{record.provider_id}.recvd-{n}.0", record) for n, record in enumerate(records)]
        if (call.method, call.path) == ("POST", "/v3/logs"):
            return _list(call.json(), listed)
        for message_id, record in listed:
            if (call.method, call.path) == ("GET", f"/v3/logs/{message_id}"):
                return Reply(status=200, body=_detail(message_id, record))
        return _error(404, f"message not found: {unquote(call.path)}")

    def as_read(self, text: str) -> str:
        """A word joiner shows as nothing."""
        return text.replace("\u2060", "")


def _message(body: Mapping[str, Any], person: Mapping[str, Any]) -> Message:
    to = [each["email"] for each in (*person["to"], *person.get("cc", ()))]
    if not all(map(is_address, to)):
        raise WrongRequest(_TROUBLES[Trouble.BAD_ADDRESS])
    headers = {**body.get("headers", {}), **person.get("headers", {})}
    if _RESERVED & {name.lower() for name in headers}:
        raise WrongRequest(_error(400, "a reserved header", "headers"))
    args = person.get("custom_args", {})
    if not all(isinstance(value, str) for value in (*headers.values(), *args.values())):
        raise WrongRequest(_error(400, "Bad Request"))
    subject, text, html = (
        _merged(each, person.get("substitutions", {}))
        for each in (body["subject"], *(part["value"] for part in body["content"]))
    )
    tracking = body.get("tracking_settings", {})
    if tracking.get("subscription_tracking", {}).get("enable", True):
        headers |= {"List-Unsubscribe": "<https://sendgrid.example/u>"}
    return Message(
        address=to[0],
        visible=tuple(to),
        sender=named(body["from"].get("name"), body["from"]["email"]),
        reply_to=_mailbox(body.get("reply_to")),
        subject=subject,
        html=html,
        text=text,
        headers=headers,
        meta={
            **{name.removeprefix("weekbrief_"): value for name, value in args.items()},
            "categories": ",".join(body.get("categories", ())),
        },
        tracking=any(tracking.get(f"{kind}_tracking", {}).get("enable", True) for kind in ("click", "open")),
    )


def _mailbox(box: Mapping[str, str] | None) -> str:
    return named(box.get("name"), box["email"]) if box else ""


def _merged(text: str, substitutions: Mapping[str, str]) -> str:
    for name, value in substitutions.items():
        text = text.replace(name, value)
    return re.sub(r"<%(asm_[a-z_]*|open_click)%>", "https://sendgrid.example/u", text)


def _list(body: Mapping[str, Any], listed: Sequence[tuple[str, Record]]) -> Reply:
    if not 1 <= body.get("limit", 10) <= 1000:
        return _error(400, "limit must be between 1 and 1000", "limit")
    terms = [_term(term) for term in body["query"].split(" AND ")]
    if not all(terms):
        return _error(400, f"cannot parse the query {body['query']}", "query")
    found = [
        (message_id, record)
        for message_id, record in listed
        if all(_matches(record, *term) for term in terms if term)
    ]
    return Reply(status=200, body={"messages": [_summary(*each) for each in found[: body.get("limit", 10)]]})


def _term(text: str) -> tuple[str, str] | None:
    """One condition of a query, in the operators that the specification allows for its field."""
    shapes = (
        r'(to_email) = "([^"]+)"',
        r"(categories) IN \('([^']+)'\)",
        r'(sg_message_id_created_at) >= TIMESTAMP "([0-9T:-]+Z)"',
    )
    found = next(filter(None, (re.fullmatch(shape, text) for shape in shapes)), None)
    return (found[1], found[2]) if found else None


def _matches(record: Record, name: str, value: str) -> bool:
    match name:
        case "to_email":
            return record.message.address.lower() == value.lower()
        case "categories":
            return value in record.message.meta["categories"].split(",")
    return record.at >= datetime.fromisoformat(value).timestamp()


def _summary(message_id: str, record: Record) -> dict[str, str]:
    return {
        "from_email": "brief@voorbeeld.example",
        "sg_message_id": message_id,
        "subject": record.message.subject,
        "to_email": record.message.address.lower(),
        "status": "processed",
        "sg_message_id_created_at": datetime.fromtimestamp(record.at, UTC).isoformat(),
    }


def _detail(message_id: str, record: Record) -> dict[str, Any]:
    meta = {f"weekbrief_{name}": value for name, value in record.message.meta.items() if name != "categories"}
    return {
        **_summary(message_id, record),
        "custom_args": meta,
        "events": [],
        "api_key_id": "k",
        "client_ip": "",
    }
