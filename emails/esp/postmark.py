"""Postmark: up to 500 messages a call, each rendered here; no idempotency key, but a search by metadata.

Facts: Postmark's OpenAPI file (old), its developer pages and support articles, as of November 2026.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from emails.delivery import (
    Answer,
    AnswerClass,
    Capabilities,
    DeliveryState,
    Found,
    Receipt,
    Recipient,
    Request,
    Search,
    Sought,
)
from emails.edition import Letter, Mailing, Newsletter
from emails.esp.base import Ask, HeaderKey, HttpEsp, display, post_json
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings, EspSettingsError
from emails.esp.splice import Hole, Splice, dump, inside
from emails.esp.untemplated import without_placeholders
from emails.merge import split
from emails.message import HeaderError, ascii_address, edition_headers, own_headers
from emails.plainly import plain

BASE_URL = "https://api.postmarkapp.com"
LETTERS, NOTICES = "broadcast", "outbound"
"""Message streams that every new server has: newsletters must go by a broadcast stream."""
CAPABILITIES = Capabilities(
    name="postmark",
    max_batch=500,
    max_bytes=10_000_000,
    own_list_unsubscribe="account-setting",
    search=Search(settle=timedelta(minutes=15)),
    notes=(
        "A broadcast stream adds Postmark's own List-Unsubscribe and footer link, unless Postmark's support "
        "has approved your own unsubscribe handling for the stream (`UnsubscribeHandlingType`: `None`).",
        "Letters go by the stream `broadcast`, notices by `outbound`; the server must have both.",
        "No idempotency key. The search by metadata finds what was taken; Postmark does not say how soon, "
        "nor that it leaves nothing out, so what is not found stays in doubt.",
        "A call may hold 50 MB; we stay under 10 MB.",
    ),
)
_ACCOUNT = frozenset({"10", "400", "401", "405", "412", "413", "1235"})
"""Codes of an account, sender or stream that cannot send, whoever the recipient is."""
RULES = Rules(hold=_ACCOUNT)
_TEST_TOKEN = "POSTMARK_API_TEST"  # noqa: S105 - Postmark's public test token
_PM_PLACEHOLDER = re.compile(r"\{(?=\{{1,2}\s*pm:)", re.IGNORECASE)
"""`{{{ pm:unsubscribe }}}`, which Postmark fills in on broadcast streams."""
_VALUE_LENGTH = 80
"""Longest metadata value."""
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PostmarkDialect:
    """Requests and answers of `POST /email/batch`, and the search of `GET /messages/outbound`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        headers = _pairs(edition_headers(mailing))
        message = _message(mailing.newsletter, mailing.letter, headers)
        shared = _shared(mailing, key)
        pieces: list[bytes] = []
        for person in recipients:
            own = own_headers(mailing, person)
            values = {
                "address": inside(_address(person.address)).encode(),
                "unsubscribe": person.unsubscribe_url.encode(),
                "headers": (f",{_pairs(own)}" if own else "").encode(),
                "shared": f'{shared},"delivery":{dump(_value(person.delivery_id))}'.encode(),
            }
            pieces += (b"," if pieces else b"[", *message.fill(values))
        pieces.append(b"]" if pieces else b"[]")
        return post_json(f"{self.base_url}/email/batch", pieces, key=key, recipients=recipients)

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """A result for each message, in order; each has its own `ErrorCode`, 0 or none for success."""
        results = json_of(answer)
        if not (
            is_success(answer) and isinstance(results, list) and results and all(map(_is_result, results))
        ):
            return read_failure(answer, _complaint(results), RULES)
        return _stopped(answer, results) or _each(answer, request.recipients, results)

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Every message that carries the batch as metadata, told apart by the delivery it carries too."""
        taken: dict[str, str | None] = {}
        deliveries = {_value(person.delivery_id): person.delivery_id for person in sought.recipients}
        for offset in range(0, max(_PAGE, len(sought.recipients) * 2), _PAGE):
            page = _page(ask(self._search(sought, offset)))
            if isinstance(page, str):
                return Found(taken=taken, error=page)
            for message in page:
                delivery = deliveries.get(_delivery(message, sought) or "")
                if delivery:
                    taken[delivery] = _text(message.get("MessageID"))
            if len(page) < _PAGE:
                break
        return Found(taken=taken)

    def _search(self, sought: Sought, offset: int) -> Request:
        query = {
            "count": _PAGE,
            "offset": offset,
            "messagestream": LETTERS,
            "metadata_batch": _value(sought.key),
        }
        return Request(
            method="GET",
            url=f"{self.base_url}/messages/outbound?{urlencode(query)}",
            headers={"accept": "application/json"},
            body=b"",
            key=sought.key,
        )


def make(settings: EspSettings) -> HttpEsp:
    """Postmark with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    token = settings.secret("POSTMARK_SERVER_TOKEN", CAPABILITIES.name)
    if token == _TEST_TOKEN:
        raise EspSettingsError(
            f"POSTMARK_SERVER_TOKEN is Postmark's test token {_TEST_TOKEN}, which mails nobody: "
            "put the token of your server there"
        )
    dialect = PostmarkDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, HeaderKey("x-postmark-server-token", token))


