"""Mailjet: up to 50 messages a call, each rendered here, an answer for each; no idempotency key to rely on.

Facts: Mailjet's reference of Send API v3.1 (dev.mailjet.com/email/reference/send-emails), its guides
(github.com/mailjet/api-documentation) and the error shapes in its own SDKs, as of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from emails.delivery import (
    Answer,
    Capabilities,
    DeliveryState,
    Found,
    Receipt,
    Recipient,
    Request,
    Search,
    Sought,
)
from emails.edition import Letter, Mailbox, Mailing, Newsletter
from emails.esp.base import Ask, HttpEsp, post_json, written_address
from emails.esp.basic import Basic
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import Hole, Splice, dump, inside
from emails.esp.untemplated import without_placeholders
from emails.merge import split
from emails.message import edition_headers, own_headers
from emails.plainly import plain

BASE_URL = "https://api.mailjet.com"
CAPABILITIES = Capabilities(
    name="mailjet",
    max_batch=50,
    own_list_unsubscribe="no",
    search=Search(settle=timedelta(minutes=30)),
    notes=(
        "Mailjet puts its own List-Unsubscribe in the place of ours: the unsubscribe button of mail programs "
        "reaches Mailjet, not this newsletter. The link in the letter is ours.",
        "Mailjet's SDK sends an Idempotency-Key, but Mailjet promises nothing about it: we do not use it.",
        "How soon its message search is up to date is not documented: we wait half an hour, and take "
        '"not found" for no proof.',
        "Text with [[ in it: written so that it shows as it is; in plain text and subject an invisible word "
        "joiner is in it.",
    ),
)
RULES = Rules()
PLACEHOLDERS = re.compile(r"\[(?=\[)")
"""`[[var:name]]` and `[[data:name]]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailjetDialect:
    """Requests and answers of `POST /v3.1/send`, and the search `GET /v3/REST/message`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        message = _message(
            mailing.newsletter, mailing.letter, dump(edition_headers(mailing)), _payload(mailing, key)
        )
        pieces: list[bytes] = []
        for person in recipients:
            own = own_headers(mailing, person)
            values = {
                "address": inside(written_address(person.address)).encode(),
                "unsubscribe": person.unsubscribe_url.encode(),
                "headers": (f",{dump(own)[1:]}" if own else "}").encode(),
                "custom_id": inside(custom_id(mailing.edition, person.delivery_id)).encode(),
            }
            pieces += (b"," if pieces else b"", *message.fill(values))
        return post_json(
            f"{self.base_url}/v3.1/send", [b'{"Messages":[', *pieces, b"]}"], key=key, recipients=recipients
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"Messages": [{"Status", "To", "Errors"}]}` in order, also with a 4xx; else one error for all."""
        body = json_of(answer)
        results = _results(body)
        if results is None:
            return read_failure(answer, _complaint(body), RULES)
        if not any(_took(result) for result in results):
            return _all_refused(answer, request, results)
        pairs = _paired(request, results)
        if pairs is None:
            return accepted(answer, alarm="Mailjet took a batch and did not say which message is whose")
        return _one_by_one(answer, pairs)

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Look for each delivery by its CustomID, one call each, until time is up."""
        taken: dict[str, str | None] = {}
        for person in sought.recipients:
            wanted = custom_id(sought.edition, person.delivery_id)
            answer = ask(self._search(wanted))
            if isinstance(answer, NoAnswer):
                return Found(taken=taken, error=answer.error)
            body = json_of(answer)
            messages = body.get("Data") if isinstance(body, Mapping) else None
            if not is_success(answer) or not isinstance(messages, list):
                return Found(taken=taken, error=read_failure(answer, _complaint(body), RULES).error)
            for message in messages:
                if isinstance(message, Mapping) and message.get("CustomID") == wanted:
                    taken[person.delivery_id] = _id(message.get("ID"))
        return Found(taken=taken)

    def _search(self, wanted: str) -> Request:
        return Request(
            method="GET",
            url=f"{self.base_url}/v3/REST/message?CustomID={quote(wanted, safe='')}&ShowCustomID=true",
            headers={"accept": "application/json"},
            body=b"",
            key="",
        )


def make(settings: EspSettings) -> HttpEsp:
    """Mailjet with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = MailjetDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    credentials = Basic(
        settings.secret("MAILJET_API_KEY", CAPABILITIES.name),
        settings.secret("MAILJET_SECRET_KEY", CAPABILITIES.name),
    )
    return HttpEsp(dialect, credentials)


def custom_id(edition: str, delivery_id: str) -> str:
    """Names one delivery in Mailjet's records and events."""
    return f"{edition}.{delivery_id}"


# Building


@lru_cache(maxsize=16)
def _message(newsletter: Newsletter, letter: Letter, headers: str, payload: str) -> Splice:
    """One message, with holes for the address, the unsubscribe link in letter and headers, and the id.

    `TemplateLanguage` is off, so `{{…}}` is text; `[[var:…]]` and `[[data:…]]` are filled in all the same.
    """
    letter = without_placeholders(letter, PLACEHOLDERS)
    parts = split(letter)
    reply_to = f',"ReplyTo":{_box(newsletter.reply_to)}' if newsletter.reply_to else ""
    return Splice(
        f'{{"From":{_box(newsletter.sender)}{reply_to},"To":[{{"Email":"',
        Hole("address"),
        f'"}}],"Subject":{dump(letter.subject)},"HTMLPart":"',
        parts.html,
        '","TextPart":"',
        parts.text,
        f'","TemplateLanguage":false,"TrackOpens":"disabled","TrackClicks":"disabled",'
        f'"EventPayload":{dump(payload)},"CustomID":"',
        Hole("custom_id"),
        f'","Headers":{headers.removesuffix("}")}',
        Hole("headers"),
        "}",
    )


