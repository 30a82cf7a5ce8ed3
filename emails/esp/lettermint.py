"""Lettermint: up to 500 messages a call, each rendered here, with an idempotency key that replays the answer.

Facts: Lettermint's API reference, its pages on idempotency and routes, and the types of its own Python
library, as of November 2026. The idempotency page answers a key with another body by 409, its older edition
by 422: both are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from emails.delivery import Answer, AnswerClass, Capabilities, DeliveryState, Receipt, Recipient, Request
from emails.edition import Letter, Mailing, Newsletter
from emails.esp.base import HeaderKey, HttpEsp, display, post_json, written_address
from emails.esp.http import HttpAnswer
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import Hole, Splice, dump, inside
from emails.esp.untemplated import without_placeholders
from emails.merge import split
from emails.message import edition_headers, own_headers
from emails.plainly import plain

BASE_URL = "https://api.lettermint.co/v1"
ROUTE = "broadcast"
"""The route for newsletters that a new Lettermint project has; notices take the project's default route."""
CAPABILITIES = Capabilities(
    name="lettermint",
    max_batch=500,
    key_life=timedelta(hours=24),
    own_list_unsubscribe="account-setting",
    notes=(
        "A broadcast route adds Lettermint's own List-Unsubscribe and a link. Ask their support to switch "
        "hosted unsubscribe off (`disable_hosted_unsubscribe`). Whether our header then passes untouched "
        "is not verified: look at a test letter.",
        "Letters go by the route `broadcast`, which the project must have; notices by its default route.",
        "The size limit of a batch call is not documented: we stay under 2 MB.",
        "No search: it needs another token, and the key makes it needless.",
        "A project in sandbox mode delivers nothing: the answer says so, and we hold.",
    ),
)
RULES = Rules(
    hold=frozenset({"limit", "sender"}),
    busy=frozenset({"concurrent_idempotent_requests"}),
    changed=frozenset({"invalid_idempotent_request"}),
)
_NOT_TAKEN = frozenset({"suppressed", "failed", "blocked", "policy_rejected"})
"""Statuses of a message that its recipient will not get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LettermintDialect:
    """Requests and answers of `POST /send/batch`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        headers = dump(edition_headers(mailing)).removesuffix("}")
        message = _message(mailing.newsletter, mailing.letter, headers)
        shared = _shared(mailing, key)
        pieces: list[bytes] = []
        for person in recipients:
            own = own_headers(mailing, person)
            values = {
                "address": inside(written_address(person.address)).encode(),
                "unsubscribe": person.unsubscribe_url.encode(),
                "headers": (f",{dump(own)[1:]}" if own else "}").encode(),
                "shared": f'{shared},"delivery":{dump(person.delivery_id)}'.encode(),
            }
            pieces += (b"," if pieces else b"[", *message.fill(values))
        pieces.append(b"]" if pieces else b"[]")
        return post_json(
            f"{self.base_url}/send/batch",
            pieces,
            key=key,
            recipients=recipients,
            headers={"idempotency-key": key},
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`[{"message_id", "status"}]` in order on success; failures in one of three documented shapes."""
        body = json_of(answer)
        if not (is_success(answer) and isinstance(body, list) and body and all(map(_is_item, body))):
            return read_failure(answer, _complaint(body), RULES)
        if any(item.get("sandbox") is True for item in body):
            return Answer(kind=AnswerClass.HOLD, http_status=answer.status, error=_SANDBOX)
        ids = {item["message_id"] for item in body}
        if len(body) != len(request.recipients) or len(ids) != len(body):
            told = f"the provider took {len(request.recipients)} messages and named {len(ids)} of them"
            return accepted(answer, alarm=told)
        return accepted(answer, list(map(_receipt, request.recipients, body)))


_SANDBOX = (
    "the Lettermint project is in sandbox mode: nobody gets this. Switch to live delivery; "
    "as keys are remembered, send again after 24 hours or with the token of another project"
)


def make(settings: EspSettings) -> HttpEsp:
    """Lettermint with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = LettermintDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(
        dialect, HeaderKey("x-lettermint-token", settings.secret("LETTERMINT_TOKEN", CAPABILITIES.name))
    )


# Building


def _shared(mailing: Mailing, key: str) -> str:
    """Route, tracking, tag and the metadata that all messages share, as the rest of a JSON object."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    route = "" if mailing.notice else f'"route":{dump(ROUTE)},'
    tag = re.sub(r"[^A-Za-z0-9_ -]", "_", mailing.edition)[:32]
    metadata = dump({**mailing.tags, **ours}).removesuffix("}")
    settings = '"settings":{"track_opens":false,"track_clicks":false}'
    return f'{route}{settings},"tag":{dump(tag)},"metadata":{metadata}'


@lru_cache(maxsize=16)
def _message(newsletter: Newsletter, letter: Letter, headers: str) -> Splice:
    """One message, with holes for the address, the unsubscribe link, the batch and the delivery."""
    safe = without_placeholders(letter)
    parts = split(safe)
    reply_to = f'"reply_to":[{dump(display(newsletter.reply_to))}],' if newsletter.reply_to else ""
    return Splice(
        f'{{"from":{dump(display(newsletter.sender))},{reply_to}"to":["',
        Hole("address"),
        f'"],"subject":{dump(safe.subject)},"html":"',
        parts.html,
        '","text":"',
        parts.text,
        f'","headers":{headers}',
        Hole("headers"),
        ",",
        Hole("shared"),
        "}}",
    )


# Reading


def _is_item(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("message_id"), str) and bool(item["message_id"])


def _receipt(person: Recipient, item: Mapping[str, Any]) -> Receipt:
    status = item.get("status")
    refused = isinstance(status, str) and status in _NOT_TAKEN
    return Receipt(
        delivery_id=person.delivery_id,
        state=DeliveryState.REFUSED if refused else DeliveryState.ACCEPTED,
        provider_id=item["message_id"],
        reason=f"Lettermint: {status}" if refused else None,
    )


def _complaint(body: Any) -> Complaint | None:
    """`{"error": {"code", "message"}}`, `{"error", "message"}` or `{"message", "errors": {field: […]}}`."""
    if not isinstance(body, Mapping):
        return None
    error = body.get("error")
    detail: Mapping[str, Any] = error if isinstance(error, Mapping) else {"code": error, **body}
    code, message = detail.get("code"), detail.get("message")
    if not isinstance(message, str):
        return None
    named = code if isinstance(code, str) else ""
    return Complaint(
        code=_meaning(named, message, body.get("errors")) or named or "error", message=plain(message)
    )


def _meaning(code: str, message: str, errors: Any) -> str | None:
    """The word in our rules for an error whose code is not documented in full."""
    said = f"{code} {message}".lower()
    if "idempoten" in said:
        if re.search(r"in progress|being processed|concurrent|still", said):
            return "concurrent_idempotent_requests"
        if re.search(r"different|payload|already (?:been )?used|invalid_idempotent", said):
            return "invalid_idempotent_request"
    if re.search(
        r"(?:daily|monthly)[ _-]?(?:sending[ _-]?)?(?:limit|quota)|(?:limit|quota)[ _-]?exceeded", said
    ):
        return None if "rate" in said else "limit"
    fields = errors if isinstance(errors, Mapping) else {}
    names = {str(name).rsplit(".", 1)[-1] for name in fields}
    return "sender" if names and names <= {"from", "route"} else None