# Building


def _shared(mailing: Mailing, key: str) -> str:
    """Stream, tracking, tag and the metadata that all messages share, as the rest of a JSON object."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    metadata = {_name(name): _value(value) for name, value in {**mailing.tags, **ours}.items()}
    stream = NOTICES if mailing.notice else LETTERS
    tracking = '"TrackOpens":false,"TrackLinks":"None"'
    return (
        f'"MessageStream":{dump(stream)},{tracking},"Tag":{dump(mailing.edition)},'
        f'"Metadata":{dump(metadata).removesuffix("}")}'
    )


@lru_cache(maxsize=16)
def _message(newsletter: Newsletter, letter: Letter, headers: str) -> Splice:
    """One message, with holes for the address, the unsubscribe link, the batch and the delivery."""
    safe = without_placeholders(letter, _PM_PLACEHOLDER)
    parts = split(safe)
    reply_to = f'"ReplyTo":{dump(display(newsletter.reply_to))},' if newsletter.reply_to else ""
    return Splice(
        f'{{"From":{dump(display(newsletter.sender))},{reply_to}"To":"',
        Hole("address"),
        f'","Subject":{dump(safe.subject)},"HtmlBody":"',
        parts.html,
        '","TextBody":"',
        parts.text,
        f'","Headers":[{headers}',
        Hole("headers"),
        "],",
        Hole("shared"),
        "}}",
    )


def _pairs(headers: Mapping[str, str]) -> str:
    """Headers as Postmark writes them: a list of names and values."""
    return ",".join(dump({"Name": name, "Value": value}) for name, value in headers.items())


def _address(address: str) -> str:
    """With the domain in ASCII. `To` is a list in one text: what could be read as several addresses, or none,
    goes as something that Postmark surely refuses."""
    if re.search(r"[\s,;<>\"\\\x00-\x1f\x7f]", address):
        return "not-an-address"
    if address.isascii():
        return address
    try:
        return ascii_address(address)
    except HeaderError:
        return address


def _name(text: str) -> str:
    """Names of metadata have at most 20 characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:20]


def _value(text: str) -> str:
    """`text` as a metadata value: at most 80 printable ASCII characters, else a hash of it."""
    if len(text) <= _VALUE_LENGTH and text.isascii() and text.isprintable():
        return text
    return hashlib.sha256(text.encode()).hexdigest()


# Reading


def _is_result(result: Any) -> bool:
    """An accepted message, or an error in Postmark's shape."""
    if not isinstance(result, Mapping):
        return False
    return _code(result) != "0" if not _text(result.get("MessageID")) else _code(result) is not None


def _code(result: Mapping[str, Any]) -> str | None:
    """The error code of one message; "0", also where there is none, is success."""
    code = result.get("ErrorCode", 0)
    return str(code) if type(code) is int else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _complaint(body: Any) -> Complaint | None:
    """`{"ErrorCode", "Message"}`. The numbers look like HTTP statuses and are none."""
    if (
        isinstance(body, Mapping)
        and type(body.get("ErrorCode")) is int
        and isinstance(body.get("Message"), str)
    ):
        return Complaint(code=str(body["ErrorCode"]), message=plain(body["Message"]))
    return None