def _box(box: Mailbox) -> str:
    name = " ".join(box.name.split())
    return dump({"Email": written_address(box.address), **({"Name": name} if name else {})})


def _payload(mailing: Mailing, key: str) -> str:
    """Comes back with every event, beside the CustomID that names the delivery."""
    return dump(
        {**mailing.tags, "installation": mailing.installation, "edition": mailing.edition, "batch": key}
    )


# Reading


def _results(body: Any) -> list[Mapping[str, Any]] | None:
    """The results of the messages, or None when the body is not in that shape."""
    results = body.get("Messages") if isinstance(body, Mapping) else None
    if not isinstance(results, list) or not results:
        return None
    known = [
        each for each in results if isinstance(each, Mapping) and each.get("Status") in ("success", "error")
    ]
    return known if len(known) == len(results) else None


def _took(result: Mapping[str, Any]) -> bool:
    return bool(result["Status"] == "success")


Pair = tuple[Recipient, Mapping[str, Any]]


def _paired(request: Request, results: Sequence[Mapping[str, Any]]) -> list[Pair] | None:
    """Each recipient with their result: in order as documented, else by address; None when neither fits."""
    people = request.recipients
    if len(results) != len(people):
        return None
    if all(_is_about(result, person) for person, result in zip(people, results, strict=True)):
        return list(zip(people, results, strict=True))
    by_address = {_toldwritten_address(result): result for result in results}
    wanted = [written_address(person.address).lower() for person in people]
    if set(wanted) != set(by_address):
        return None
    return [(person, by_address[address]) for person, address in zip(people, wanted, strict=True)]


def _one_by_one(answer: HttpAnswer, pairs: Sequence[Pair]) -> Answer:
    """A receipt for each. An error of Mailjet's own (5xx) in a message's result leaves that one open: it
    counts as taken, without an id, and the operator is told."""
    receipts = [_receipt(person, result) for person, result in pairs]
    nameless = sum(each.state is DeliveryState.ACCEPTED and not each.provider_id for each in receipts)
    alarm = f"{nameless} of {len(receipts)} messages may or may not be taken: Mailjet gave them no id"
    return accepted(answer, receipts, alarm=alarm if nameless else None)


def _receipt(person: Recipient, result: Mapping[str, Any]) -> Receipt:
    error = None if _took(result) else _first_error(result)
    if error is not None and _status(error) < 500:
        reason = plain(f"{error['ErrorCode']}: {error['ErrorMessage']}")
        return Receipt(
            delivery_id=person.delivery_id,
            state=DeliveryState.REFUSED,
            reason=reason,
            again=_status(error) in (401, 403, 429),
        )
    provider_id = _id(_addressee(result).get("MessageID"))
    return Receipt(delivery_id=person.delivery_id, state=DeliveryState.ACCEPTED, provider_id=provider_id)


def _is_about(result: Mapping[str, Any], person: Recipient) -> bool:
    """A result without an address, such as an error, is taken on trust."""
    told = _toldwritten_address(result)
    return told is None or told == written_address(person.address).lower()


def _toldwritten_address(result: Mapping[str, Any]) -> str | None:
    email = _addressee(result).get("Email")
    return email.lower() if isinstance(email, str) else None


def _addressee(result: Mapping[str, Any]) -> Mapping[str, Any]:
    to = result.get("To")
    return to[0] if isinstance(to, list) and to and isinstance(to[0], Mapping) else {}


def _id(value: Any) -> str | None:
    return str(value) if type(value) in (int, str) and value else None


def _all_refused(answer: HttpAnswer, request: Request, results: Sequence[Mapping[str, Any]]) -> Answer:
    """What to do by the status that Mailjet gives the messages, whatever that of the call is: one that
    concerns the account before one that concerns an address. It proves nothing while a message is without a
    result or met an error of Mailjet's own."""
    errors = [_first_error(result) for result in results]
    known = [error for error in errors if error is not None and _status(error) < 500]
    if len(known) != len(request.recipients):
        return read_failure(answer, None, RULES)
    worst = max(known, key=lambda error: (_status(error) in (401, 403), _status(error) == 429))
    complaint = Complaint(code=str(worst["ErrorCode"]), message=str(worst["ErrorMessage"]))
    return read_failure(replace(answer, status=_status(worst)), complaint, RULES)


def _first_error(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    errors = result.get("Errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, Mapping) and "ErrorCode" in first and "ErrorMessage" in first else None


def _status(error: Mapping[str, Any]) -> int:
    status = error.get("StatusCode")
    return status if type(status) is int else 400


def _complaint(body: Any) -> Complaint | None:
    """One error for the whole call; that of a wrong key has no code."""
    if isinstance(body, Mapping) and isinstance(body.get("ErrorMessage"), str):
        return Complaint(code=str(body.get("ErrorCode") or "error"), message=body["ErrorMessage"])
    return None
