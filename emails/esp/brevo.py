"""Brevo: up to 1000 versions of a message a call, each rendered here; no key we rely on, a search by tag.

Facts: Brevo's API reference and guides, its own Python library, and what `django-anymail` found out about its
headers and names, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from email.header import Header
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from emails.delivery import Answer, AnswerClass, Capabilities, Found, Recipient, Request, Search, Sought
from emails.edition import Letter, Mailbox, Mailing
from emails.esp.base import Ask, HeaderKey, HttpEsp, post_json, written_address
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.reading import MAX_RETRY_AFTER, Complaint, Rules, in_order, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import Hole, Splice, dump, inside
from emails.esp.untemplated import without_placeholders
from emails.merge import split
from emails.message import edition_headers, own_headers
from emails.plainly import plain

BASE_URL = "https://api.brevo.com/v3"
CAPABILITIES = Capabilities(
    name="brevo",
    max_batch=1000,
    own_list_unsubscribe="no",
    search=Search(settle=timedelta(minutes=30)),
    notes=(
        "Brevo adds its own List-Unsubscribe to transactional mail; whether ours wins is not verified, so we "
        "say it does not. Look at a test letter.",
        "Open and click tracking are settings of the account, not of a message: switch them off there.",
        "Its idempotency key answers a repeat with an error, for 30 minutes, and its place in the request is "
        "not verified: we do not use it.",
        "The search by tag finds what was taken; how the tag must be written and how soon it is found are "
        "not verified, so what is not found stays in doubt.",
        "Our ids travel in the header X-Mailin-custom, which the recipient can see.",
        "The size limit of a call is not documented: we stay under 2 MB. Batch calls: at most 100 a minute.",
    ),
)
RULES = Rules(
    hold=frozenset({"not_enough_credits", "account_under_validation", "permission_denied", "unauthorized"}),
    changed=frozenset({"duplicate_parameter", "duplicate_request"}),
)
_SPECIALS = set('()<>[]:;@\\,."')
_PAGE, _PAGES = 2500, 8
"""The default size of a page of events, and how many of them we read at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrevoDialect:
    """Requests and answers of `POST /smtp/email`, and the search of `GET /smtp/statistics/events`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        letter = without_placeholders(mailing.letter)
        version = _version(letter, dump(_plain_headers(edition_headers(mailing))).removesuffix("}"))
        pieces = [f'{_envelope(mailing, letter)},"tags":[{dump(key)}],"messageVersions":['.encode()]
        for number, person in enumerate(recipients):
            ours = {**own_headers(mailing, person), "X-Mailin-custom": _custom(mailing, key, person)}
            values = {
                "address": inside(written_address(person.address)).encode(),
                "unsubscribe": person.unsubscribe_url.encode(),
                "headers": f",{dump(ours)[1:]}".encode(),
            }
            pieces += (b"," if number else b"", *version.fill(values))
        pieces.append(b"]}")
        return post_json(f"{self.base_url}/smtp/email", pieces, key=key, recipients=recipients)

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"messageIds": […]}` in order or `{"messageId"}` on success, `{"code", "message"}` on failure."""
        body = json_of(answer)
        ids = _ids(body) if is_success(answer) else None
        if ids is not None:
            return in_order(answer, request, ids)
        return _with_reset(read_failure(answer, _complaint(body), RULES), answer)

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Everyone for whom Brevo has any event with the batch's tag, told apart by their address."""
        deliveries = {
            written_address(person.address).lower(): person.delivery_id for person in sought.recipients
        }
        taken: dict[str, str | None] = {}
        for page in range(_PAGES):
            events = _events(ask(self._search(sought, page * _PAGE)))
            if isinstance(events, str):
                return Found(taken=taken, error=events)
            for event in events:
                delivery = deliveries.get(str(event.get("email", "")).lower())
                if delivery and sought.key in (event.get("tag"), *_listed(event.get("tags"))):
                    taken[delivery] = _text(event.get("messageId"))
            if len(events) < _PAGE:
                return Found(taken=taken)
        return Found(taken=taken, error=f"more than {_PAGE * _PAGES} events carry this batch's tag")

    def _search(self, sought: Sought, offset: int) -> Request:
        query = {"limit": _PAGE, "offset": offset, "tags": dump([sought.key])}
        return Request(
            method="GET",
            url=f"{self.base_url}/smtp/statistics/events?{urlencode(query)}",
            headers={"accept": "application/json"},
            body=b"",
            key=sought.key,
        )


