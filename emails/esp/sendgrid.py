"""SendGrid: up to 1,000 personalizations a call, merged by SendGrid, with headers of their own.

Substitution tags are ours to choose. We choose our merge fields as they stand in every letter: no text of a
post may hold one, so nothing else in it is ever substituted.

An account of the European region sends through `https://api.eu.sendgrid.com` (provider.base_url). There is no
idempotency key, and 202 means no more than that the call was well-formed; the Email Logs tell the rest.

Facts: SendGrid's OpenAPI files (Mail API and Email Logs API, both 1.0.0), as of November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from emails.delivery import Answer, Capabilities, Found, Recipient, Request, Search, Sought
from emails.edition import MERGE_NAMES, Letter, Mailbox, Mailing, Newsletter
from emails.esp.base import Ask, Bearer, HttpEsp, post_json
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.links import addresses, check_links, delivery_ids, plain, unsubscribe_urls
from emails.esp.literal import Syntax, literal
from emails.esp.one_id import one_id
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure
from emails.esp.settings import EspSettings
from emails.esp.splice import dump, inside
from emails.message import edition_headers

BASE_URL = "https://api.sendgrid.com"
EU_URL = "https://api.eu.sendgrid.com"
CAPABILITIES = Capabilities(
    name="sendgrid",
    max_batch=1000,
    own_list_unsubscribe="yes",
    search=Search(settle=timedelta(minutes=30)),
    notes=(
        f"For a subuser of the European region set provider.base_url to {EU_URL}.",
        "Taken does not mean sent: an account under review drops messages later, and only its events say so.",
        "One id for all messages of a call; the ids of messages begin with it.",
        "The Email Logs keep 30 days and give 1,000 messages a question; what they leave out proves nothing.",
        "Unverified: how soon the Email Logs know of a message, so we wait half an hour; and whether they "
        "answer for subusers of the European region.",
        "Unverified: the size limit of a call. We stay under 2 MB.",
    ),
)
RULES = Rules(hold=frozenset({"not_found", "sender", "account"}))
ARGS = "weekbrief_"
"""How our custom arguments begin: in events they stand beside SendGrid's own fields."""
SYNTAX = Syntax(opening=re.compile(r"<(?=%(?:asm_|open_click))"), field=MERGE_NAMES.__getitem__)
"""SendGrid's own tags. In HTML a post's `<` is `&lt;` already."""

LIMIT = 1000
"""Messages that one question to the logs gives at most."""
ONE_BY_ONE = 20
"""Up to so many people are looked up each by their address."""
CLOCKS = timedelta(minutes=5)
"""How far our clock may be ahead of SendGrid's."""
MAX_CALLS = 20
"""Calls whose batch is looked at before we give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendGridDialect:
    """Requests and answers of `POST /v3/mail/send`, and the Email Logs."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`, a personalization each.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link or a
        List-ID that no header can hold.
        """
        check_links(mailing, recipients)
        people = _personalizations(mailing, key, addresses(recipients), recipients)
        head, tail = _around(
            mailing.newsletter, mailing.letter, category(mailing.installation, mailing.edition)
        )
        return post_json(
            f"{self.base_url}/v3/mail/send", (head, people.encode(), tail), key=key, recipients=recipients
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """202, nothing in it, `X-Message-Id` beside it on success; `{"errors": [{"message", "field"}]}` on
        failure. A 200 would be sandbox mode, which we never ask for, or a portal."""
        if answer.status == 202 and not answer.body and not answer.cut:
            message_id = answer.headers.get("x-message-id", "").strip()
            if message_id:
                return one_id(answer, message_id)
            return accepted(answer, alarm="SendGrid took the batch and gave it no id")
        return read_failure(answer, _complaint(answer.status, json_of(answer)), RULES)

    def find(self, sought: Sought, ask: Ask) -> Found:
        """Look in the Email Logs for the edition's category since the hand-over.

        The list knows addresses only. The ids of a call's messages begin alike, so one look at one of them
        tells which batch the whole call was.
        """
        return _Looking(self.base_url, sought, ask).found()


def make(settings: EspSettings) -> HttpEsp:
    """SendGrid with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    dialect = SendGridDialect(base_url=settings.url(BASE_URL), capabilities=settings.limited(CAPABILITIES))
    return HttpEsp(dialect, Bearer(settings.secret("SENDGRID_API_KEY", CAPABILITIES.name)))


# Building


def category(installation: str, edition: str) -> str:
    """The category of an edition, at most 255 characters. Categories are for groups: one an edition."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"weekbrief-{installation}-{edition}")[:255]


def _personalizations(mailing: Mailing, key: str, to: Sequence[str], recipients: Sequence[Recipient]) -> str:
    """Each recipient's part: to, headers, substitutions and custom arguments.

    All headers stand here and none at the top, as the specification does not say how the two combine.
    """
    ids = delivery_ids(recipients)
    if not (plain(to) and plain(ids)):
        to, ids = [*map(inside, to)], [*map(inside, ids)]
    headers = dump(edition_headers(mailing))[:-1]
    args = f'"custom_args":{dump(_arguments(mailing, key))[:-1]},"{ARGS}delivery":"'
    if mailing.notice:
        people = zip(to, ids, strict=True)
        return ",".join(
            [
                f'{{"to":[{{"email":"{address}"}}],"headers":{headers}}},{args}{id_}"}}}}'
                for address, id_ in people
            ]
        )
    one_click = f'{headers},"List-Unsubscribe-Post":"List-Unsubscribe=One-Click","List-Unsubscribe":"<'
    tag = f'"substitutions":{{{dump(MERGE_NAMES["unsubscribe"])}:"'
    links = unsubscribe_urls(recipients)
    return ",".join(
        [
            f'{{"to":[{{"email":"{address}"}}],"headers":{one_click}{link}>"}},{tag}{link}"}},{args}{id_}"}}}}'
            for address, id_, link in zip(to, ids, links, strict=True)
        ]
    )


def _arguments(mailing: Mailing, key: str) -> dict[str, str]:
    """What comes back with each event of any of them."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    return {f"{ARGS}{name}": value for name, value in {**mailing.tags, **ours}.items()}


