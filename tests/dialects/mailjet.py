"""Mailjet's side of `POST /v3.1/send` and of its message search (its Send API guide and SDK tests)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Record, Reply, Trouble, WrongRequest
from tests.dialects._mailboxes import is_address, named

WORD_JOINER = "\u2060"


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"ErrorIdentifier": "ac93d194", "ErrorCode": code, "StatusCode": status, "ErrorMessage": message}


def _of_message(status: int, code: str, message: str) -> dict[str, Any]:
    return {"Status": "error", "Errors": [_error(status, code, message)]}


_BAD_ADDRESS = _of_message(400, "mj-0013", '"x@y" is an invalid email address.')
_TROUBLES = {
    Trouble.WRONG_KEY: Reply(
        status=401,
        body={
            "ErrorIdentifier": "ac93d194",
            "StatusCode": 401,
            "ErrorMessage": "API key authentication/authorization failure. You may be unauthorized.",
        },
    ),
    Trouble.RATE_LIMIT: Reply(status=429, body=_error(429, "mj-0029", "Too many requests")),
    Trouble.BROKEN: Reply(status=500, body=_error(500, "mj-0001", "Internal server error")),
}


class Fake(FakeDialect):
    name = "mailjet"
    secrets: ClassVar = {"MAILJET_API_KEY": "mj_canary_key", "MAILJET_SECRET_KEY": "mj_canary_secret"}
    max_batch = 50
    refuses_whole = False
    echoes = True
    own_unsubscribe = False

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/v3.1/send")

    def authorised(self, call: Call) -> bool:
        pair = f"{self.secrets['MAILJET_API_KEY']}:{self.secrets['MAILJET_SECRET_KEY']}"
        return call.headers.get("authorization") == f"Basic {b64encode(pair.encode()).decode()}"

    def messages(self, call: Call) -> list[Message]:
        body = call.json()
        batch = body.get("Messages") if isinstance(body, Mapping) else None
        if not isinstance(batch, list) or not 1 <= len(batch) <= self.max_batch:
            raise WrongRequest(_refused("mj-0002", "Malformed JSON, please review the syntax"))
        return [_message(item) for item in batch]

    def ids(self, count: int) -> list[str]:
        base = int.from_bytes(super().ids(1)[0].encode()[:6], "big")
        return [str(base + number) for number in range(count)]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        results = [
            _of_message(400, "mj-0013", outcome.refused) if outcome.refused else _taken(outcome)
            for outcome in outcomes
        ]
        all_refused = all(outcome.refused for outcome in outcomes)
        return Reply(status=400 if all_refused else 200, body={"Messages": results})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        if trouble is Trouble.UNVERIFIED:
            sender = '"brief@voorbeeld.example" is not an authorized sender email address for your account.'
            results = [_of_message(403, "send-0008", sender) for _ in messages]
            return Reply(status=403, body={"Messages": results})
        return _TROUBLES.get(trouble)

    def search(self, call: Call, records: Sequence[Record]) -> Reply | None:
        if call.path != "/v3/REST/message":
            return None
        wanted = call.query["CustomID"]
        shown = call.query.get("ShowCustomID") == "true"
        found = [
            {"ID": int(record.provider_id), "CustomID": wanted if shown else "", "Status": "sent"}
            for record in records
            if record.message.meta["custom"] == wanted
        ]
        return Reply(status=200, body={"Count": len(found), "Data": found, "Total": len(found)})

    def as_read(self, text: str) -> str:
        return text.replace("&#91;", "[").replace(WORD_JOINER, "")


def _refused(code: str, message: str) -> Reply:
    return Reply(status=400, body=_error(400, code, message))


def _taken(outcome: Outcome) -> dict[str, Any]:
    to = {
        "Email": outcome.message.address,
        "MessageUUID": f"uuid-{outcome.provider_id}",
        "MessageID": int(outcome.provider_id) if outcome.provider_id.isdigit() else 1,
        "MessageHref": f"https://api.mailjet.com/v3/message/{outcome.provider_id}",
    }
    return {"Status": "success", "To": [to]}


_FIELDS = {
    "From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "HTMLPart", "TextPart", "TemplateLanguage",
    "TrackOpens", "TrackClicks", "EventPayload", "CustomID", "Headers", "Variables", "CustomCampaign",
    "DeduplicateCampaign",
}  # fmt: skip
_RESERVED = {"from", "to", "cc", "bcc", "subject", "sender", "return-path", "dkim-signature", "received"}


def _message(item: Any) -> Message:
    if not isinstance(item, Mapping) or not set(item) <= _FIELDS or "From" not in item:
        raise WrongRequest(_refused("mj-0004", "A property is missing or not known."))
    if {name.lower() for name in item["Headers"]} & _RESERVED:
        raise WrongRequest(_refused("send-0011", "A header cannot be customized."))
    visible = tuple(box["Email"] for box in (*item["To"], *item.get("Cc", ())))
    if not all(is_address(address) for address in visible):
        raise WrongRequest(Reply(status=400, body={"Messages": [_BAD_ADDRESS]}))
    headers = dict(item["Headers"])
    if "List-Unsubscribe" in headers:
        headers["List-Unsubscribe"] = "<https://mailjet.example/unsub>"
        del headers["List-Unsubscribe-Post"]
    filled = {
        name: _filled(item[name], item.get("Variables", {})) for name in ("Subject", "HTMLPart", "TextPart")
    }
    return Message(
        address=visible[0],
        visible=visible,
        sender=named(item["From"].get("Name"), item["From"]["Email"]),
        reply_to=_box(item.get("ReplyTo")),
        subject=filled["Subject"],
        html=filled["HTMLPart"],
        text=filled["TextPart"],
        headers=headers,
        meta={
            **json.loads(item["EventPayload"]),
            "custom": item["CustomID"],
            "delivery": item["CustomID"].rpartition(".")[2],
        },
        tracking=item.get("TrackOpens") != "disabled" or item.get("TrackClicks") != "disabled",
    )


def _box(box: Mapping[str, str] | None) -> str:
    return named(box.get("Name"), box["Email"]) if box else ""


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """Merged as often as there is something to merge; what has no value vanishes."""
    pattern = re.compile(r"\[\[\s*(?:var|data)\s*:\s*(\w+)[^\]]*\]\]")
    while pattern.search(text):
        text = pattern.sub(lambda found: variables.get(found[1], ""), text)
    return text