def make(settings: EspSettings) -> HttpEsp:
    """Brevo with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = BrevoDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, HeaderKey("api-key", settings.secret("BREVO_API_KEY", CAPABILITIES.name)))


# Building


def _envelope(mailing: Mailing, letter: Letter) -> str:
    """What all versions share. The bodies here are required though every version has its own: their link
    leads to the newsletter's page, where nobody is known."""
    newsletter, parts = mailing.newsletter, split(letter)
    page = {"unsubscribe": newsletter.url}
    reply_to = f',"replyTo":{dump({"email": newsletter.reply_to.address})}' if newsletter.reply_to else ""
    return (
        f'{{"sender":{dump(_sender(newsletter.sender))}{reply_to},"subject":{dump(letter.subject)},'
        f'"htmlContent":{dump(parts.html.fill(page))},"textContent":{dump(parts.text.fill(page))}'
    )


@lru_cache(maxsize=16)
def _version(letter: Letter, headers: str) -> Splice:
    """One recipient's version, with holes for the address, the unsubscribe link and their own headers."""
    parts = split(letter)
    return Splice(
        '{"to":[{"email":"',
        Hole("address"),
        '"}],"htmlContent":"',
        parts.html,
        '","textContent":"',
        parts.text,
        f'","headers":{headers}',
        Hole("headers"),
        "}",
    )


def _sender(box: Mailbox) -> Mapping[str, str]:
    """Brevo drops a name that has a special and a non-ASCII character, unless it is encoded (RFC 2047)."""
    if not box.name:
        return {"email": box.address}
    name = box.name
    if not name.isascii() and _SPECIALS & set(name):
        name = Header(name, "utf-8").encode(linesep="")
    return {"name": name, "email": box.address}


def _plain_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Brevo decodes encoded words in headers of ours and sends raw UTF-8: such a List-ID goes without its
    name."""
    return {name: value[value.rfind("<") :] if "=?" in value else value for name, value in headers.items()}


def _custom(mailing: Mailing, key: str, person: Recipient) -> str:
    """Comes back with every event."""
    ours = {
        **mailing.tags,
        "installation": mailing.installation,
        "edition": mailing.edition,
        "batch": key,
        "delivery": person.delivery_id,
    }
    text = dump(ours)
    return text if text.isascii() else dump({name: ours[name] for name in ours if name not in mailing.tags})


# Reading


def _ids(body: Any) -> list[str | None] | None:
    """The ids in Brevo's shape, or None when this is not it."""
    if not isinstance(body, Mapping):
        return None
    if isinstance(body.get("messageIds"), list):
        return [_text(provider_id) for provider_id in body["messageIds"]]
    return [body["messageId"]] if _text(body.get("messageId")) else None


def _complaint(body: Any) -> Complaint | None:
    if (
        isinstance(body, Mapping)
        and isinstance(body.get("code"), str)
        and isinstance(body.get("message"), str)
    ):
        return Complaint(code=body["code"], message=plain(body["message"]))
    return None


def _with_reset(read: Answer, answer: HttpAnswer) -> Answer:
    """Brevo sends no `Retry-After`, but the seconds until its window starts again."""
    reset = answer.headers.get("x-sib-ratelimit-reset", "")
    if read.kind is not AnswerClass.NOT_SENT or read.retry_after is not None:
        return read
    if not (reset.isascii() and reset.isdigit() and float(reset) <= MAX_RETRY_AFTER):
        return read
    return replace(read, retry_after=float(reset))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# Searching


def _events(answer: HttpAnswer | NoAnswer) -> list[Mapping[str, Any]] | str:
    """The events of one page, or why there are none to read. Without any event the list itself is missing."""
    if isinstance(answer, NoAnswer):
        return answer.error
    body = json_of(answer)
    if is_success(answer) and isinstance(body, Mapping) and isinstance(body.get("events", []), list):
        return [event for event in body.get("events", []) if isinstance(event, Mapping)]
    complaint = _complaint(body)
    return f"HTTP {answer.status}: {complaint.message if complaint else 'not a list of events'}"


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
