"""Mailgun's side of `POST /v3/{domain}/messages` and the event log (its OpenAPI file and user manual).

It merges in the worst way that its manual leaves open: an unknown `%recipient.x%` becomes nothing, and
whatever looks like `%unsubscribe_url%` is replaced after the recipient's own values.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._mailboxes import as_mailbox, is_address, only_address

DOMAIN = "mg.voorbeeld.example"
NEXT_PAGE_ON = "https://api.mailgun.net"
"""The log's links name Mailgun itself: nobody may follow them from here."""

Form = list[tuple[str, str]]


def _error(status: int, message: str) -> Reply:
    return Reply(status=status, body={"message": message})


_TROUBLES = {
    Trouble.BAD_ADDRESS: _error(400, "to parameter is not a valid address. please check documentation"),
    Trouble.WRONG_KEY: Reply(status=401, body="Forbidden"),
    Trouble.UNVERIFIED: _error(
        403,
        f"Domain {DOMAIN} is not allowed to send: The domain is unverified and requires DNS configuration.",
    ),
    Trouble.RATE_LIMIT: _error(
        429,
        f"Domain {DOMAIN} is not allowed to send: account-requests-per-sec limit exceeded, "
        "try again after 7 seconds",
    ),
    Trouble.QUOTA: _error(403, f"Domain {DOMAIN} is not allowed to send: message limit exceeded"),
    Trouble.BROKEN: _error(500, "Internal Server Error"),
}


class Fake(FakeDialect):
    name = "mailgun"
    secrets: ClassVar[Mapping[str, str]] = {"MAILGUN_API_KEY": "key-canary", "MAILGUN_DOMAIN": DOMAIN}
    max_batch = 1000
    id_per_message = False
    retry_after = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", f"/v3/{DOMAIN}/messages")

    def authorised(self, call: Call) -> bool:
        pair = b64encode(b"api:key-canary").decode()
        return call.headers.get("authorization") == f"Basic {pair}"

    def messages(self, call: Call) -> list[Message]:
        form = read_form(call)
        values = dict(form)
        to = list(
            dict.fromkeys(each.strip() for name, line in form if name == "to" for each in line.split(","))
        )
        if not to or not all(map(is_address, to)):
            raise WrongRequest(_TROUBLES[Trouble.BAD_ADDRESS])
        for name in ("from", "subject"):
            if not values.get(name):
                raise WrongRequest(_error(400, f"{name} parameter is missing"))
        if len(to) > self.max_batch:
            raise WrongRequest(_error(400, "to parameter has too many recipients"))
        if sum(len(value.encode()) for name, value in form if name[1] == ":") > 16 * 1024:
            raise WrongRequest(
                _error(400, "Send options (parameters starting with o:, h:, or v:) are limited to 16KB total")
            )
        each_own = values.get("recipient-variables")
        variables = _variables(each_own) if each_own else {}
        return [
            _message(address, [address] if each_own else to, form, variables.get(address, {}))
            for address in to
        ]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        return Reply(status=200, body={"id": outcomes[0].provider_id, "message": "Queued. Thank you."})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        return _TROUBLES.get(trouble)

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        events = f"/v3/{DOMAIN}/events"
        if call.method != "GET" or not call.path.startswith(events):
            return None
        token = call.path.removeprefix(events).strip("/")
        query = json.loads(urlsafe_b64decode(token)) if token else {**call.query, "from": 0}
        limit = int(query.get("limit", 100))
        if limit > 300:
            return _error(400, "limit must be at most 300")
        if "end" not in query and "ascending" not in query:
            return _error(400, "ascending or end must be given")
        found = [record for record in records if _matches(record, query)]
        start = query["from"]
        following = urlsafe_b64encode(json.dumps({**query, "from": start + limit}).encode()).decode()
        return Reply(
            status=200,
            body={
                "items": [_event(record) for record in found[start : start + limit]],
                "paging": {
                    "next": f"{NEXT_PAGE_ON}{events}/{following}",
                    "previous": f"{NEXT_PAGE_ON}{events}/0",
                },
            },
        )

    def as_read(self, text: str) -> str:
        """`&#37;` shows as a percent sign and a word joiner as nothing."""
        return html.unescape(text).replace("\u2060", "")


def read_form(call: Call) -> Form:
    """The fields of multipart/form-data, in order. Raises `WrongRequest` for anything else."""
    wrong = WrongRequest(_error(400, "Supported content types: multipart/form-data"))
    found = re.fullmatch(
        r"multipart/form-data; boundary=([A-Za-z0-9'()+_,./:=?-]{1,70})", call.headers["content-type"]
    )
    if not found:
        raise wrong
    mark = f"--{found[1]}".encode()
    parts = (b"\r\n" + call.body).split(b"\r\n" + mark)
    if parts[0] or parts[-1] != b"--\r\n" or call.body.count(mark) != len(parts) - 1:
        raise wrong
    return [_field(part, wrong) for part in parts[1:-1]]


def _field(part: bytes, wrong: WrongRequest) -> tuple[str, str]:
    head, _, value = part.partition(b"\r\n\r\n")
    found = re.fullmatch(rb'\r\nContent-Disposition: form-data; name="([^"\r\n]+)"', head)
    if not found:
        raise wrong
    return found[1].decode(), value.decode()


def _variables(text: str) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(text)
    except ValueError:
        raise WrongRequest(_error(400, "'recipient-variables' parameter is not a valid JSON")) from None
    return {str(address): dict(values) for address, values in found.items()}


def _message(address: str, visible: Sequence[str], form: Form, variables: Mapping[str, str]) -> Message:
    merged = [(name, _merged(value, address, variables)) for name, value in form if name != "to"]
    values = dict(merged)
    headers = {name[2:]: value for name, value in merged if name.startswith("h:")}
    reply_to = headers.pop("Reply-To", "")
    tracking = [values.get(name, "yes") for name in ("o:tracking", "o:tracking-clicks", "o:tracking-opens")]
    return Message(
        address=only_address(address),
        visible=tuple(visible),
        sender=as_mailbox(values["from"]),
        reply_to=as_mailbox(reply_to) if reply_to else "",
        subject=values["subject"],
        html=values["html"],
        text=values["text"],
        headers=headers,
        meta={
            **{name[2:]: value for name, value in merged if name.startswith("v:")},
            "tags": values.get("o:tag", ""),
        },
        tracking=tracking != ["no"] * 3,
    )


def _merged(text: str, address: str, variables: Mapping[str, str]) -> str:
    known = {
        "recipient": address,
        "recipient_email": address,
        **{f"recipient.{k}": v for k, v in variables.items()},
    }
    once = re.sub(r"%(recipient[A-Za-z0-9_.]*)%", lambda found: known.get(found[1], ""), text)
    return re.sub(r"%(?![0-9A-Fa-f]{2})[A-Za-z_][A-Za-z0-9_.]*%", "https://mailgun.example/u", once)


def _matches(record: Record, query: Mapping[str, Any]) -> bool:
    return (
        query.get("event", "accepted") == "accepted"
        and record.at >= float(query.get("begin", 0))
        and query.get("tags", record.message.meta["tags"]) == record.message.meta["tags"]
        and query.get("recipient", record.message.address) == record.message.address
    )


def _event(record: Record) -> dict[str, Any]:
    meta = dict(record.message.meta)
    return {
        "event": "accepted",
        "timestamp": record.at,
        "recipient": record.message.address,
        "tags": [meta.pop("tags")],
        "user-variables": meta,
        "message": {"headers": {"message-id": record.provider_id}},
    }
