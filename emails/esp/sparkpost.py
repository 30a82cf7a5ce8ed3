"""SparkPost (Bird): up to 1,000 recipients a call, merged by SparkPost, with an idempotency key that replays.

An account lives in one region: `https://api.sparkpost.com/api/v1` (the default here) or
`https://api.eu.sparkpost.com/api/v1`.

Facts: SparkPost's API reference (github.com/SparkPost/developers.sparkpost.com: transmissions, events,
template language; idempotency keys since August 2026) and its Postman collection, as of November 2026.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from emails.delivery import (
    Answer,
    Capabilities,
    Found,
    Recipient,
    Request,
    Search,
    Sought,
)
from emails.edition import Letter, Mailbox, Mailing, Newsletter
from emails.esp.base import Ask, HttpEsp, display, post_json
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.links import addresses, check_links
from emails.esp.literal import Syntax, literal, template
from emails.esp.one_id import one_id
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import dump
from emails.message import edition_headers

BASE_URL = "https://api.sparkpost.com/api/v1"
EU_URL = "https://api.eu.sparkpost.com/api/v1"
CAPABILITIES = Capabilities(
    name="sparkpost",
    max_batch=1000,
    key_life=timedelta(hours=24),
    own_list_unsubscribe="no",
    search=Search(settle=timedelta(minutes=30)),
    notes=(
        f"An account lives in one region: for one in the European Union set provider.base_url to {EU_URL}.",
        "SparkPost puts a List-Unsubscribe of its own into every letter that is not transactional: the "
        "unsubscribe button of mail programs may reach SparkPost, not this newsletter. We do not call a "
        "newsletter transactional; a confirmation letter is.",
        "It documents no limit of recipients in a call: we stay at 1,000.",
        "Text with {{ in it: written so that it shows as it is; in plain text and subject an invisible word "
        "joiner is in it.",
        "Its events are kept for 10 days, and how soon they are complete is not documented: we wait half an "
        'hour, and take "not found" for no proof.',
    ),
)
SYNTAX = Syntax(
    opening=re.compile(r"\{(?=\{|\Z)"),
    # Three braces: the value as it is (SparkPost, template language, HTML escaping).
    field="{{{{{{{}}}}}}}".format,
)
RULES = Rules(
    # 7001: unverified sending domain. 1602: a key it cannot read. 420: over a sending limit.
    hold=frozenset({"7001", "1602", "420"}),
)
CONFLICT = Rules(hold=RULES.hold, busy=frozenset({"1601"}), changed=frozenset({"1600"}))
"""With a 409 only: elsewhere 1600 is "not found"."""

MAX_CAMPAIGN = 64
"""Bytes of a campaign_id."""
MAX_QUERY = 3500
"""Characters: an address may have 4,096."""
PAGE = 250
"""Events a page: they fit in the answer we read at most."""
MAX_PAGES = 20
CLOCKS = timedelta(minutes=5)
"""How far our clock may be ahead of SparkPost's."""
_EVENTS = (
    "injection,delivery,bounce,delay,out_of_band,policy_rejection,generation_failure,generation_rejection"
)
"""Each proves that SparkPost took the message."""