@lru_cache(maxsize=16)
def _around(newsletter: Newsletter, letter: Letter, in_category: str) -> tuple[bytes, bytes]:
    """What stands before and after the personalizations."""
    call: dict[str, Any] = {"from": _mailbox(newsletter.sender)}
    if newsletter.reply_to:
        call["reply_to"] = _mailbox(newsletter.reply_to)
    call |= {
        "subject": literal(letter.subject, SYNTAX),
        "content": [
            {"type": "text/plain", "value": literal(letter.text, SYNTAX)},
            {"type": "text/html", "value": letter.html},
        ],
        "categories": [in_category],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    return b'{"personalizations":[', f"],{dump(call)[1:]}".encode()


def _mailbox(box: Mailbox) -> dict[str, str]:
    name = " ".join(box.name.split())
    return {"email": box.address, "name": name} if name else {"email": box.address}


# Reading


def _complaint(status: int, body: Any) -> Complaint | None:
    errors = body.get("errors") if isinstance(body, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, Mapping) or not isinstance(first.get("message"), str):
        return None
    message = first["message"]
    return Complaint(code=_code(status, str(first.get("field") or ""), message), message=message)


def _code(status: int, name: str, message: str) -> str:
    """SendGrid has no error codes: field and words tell what concerns the account and not this batch."""
    if status in (404, 405):
        return "not_found"
    if name == "from" or name.startswith(("from.", "reply_to")):
        return "sender"
    if re.search(r"credits|verified sender|not authorized|suspended|under review", message.lower()):
        return "account"
    return name or "error"


# Searching


@dataclass(slots=True)
class _Looking:
    """One search of the logs."""

    base_url: str
    sought: Sought
    ask: Ask
    taken: dict[str, str | None] = field(default_factory=dict)
    ours: dict[str, bool] = field(default_factory=dict)
    """By call: was it the batch we look for?"""

    def found(self) -> Found:
        deliveries = dict(
            zip(map(str.lower, addresses(self.sought.recipients)), self.sought.recipients, strict=True)
        )
        for query in self._queries(list(deliveries)):
            messages = self._messages(query)
            if isinstance(messages, str):
                return Found(taken=self.taken, error=messages)
            for message in messages:
                person = deliveries.get(str(message.get("to_email")).lower())
                error = self._weigh(message, person.delivery_id) if person else None
                if error:
                    return Found(taken=self.taken, error=error)
        return Found(taken=self.taken)

    def _weigh(self, message: Mapping[str, Any], delivery: str) -> str | None:
        """Take `message` as proof if its call was our batch. Gives why that cannot be told, or None."""
        message_id = message.get("sg_message_id")
        if not isinstance(message_id, str) or not message_id:
            return None
        call = message_id.partition(".")[0]
        if call not in self.ours:
            if len(self.ours) >= MAX_CALLS:
                return "too many calls since then; look at the Email Logs in SendGrid's own pages"
            body = self._detail(message_id)
            if isinstance(body, str):
                return body
            args = body.get("custom_args")
            self.ours[call] = isinstance(args, Mapping) and args.get(f"{ARGS}batch") == self.sought.key
        if self.ours[call]:
            self.taken[delivery] = call
        return None

    def _detail(self, message_id: str) -> Mapping[str, Any] | str:
        """All about one message, or why we do not know."""
        url = f"{self.base_url}/v3/logs/{quote(message_id, safe='')}"
        return _body(self.ask(Request(method="GET", url=url, headers=_JSON, body=b"", key="")))

    def _messages(self, query: str) -> list[Mapping[str, Any]] | str:
        """The messages that match, or why there is no list."""
        answer = self.ask(
            Request(
                method="POST",
                url=f"{self.base_url}/v3/logs",
                headers=_JSON,
                body=dump({"query": query, "limit": LIMIT}).encode(),
                key="",
            )
        )
        body = _body(answer)
        if isinstance(body, str):
            return body
        messages = body.get("messages")
        if not isinstance(messages, list):
            return "the Email Logs answered in a shape that we do not know"
        return [each for each in messages if isinstance(each, Mapping)]

    def _queries(self, to: Sequence[str]) -> Iterator[str]:
        since = (self.sought.since - CLOCKS).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        label = category(self.sought.installation, self.sought.edition)
        common = f"sg_message_id_created_at >= TIMESTAMP \"{since}\" AND categories IN ('{label}')"
        if len(to) > ONE_BY_ONE:
            yield common
            return
        for address in to:
            if re.fullmatch(r"[^\s\"\\]+", address):
                yield f'to_email = "{address}" AND {common}'


_JSON = {"content-type": "application/json", "accept": "application/json"}


def _body(answer: HttpAnswer | NoAnswer) -> Mapping[str, Any] | str:
    """The answer to a search, or why there is none."""
    if isinstance(answer, NoAnswer):
        return answer.error
    body = json_of(answer)
    if is_success(answer) and isinstance(body, Mapping):
        return body
    failure = read_failure(answer, _complaint(answer.status, body), RULES)
    return failure.error or f"HTTP {answer.status}"
