"""MailerSend: one message a call, each with its own answer; no idempotency key, no way to look a doubt up.

Its bulk call takes many messages at once, but answers before it has looked at any: a 202 names the bulk, and
a message refused afterwards is told only to who comes back to ask. So a bulk could lose people silently, and
a lost answer would put all of it in doubt. `POST /email` checks first, names its message, and leaves one
person in doubt at most; it may be called 120 times a minute.

Facts: MailerSend's own SDKs (github.com/mailersend/mailersend-python) and API pages, as of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emails.delivery import Answer, Capabilities, DeliveryState, Receipt, Recipient, Request
from emails.edition import Mailbox, Mailing
from emails.esp.base import Bearer, HttpEsp, post_json
from emails.esp.http import HttpAnswer
from emails.esp.links import addresses
from emails.esp.reading import Complaint, Rules, accepted, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import dump
from emails.esp.untemplated import without_placeholders
from emails.merge import safe, split
from emails.message import own_headers
from emails.plainly import plain

BASE_URL = "https://api.mailersend.com/v1"
CAPABILITIES = Capabilities(
    name="mailersend",
    max_batch=1,
    own_list_unsubscribe="account-setting",
    notes=(
        "One message a call, 120 calls a minute: its bulk call answers before it has checked anything.",
        "Our List-Unsubscribe needs a Professional or Enterprise plan. Unverified: what MailerSend does with "
        "it on another plan, and whether it adds List-Unsubscribe-Post for one-click.",
        "Other headers of our own (List-ID, Feedback-ID, Auto-Submitted) need an Enterprise plan: we send "
        "none.",
        "Text that looks like {{ merge }} syntax: written so that it shows as it is; in plain text and "
        "subject an invisible word joiner is in it.",
        "It cannot be asked what became of a message whose answer was lost.",
    ),
)
RULES = Rules(hold=frozenset({"account"}))
PLACEHOLDERS = re.compile(r"\{(?=[{%#$])")
"""`{{ name }}`, `{% tag %}` and `{$name}`."""

_ACCOUNT_CODES = {
    "MS42207",  # the sender's domain is not verified
    "MS42225",  # a trial account has reached its number of recipients
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailerSendDialect:
    """Requests and answers of `POST /email`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """The call for one recipient.

        Raises ValueError for more or fewer than one, `emails.merge.UnsafeMergeValue` and
        `emails.message.HeaderError` for an unsubscribe link or an address that no message can hold.
        """
        (person,) = recipients
        return post_json(
            f"{self.base_url}/email",
            [dump(_message(mailing, person)).encode()],
            key=key,
            recipients=(person,),
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """202 with `X-Message-Id`; a 202 whose warnings say that the recipient is suppressed went nowhere."""
        body = json_of(answer)
        if answer.status == 202 and not answer.cut and (not answer.body or isinstance(body, Mapping)):
            return _taken(answer, request.recipients[0], _suppressed(body))
        return read_failure(answer, _complaint(answer, body), RULES)


def make(settings: EspSettings) -> HttpEsp:
    """MailerSend with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = MailerSendDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, Bearer(settings.secret("MAILERSEND_API_KEY", CAPABILITIES.name)))


# Building


def _message(mailing: Mailing, person: Recipient) -> dict[str, Any]:
    newsletter, letter = mailing.newsletter, without_placeholders(mailing.letter, PLACEHOLDERS)
    parts = split(letter)
    values = {"unsubscribe": safe(person.unsubscribe_url)}
    own = own_headers(mailing, person)
    return {
        "from": _box(newsletter.sender),
        **({"reply_to": _box(newsletter.reply_to)} if newsletter.reply_to else {}),
        "to": [{"email": address} for address in addresses([person])],
        "subject": letter.subject,
        "html": parts.html.fill(values),
        "text": parts.text.fill(values),
        "tags": [_tag(mailing), person.delivery_id],
        "settings": {"track_clicks": False, "track_opens": False, "track_content": False},
        **({"list_unsubscribe": own["List-Unsubscribe"]} if own else {}),
    }


def _box(box: Mailbox) -> dict[str, str]:
    name = " ".join(box.name.split())
    return {"email": box.address, **({"name": name} if name else {})}


def _tag(mailing: Mailing) -> str:
    """Tags are all that comes back with an event; a message has five at most."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"weekbrief-{mailing.installation}-{mailing.edition}")


# Reading


def _taken(answer: HttpAnswer, person: Recipient, suppressed: str | None) -> Answer:
    if suppressed:
        refused = Receipt(
            delivery_id=person.delivery_id, state=DeliveryState.REFUSED, reason=f"suppressed: {suppressed}"
        )
        return accepted(answer, [refused])
    message_id = answer.headers.get("x-message-id", "").strip()
    if not message_id:
        return accepted(answer, alarm="MailerSend took the message and gave it no id")
    return accepted(
        answer,
        [
            Receipt(
                delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED, provider_id=plain(message_id)
            )
        ],
    )


def _suppressed(body: Any) -> str | None:
    """Why the recipient gets nothing, or None. A message of ours has one recipient, so some are all."""
    warnings = body.get("warnings") if isinstance(body, Mapping) else None
    for warning in warnings if isinstance(warnings, list) else ():
        if isinstance(warning, Mapping) and warning.get("type") in ("ALL_SUPPRESSED", "SOME_SUPPRESSED"):
            return plain(str(warning.get("warning") or "MailerSend knows why"))
    return None


def _complaint(answer: HttpAnswer, body: Any) -> Complaint | None:
    """`{"message", "errors": {"field": [words]}}`. All messages of an edition have the same fields but for
    `to`: what is wrong with another one concerns everybody."""
    if not isinstance(body, Mapping) or not isinstance(body.get("message"), str):
        return None
    errors = body.get("errors")
    fields = [str(name) for name in errors] if isinstance(errors, Mapping) else []
    words = f"{body['message']} {_first_words(errors)}".strip()
    code = "account" if _is_about_all(answer, fields, words) else (fields[0] if fields else "error")
    return Complaint(code=code, message=words)


def _first_words(errors: Any) -> str:
    first = next(iter(errors.values()), "") if isinstance(errors, Mapping) else ""
    return str(first[0]) if isinstance(first, list) and first else ""


def _is_about_all(answer: HttpAnswer, fields: Sequence[str], words: str) -> bool:
    if answer.status == 402 or set(re.findall(r"MS\d{5}", words)) & _ACCOUNT_CODES:
        return True
    if answer.status == 429:
        return answer.headers.get("x-apiquota-remaining", "").strip() == "0"
    return bool(fields) and not any(re.match(r"to\b", name) for name in fields)