@dataclass(frozen=True, slots=True)
class PlainKey:
    """`Authorization: KEY`, without a scheme."""

    secret: str = field(repr=False)

    def headers(self, request: Request) -> Mapping[str, str]:
        return {"authorization": self.secret}

    def hide(self, text: str) -> str:
        return text.replace(self.secret, "<secret>")


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkPostDialect:
    """Requests and answers of `POST /transmissions`, and the search `GET /events/message`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`; SparkPost writes one message for each.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link, a
        List-ID or an address that no message can hold.
        """
        check_links(mailing, recipients)
        letter = _letter(mailing.newsletter, mailing.letter, dump(_headers(mailing)), mailing.notice)
        people = zip(addresses(recipients), recipients, strict=True)
        to = ",".join(_recipient(address, person, mailing.notice) for address, person in people)
        return post_json(
            f"{self.base_url}/transmissions",
            [letter, _about(mailing, key).encode(), b',"recipients":[', to.encode(), b"]}"],
            key=key,
            recipients=recipients,
            headers={"idempotency-key": key},
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"results": {"id", "total_accepted_recipients", …}}` on success, `{"errors"}` on failure."""
        body = json_of(answer)
        results = body.get("results") if isinstance(body, Mapping) else None
        if is_success(answer) and isinstance(results, Mapping):
            took = results.get("total_accepted_recipients")
            if type(took) is int and took > 0:
                return _taken(answer, request, results.get("id"), took)
        return read_failure(
            answer, _complaint(answer.status, body), CONFLICT if answer.status == 409 else RULES
        )

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Look in the events since the hand-over, some people a call."""
        taken: dict[str, str | None] = {}
        for query in _queries(sought):
            error = self._read_pages(query, sought, taken, ask)
            if error:
                return Found(taken=taken, error=error)
        return Found(taken=taken)

    def _read_pages(
        self, query: Mapping[str, str], sought: Sought, taken: dict[str, str | None], ask: Ask
    ) -> str | None:
        """Why the events could not be read to their end, or None."""
        deliveries = {person.delivery_id for person in sought.recipients}
        cursor: str | None = "initial"
        for _ in range(MAX_PAGES):
            page = _page(ask(self._search({**query, "cursor": cursor or ""})))
            if isinstance(page, str):
                return page
            events, cursor = page
            taken.update(_deliveries(events, deliveries))
            if not events or not cursor:
                return None
        return "the events go on for too long; look at them in SparkPost's app"

    def _search(self, query: Mapping[str, str]) -> Request:
        """Always at the address of our own choice: a page never sends the key elsewhere."""
        url = f"{self.base_url}/events/message?{urlencode(query)}"
        return Request(method="GET", url=url, headers={"accept": "application/json"}, body=b"", key="")


def make(settings: EspSettings) -> HttpEsp:
    """SparkPost with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = SparkPostDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, PlainKey(settings.secret("SPARKPOST_API_KEY", CAPABILITIES.name)))


# Building


@lru_cache(maxsize=16)
def _letter(newsletter: Newsletter, letter: Letter, headers: str, notice: bool) -> bytes:
    """The beginning of every call of an edition: options and content."""
    written = template(letter, SYNTAX)
    reply_to = newsletter.reply_to
    content = {
        "from": _box(newsletter.sender),
        **({"reply_to": literal(display(reply_to), SYNTAX)} if reply_to else {}),
        "subject": written.subject,
        "html": written.html,
        "text": written.text,
    }
    options = {
        "open_tracking": False,
        "initial_open": False,
        "click_tracking": False,
        "transactional": notice,
    }
    return f'{{"options":{dump(options)},"content":{dump(content)[:-1]},"headers":{headers}}},'.encode()


def _box(box: Mailbox) -> dict[str, str]:
    name = " ".join(box.name.split())
    return {"email": box.address, **({"name": literal(name, SYNTAX)} if name else {})}


def _headers(mailing: Mailing) -> dict[str, str]:
    headers = {name: literal(value, SYNTAX) for name, value in edition_headers(mailing).items()}
    if not mailing.notice:
        # Two braces: that is what SparkPost shows for headers, where nothing is escaped.
        headers["List-Unsubscribe"] = "<{{unsubscribe}}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _about(mailing: Mailing, key: str) -> str:
    """What comes back with every event, beside each recipient's delivery id (1,000 bytes in all)."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    campaign = campaign_of(mailing.installation, mailing.edition)
    return f'"campaign_id":{dump(campaign)},"metadata":{dump({**mailing.tags, **ours})}'


def campaign_of(installation: str, edition: str) -> str:
    """The campaign of an edition: ASCII, at most 64 bytes, nothing that a search takes for a list or a
    wildcard."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"weekbrief-{installation}-{edition}")
    if len(name) <= MAX_CAMPAIGN:
        return name
    return f"weekbrief-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _recipient(address: str, person: Recipient, notice: bool) -> str:
    values = {} if notice else {"unsubscribe": person.unsubscribe_url}
    return (
        f'{{"address":{{"email":{dump(address)}}},'
        f'"metadata":{{"delivery":{dump(person.delivery_id)}}},"substitution_data":{dump(values)}}}'
    )


# Reading


def _taken(answer: HttpAnswer, request: Request, transmission: Any, took: int) -> Answer:
    """All of them, or some: which ones SparkPost does not tell, so nobody is sent to again."""
    wanted = len(request.recipients)
    if took != wanted:
        return accepted(answer, alarm=f"SparkPost took {took} of {wanted} recipients and did not say which")
    if not (isinstance(transmission, str | int) and transmission):
        return accepted(answer, alarm="SparkPost took the batch and gave it no id")
    return one_id(answer, str(transmission))


def _complaint(status: int, body: Any) -> Complaint | None:
    """The first of `errors`. The status 420 stands for every sending limit of the account."""
    errors = body.get("errors") if isinstance(body, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, Mapping) or not isinstance(first.get("message"), str):
        return None
    description = first.get("description")
    words = f"{first['message']}: {description}" if isinstance(description, str) else first["message"]
    return Complaint(code="420" if status == 420 else str(first.get("code") or "error"), message=words)


# Searching


def _queries(sought: Sought) -> Iterator[dict[str, str]]:
    """One query for as many addresses as fit. A comma would make two of one: who has one stays in doubt."""
    common = {
        "campaigns": campaign_of(sought.installation, sought.edition),
        "events": _EVENTS,
        "from": (sought.since.astimezone(UTC) - CLOCKS).strftime("%Y-%m-%dT%H:%M"),
        "timezone": "UTC",
        "per_page": str(PAGE),
    }
    some: list[str] = []
    for address in addresses(sought.recipients):
        if "," in address:
            continue
        if some and len(urlencode({**common, "recipients": ",".join([*some, address])})) > MAX_QUERY:
            yield {**common, "recipients": ",".join(some)}
            some = []
        some.append(address)
    if some:
        yield {**common, "recipients": ",".join(some)}


def _page(answer: HttpAnswer | NoAnswer) -> tuple[list[Mapping[str, Any]], str | None] | str:
    """The events of a page and the cursor of the next, or why there are none."""
    if isinstance(answer, NoAnswer):
        return answer.error
    body = json_of(answer)
    events = body.get("results") if isinstance(body, Mapping) else None
    if not is_success(answer) or not isinstance(events, list):
        failure = read_failure(answer, _complaint(answer.status, body), RULES)
        return failure.error or f"HTTP {answer.status}"
    return [event for event in events if isinstance(event, Mapping)], _next(body.get("links"))


def _next(links: Any) -> str | None:
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            return parse_qs(urlsplit(link["href"]).query).get("cursor", [None])[0]
    return None


def _deliveries(events: Sequence[Mapping[str, Any]], wanted: set[str]) -> Iterator[tuple[str, str | None]]:
    """Only an event with our own delivery id proves anything: an address may have had a test letter."""
    for event in events:
        about = event.get("rcpt_meta")
        delivery = about.get("delivery") if isinstance(about, Mapping) else None
        if isinstance(delivery, str) and delivery in wanted:
            transmission = event.get("transmission_id")
            yield delivery, str(transmission) if transmission else None
