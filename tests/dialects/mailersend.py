"""MailerSend's side of `POST /email` (its SDK's models and error shapes)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.dialects import Call, FakeDialect, Message, Outcome, Reply, Trouble, WrongRequest
from tests.dialects._curly import emptied, unhidden
from tests.dialects._mailboxes import is_address, named


def _invalid(field: str, words: str) -> Reply:
    return Reply(status=422, body={"message": "The given data was invalid.", "errors": {field: [words]}})


_TROUBLES = {
    Trouble.BAD_ADDRESS: _invalid("to.0.email", "The to.0.email must be a valid email address."),
    Trouble.WRONG_KEY: Reply(status=401, body={"message": "Unauthenticated."}),
    Trouble.UNVERIFIED: _invalid(
        "from.email", "The from.email domain must be verified in your account to send emails. #MS42207"
    ),
    Trouble.RATE_LIMIT: Reply(
        status=429, body={"message": "Too Many Attempts."}, headers={"x-apiquota-remaining": "512"}
    ),
    Trouble.QUOTA: Reply(
        status=429,
        body={"message": "Daily API requests quota limit was reached."},
        headers={"x-apiquota-remaining": "0"},
    ),
    Trouble.BROKEN: Reply(status=500, body={"message": "Server Error"}),
}


class Fake(FakeDialect):
    name = "mailersend"
    secrets: ClassVar = {"MAILERSEND_API_KEY": "mlsn.canary_key"}
    base_path = "/v1"
    max_batch = 1
    custom_headers = False
    carries = frozenset({"delivery"})

    def is_send(self, call: Call) -> bool:
        return (call.method, call.path) == ("POST", "/v1/email")

    def authorised(self, call: Call) -> bool:
        return call.headers.get("authorization") == f"Bearer {self.secrets['MAILERSEND_API_KEY']}"

    def messages(self, call: Call) -> list[Message]:
        item = call.json()
        if not isinstance(item, Mapping) or not set(item) <= _FIELDS:
            raise WrongRequest(_invalid("message", "A field is not known."))
        return [_message(item)]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        return Reply(
            status=202, headers={"Content-Type": "text/html", "X-Message-Id": outcomes[0].provider_id}
        )

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        return _TROUBLES.get(trouble)

    def as_read(self, text: str) -> str:
        return unhidden(text)


_FIELDS = {
    "from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "template_id", "tags",
    "personalization", "precedence_bulk", "send_at", "in_reply_to", "references", "settings",
    "list_unsubscribe",
}  # fmt: skip


def _message(item: Mapping[str, Any]) -> Message:
    visible = tuple(box["email"] for box in (*item["to"], *item.get("cc", ())))
    if not all(is_address(address) for address in visible):
        raise WrongRequest(_TROUBLES[Trouble.BAD_ADDRESS])
    if len(item["tags"]) > 5 or len(item["subject"]) > 998:
        raise WrongRequest(_invalid("tags", "At most five tags."))
    unsubscribe = item.get("list_unsubscribe")
    return Message(
        address=visible[0],
        visible=visible,
        sender=named(item["from"].get("name"), item["from"]["email"]),
        reply_to=_box(item.get("reply_to")),
        subject=_vanished(item["subject"]),
        html=_vanished(item["html"]),
        text=_vanished(item["text"]),
        headers={"List-Unsubscribe": unsubscribe} if unsubscribe else {},
        meta={"delivery": item["tags"][1], "tag": item["tags"][0]},
        tracking=any(item["settings"].get(name, True) for name in ("track_opens", "track_clicks")),
    )


def _box(box: Mapping[str, str] | None) -> str:
    return named(box.get("name"), box["email"]) if box else ""


def _vanished(text: str) -> str:
    """Without placeholders, which nobody gave a value."""
    return re.sub(r"\{\$\w+\}", "", emptied(text))