def _stopped(answer: HttpAnswer, results: Sequence[Mapping[str, Any]]) -> Answer | None:
    """HTTP 200 although the account may not send: a hold, when that is what every message was told."""
    if not all(_code(result) in _ACCOUNT for result in results):
        return None
    said = plain(str(results[0].get("Message", "")))
    return Answer(
        kind=AnswerClass.HOLD,
        http_status=answer.status,
        error=f"HTTP {answer.status}, every message refused, {_code(results[0])}: {said}",
        body_sha256=hashlib.sha256(answer.body).hexdigest(),
    )


def _each(
    answer: HttpAnswer, recipients: Sequence[Recipient], results: Sequence[Mapping[str, Any]]
) -> Answer:
    """Each person by their own result. Results repeat the address of those taken, so that the order need not
    be believed; what does not add up is accepted without ids."""
    pairs = _paired(recipients, results)
    if pairs is None:
        return accepted(
            answer,
            alarm=f"{len(results)} results came for {len(recipients)} messages, and they do not match",
        )
    stopped = sum(_code(result) in _ACCOUNT for _, result in pairs)
    alarm = (
        f"Postmark stopped taking messages: {stopped} of {len(pairs)} were refused for it"
        if stopped
        else None
    )
    return accepted(answer, [_receipt(person, result) for person, result in pairs], alarm=alarm)


def _paired(
    recipients: Sequence[Recipient], results: Sequence[Mapping[str, Any]]
) -> list[tuple[Recipient, Mapping[str, Any]]] | None:
    if len(results) != len(recipients) or _repeated(_text(result.get("MessageID")) for result in results):
        return None
    in_order = list(zip(recipients, results, strict=True))
    if all(_fits(person, result) for person, result in in_order):
        return in_order
    by_address = {_address(person.address).lower(): person for person in recipients}
    told = [(by_address.get(str(result.get("To", "")).lower()), result) for result in results]
    pairs = [(person, result) for person, result in told if person is not None]
    whole = len(pairs) == len(by_address) == len(recipients)
    return pairs if whole and not _repeated(person.delivery_id for person, _ in pairs) else None


def _fits(person: Recipient, result: Mapping[str, Any]) -> bool:
    to = _text(result.get("To"))
    return to is None or to.lower() == _address(person.address).lower()


def _repeated(values: Iterable[str | None]) -> bool:
    return any(count > 1 for value, count in Counter(values).items() if value)


def _receipt(person: Recipient, result: Mapping[str, Any]) -> Receipt:
    if _code(result) == "0":
        return Receipt(
            delivery_id=person.delivery_id,
            state=DeliveryState.ACCEPTED,
            provider_id=_text(result.get("MessageID")),
        )
    said = plain(str(result.get("Message", "")))
    return Receipt(
        delivery_id=person.delivery_id, state=DeliveryState.REFUSED, reason=f"{_code(result)}: {said}"
    )


# Searching


def _page(answer: HttpAnswer | NoAnswer) -> list[Mapping[str, Any]] | str:
    """The messages of one page, or why there are none to read."""
    if isinstance(answer, NoAnswer):
        return answer.error
    body = json_of(answer)
    messages = body.get("Messages") if isinstance(body, Mapping) else None
    if not is_success(answer) or not isinstance(messages, list):
        complaint = _complaint(body)
        return f"HTTP {answer.status}: {complaint.message if complaint else 'not a list of messages'}"
    return [message for message in messages if isinstance(message, Mapping)]


def _delivery(message: Mapping[str, Any], sought: Sought) -> str | None:
    """Which delivery a message of the list is, if it is of our batch: a filter may be passed over."""
    metadata = message.get("Metadata")
    if not isinstance(metadata, Mapping) or metadata.get("batch") != _value(sought.key):
        return None
    return _text(metadata.get("delivery"))
