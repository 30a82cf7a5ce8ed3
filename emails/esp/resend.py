"""Resend: up to 100 messages a call, each rendered here, with an idempotency key that replays the answer.

Facts: Resend's OpenAPI file, its error list (resend.com/docs/api-reference/errors) and its page on batch
validation modes, as of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from emails.delivery import Answer, Capabilities, DeliveryState, Receipt, Recipient, Request
from emails.edition import Letter, Mailing, Newsletter
from emails.esp.base import Bearer, HttpEsp, display, post_json, written_address
from emails.esp.http import HttpAnswer
from emails.esp.links import check_links, delivery_ids, given_addresses, unsubscribe_urls
from emails.esp.links import plain as plain_text
from emails.esp.reading import Complaint, Rules, accepted, in_order, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import Hole, Splice, dump, inside
from emails.merge import split
from emails.message import edition_headers, unsubscribe_headers
from emails.plainly import plain

BASE_URL = "https://api.resend.com"
CAPABILITIES = Capabilities(
    name="resend",
    max_batch=100,
    key_life=timedelta(hours=24),
    own_list_unsubscribe="yes",
    notes=(
        "The size limit of a batch call is not documented: we stay under 2 MB.",
        "Open and click tracking are settings of the domain, not of a message: switch them off there.",
    ),
)
RULES = Rules(
    hold=frozenset(
        {
            "daily_quota_exceeded",
            "monthly_quota_exceeded",
            "invalid_from_address",
            "invalid_idempotency_key",
            "missing_api_key",
            "restricted_api_key",
            "invalid_api_key",
        }
    ),
    busy=frozenset({"concurrent_idempotent_requests"}),
    changed=frozenset({"invalid_idempotent_request"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendDialect:
    """Requests and answers of `POST /emails/batch`. The sandbox speaks the same."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        check_links(mailing, recipients)
        message = _message(
            mailing.newsletter, mailing.letter, dump(edition_headers(mailing)), notice=mailing.notice
        )
        tags = f'{_tags(mailing, key)},{{"name":"delivery","value":"'.encode()
        values = {"tags": tags}
        pieces: list[bytes] = []
        links = unsubscribe_urls(recipients)
        for address, delivery, link in zip(
            _addresses(recipients), _deliveries(recipients), links, strict=True
        ):
            values["address"] = address.encode()
            values["unsubscribe"] = link.encode()
            values["delivery"] = delivery.encode()
            pieces.append(b"," if pieces else b"[")
            pieces += message.fill(values)
        pieces.append(b"]" if pieces else b"[]")
        return post_json(
            f"{self.base_url}/emails/batch",
            pieces,
            key=key,
            recipients=recipients,
            headers={"idempotency-key": key, "x-batch-validation": "strict"},
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"data": [{"id"}]}` in order on success, `{"statusCode", "name", "message"}` on failure."""
        body = json_of(answer)
        if is_success(answer) and isinstance(body, dict) and isinstance(body.get("data"), list):
            errors = body.get("errors")
            if errors:
                return _partly(answer, request, body["data"], errors)
            return in_order(answer, request, _ids(body["data"]))
        return read_failure(answer, _complaint(body), RULES)


def make(settings: EspSettings) -> HttpEsp:
    """Resend with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = ResendDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, Bearer(settings.secret("RESEND_API_KEY", CAPABILITIES.name)))


# Building


@lru_cache(maxsize=16)
def _message(newsletter: Newsletter, letter: Letter, headers: str, *, notice: bool) -> Splice:
    """One message, with holes for the address, the unsubscribe link in letter and headers, the tags of a call
    and the delivery."""
    link = Hole("unsubscribe")
    own: tuple[str | Hole, ...] = () if notice else _own_headers(link)
    parts = split(letter)
    reply_to = f',"reply_to":{dump(display(newsletter.reply_to))}' if newsletter.reply_to else ""
    return Splice(
        f'{{"from":{dump(display(newsletter.sender))}{reply_to},"to":["',
        Hole("address"),
        f'"],"subject":{dump(letter.subject)},"html":"',
        parts.html,
        '","text":"',
        parts.text,
        f'","headers":{headers.removesuffix("}")}',
        *own,
        '},"tags":[',
        Hole("tags"),
        Hole("delivery"),
        '"}]}',
    )


def _own_headers(link: Hole) -> tuple[str | Hole, ...]:
    """What `unsubscribe_headers` says of a link, around the link."""
    before, after = dump(unsubscribe_headers(_SOME_LINK))[1:-1].split(_SOME_LINK)
    return f",{before}", link, after


_SOME_LINK = "https://link.invalid/"


def _addresses(recipients: Sequence[Recipient]) -> Sequence[str]:
    found = given_addresses(recipients)
    return found if plain_text(found) else [inside(written_address(address)) for address in found]


def _deliveries(recipients: Sequence[Recipient]) -> Sequence[str]:
    found = delivery_ids(recipients)
    odd = _NO_WORD.search("".join(found)) or max(map(len, found), default=0) > _LONGEST_WORD
    return [_word(delivery) for delivery in found] if odd else found


def _tags(mailing: Mailing, key: str) -> str:
    """Tags come back with every event: they tell which delivery it is about."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    return ",".join(_tag(name, value) for name, value in {**mailing.tags, **ours}.items())


def _tag(name: str, value: str) -> str:
    return f'{{"name":"{_word(name)}","value":"{_word(value)}"}}'


def _word(text: str) -> str:
    """Tags hold ASCII letters, digits, `_` and `-`, at most 256 of them."""
    return _NO_WORD.sub("_", text)[:_LONGEST_WORD]


_NO_WORD = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_WORD = 256


# Reading


def _complaint(body: Any) -> Complaint | None:
    if (
        isinstance(body, Mapping)
        and isinstance(body.get("name"), str)
        and isinstance(body.get("message"), str)
    ):
        return Complaint(code=body["name"], message=body["message"])
    return None


def _ids(data: Sequence[Any]) -> list[str | None]:
    found = [item.get("id") if isinstance(item, dict) else None for item in data]
    return [provider_id if isinstance(provider_id, str) else None for provider_id in found]


def _partly(answer: HttpAnswer, request: Request, data: Sequence[Any], errors: Any) -> Answer:
    """Some refused by index, the ids of the others in order (Resend's permissive mode).

    We ask for the strict mode, where a batch goes whole or not at all; should an account be set otherwise,
    each person still gets their own answer. Whatever does not add up is accepted without ids.
    """
    refused = _refusals(errors, len(request.recipients))
    ids = [provider_id for provider_id in _ids(data) if provider_id]
    if refused is None or len(set(ids)) != len(request.recipients) - len(refused):
        return accepted(answer, alarm="the provider took a batch in part and did not say which part")
    left = iter(ids)
    return accepted(
        answer,
        [
            Receipt(delivery_id=person.delivery_id, state=DeliveryState.REFUSED, reason=refused[index])
            if index in refused
            else Receipt(delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED, provider_id=next(left))
            for index, person in enumerate(request.recipients)
        ],
    )


def _refusals(errors: Any, count: int) -> dict[int, str] | None:
    """Reason by index, or None when `errors` is not in the documented shape."""
    if not isinstance(errors, list):
        return None
    reasons: dict[int, str] = {}
    for error in errors:
        index = error.get("index") if isinstance(error, Mapping) else None
        if type(index) is not int or not 0 <= index < count:
            return None
        reasons[index] = plain(str(error.get("message", "refused")))
    return reasons
