"""Amazon SES v2: up to 50 recipients a call, merged by SES, with headers and tags of their own.

A letter goes by `SendBulkEmail` with its template in the call; a notice by `SendEmail` as a finished letter.
There is no idempotency key and nothing that can be searched: a doubt is cleared by an event or a person.

SES renders a message after it took it. One that cannot be rendered is dropped, and only an event says so: so
nothing but our own field may look like a template (`emails.esp.literal`), and every field has a value.

Facts: the SES v2 service model (2019-09-27) as in botocore, the API reference (Template, BulkEmailEntry,
BulkEmailEntryResult) and the developer guide (inline templates, quotas), as of November 2026.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from emails.delivery import Answer, AnswerClass, Capabilities, DeliveryState, Receipt, Recipient, Request
from emails.edition import Letter, Mailbox, Mailing, Newsletter
from emails.esp.base import HttpEsp
from emails.esp.http import HttpAnswer
from emails.esp.links import addresses, check_links
from emails.esp.literal import Syntax, template
from emails.esp.reading import Complaint, Rules, accepted, is_success, json_of, read_failure, retry_after
from emails.esp.settings import EspSettings, EspSettingsError
from emails.esp.sigv4 import SigV4
from emails.esp.splice import Hole, Splice, dump, inside
from emails.message import edition_headers, mailbox_header
from emails.plainly import plain

SERVICE = "ses"
"""The name it is signed for, also in version 2."""
CAPABILITIES = Capabilities(
    name="ses",
    max_batch=50,
    max_bytes=900_000,
    own_list_unsubscribe="yes",
    notes=(
        "Open and click tracking belong to a configuration set: give the sending identity a default set "
        "without them.",
        "Nobody can ask SES what became of a batch. Event publishing of that configuration set tells it, by "
        "our tags.",
        "Text that looks like {{merge}} syntax shows as it is; in plain text and subject it has an invisible "
        "word joiner in it.",
        "New accounts are in a sandbox: verified recipients only, 200 a day.",
        "An inline template may have 1 MB, so a call stays under 0.9 MB.",
    ),
)
THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
RULES = Rules(
    hold=frozenset(
        {
            "LimitExceededException",
            "AccountSuspendedException",
            "SendingPausedException",
            "MailFromDomainNotVerifiedException",
            "NotFoundException",
            "UnknownOperationException",
            "unverified",
            "quota",
        }
    ),
)
LATER = frozenset({"ACCOUNT_THROTTLED", "TRANSIENT_FAILURE"})
"""Statuses of one message that was not taken and may go again."""
ACCOUNT = frozenset(
    {
        "MAIL_FROM_DOMAIN_NOT_VERIFIED",
        "CONFIGURATION_SET_NOT_FOUND",
        "TEMPLATE_NOT_FOUND",
        "ACCOUNT_SUSPENDED",
        "ACCOUNT_DAILY_QUOTA_EXCEEDED",
        "INVALID_SENDING_POOL_NAME",
        "ACCOUNT_SENDING_PAUSED",
        "CONFIGURATION_SET_SENDING_PAUSED",
    }
)
"""Statuses of one message that every other one would get as well."""
REFUSED = frozenset({"MESSAGE_REJECTED", "INVALID_PARAMETER", "FAILED"})
SYNTAX = Syntax(
    # {{name}}; also { or \ just before one of our own fields, and } just after it
    opening=re.compile(r"\{(?=\{|\Z)|\\\Z|(?P<after>\A\})"),
    field="{{{{{}}}}}".format,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SesDialect:
    """Requests and answers of `SendBulkEmail` and `SendEmail`."""

    base_url: str
    capabilities: Capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """One call for all of `recipients`.

        Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` for an unsubscribe link, a
        sender or a List-ID that no header can hold.
        """
        alone = mailing.notice and len(recipients) == 1
        path = "outbound-emails" if alone else "outbound-bulk-emails"
        body = _notice(mailing, recipients[0], key) if alone else _bulk(mailing, recipients, key)
        return Request(
            method="POST",
            url=f"{self.base_url}/v2/email/{path}",
            headers={"content-type": "application/json", "accept": "application/json"},
            body=body,
            key=key,
            recipients=tuple(recipients),
        )

    def read_answer(self, answer: HttpAnswer, request: Request) -> Answer:
        """`{"BulkEmailEntryResults": [{"Status", "MessageId", "Error"}]}` in order, also when none was taken;
        `{"MessageId"}` of a notice; `{"message"}` and the header `x-amzn-errortype` on failure."""
        body = json_of(answer)
        if is_success(answer) and isinstance(body, Mapping):
            results = body.get("BulkEmailEntryResults")
            if isinstance(results, list):
                return _results(answer, request, results)
            if isinstance(body.get("MessageId"), str):
                results = [{"Status": "SUCCESS", "MessageId": body["MessageId"]}]
                return _results(answer, request, results)
        complaint = _complaint(answer, body)
        read = read_failure(answer, complaint, RULES)
        if complaint and complaint.code in THROTTLED and 400 <= answer.status < 500:
            return replace(read, kind=AnswerClass.NOT_SENT, retry_after=retry_after(answer))
        return read


def make(settings: EspSettings) -> HttpEsp:
    """Amazon SES with the operator's settings. Raises `emails.esp.settings.EspSettingsError`."""
    name = CAPABILITIES.name
    region = settings.secret("AWS_REGION", name)
    if not re.fullmatch(r"[a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2}", region):
        raise EspSettingsError(f"AWS_REGION: {region!r} is no region; write it such as eu-central-1")
    has_token = bool(settings.env.get("AWS_SESSION_TOKEN", "").strip())
    signer = SigV4(
        access_key=settings.secret("AWS_ACCESS_KEY_ID", name),
        secret_key=settings.secret("AWS_SECRET_ACCESS_KEY", name),
        session_token=settings.secret("AWS_SESSION_TOKEN", name) if has_token else "",
        region=region,
        service=SERVICE,
    )
    url = settings.url(f"https://email.{region}.amazonaws.com")
    return HttpEsp(SesDialect(base_url=url, capabilities=settings.limited(CAPABILITIES)), signer)


# Building


def _bulk(mailing: Mailing, recipients: Sequence[Recipient], key: str) -> bytes:
    check_links(mailing, recipients)
    entry = _entry(mailing, key)
    pieces: list[bytes] = [
        _shared(mailing.newsletter, mailing.letter, dump(_headers(edition_headers(mailing))))
    ]
    for address, person in zip(addresses(recipients), recipients, strict=True):
        values = {
            "address": inside(address).encode(),
            "delivery": _word(person.delivery_id).encode(),
            "unsubscribe": person.unsubscribe_url.encode(),
        }
        pieces += (b"," if len(pieces) > 1 else b"", *entry.fill(values))
    return b"".join((*pieces, b"]}"))


def _entry(mailing: Mailing, key: str) -> Splice:
    """One recipient's part. A link needs no escaping, not even as JSON inside of JSON."""
    link = Hole("unsubscribe")
    headers: tuple[str | Hole, ...] = ("",)
    if not mailing.notice:
        one_click = dump(_headers({"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}))[1:-1]
        headers = ('{"Name":"List-Unsubscribe","Value":"<', link, f'>"}},{one_click}')
    return Splice(
        '{"Destination":{"ToAddresses":["',
        Hole("address"),
        f'"]}},"ReplacementTags":{dump(_tags(mailing, key))[:-1]},{{"Name":"delivery","Value":"',
        Hole("delivery"),
        '"}],"ReplacementEmailContent":{"ReplacementTemplate":{"ReplacementTemplateData":'
        '"{\\"unsubscribe\\":\\"',
        link,
        '\\"}"}},"ReplacementHeaders":[',
        *headers,
        "]}",
    )


@lru_cache(maxsize=16)
def _shared(newsletter: Newsletter, letter: Letter, headers: str) -> bytes:
    """What stands before the entries. The default of the link is never used, as every entry has its own; if
    it were, it would lead to the newsletter's pages instead of breaking the message."""
    written = template(letter, SYNTAX)
    content = {"Subject": written.subject, "Html": written.html, "Text": written.text}
    return (
        f"{dump(_people(newsletter))[:-1]}"
        f',"DefaultContent":{{"Template":{{"TemplateContent":{dump(content)}'
        f',"TemplateData":{dump(_data(newsletter.url))},"Headers":{headers}}}}}'
        ',"BulkEmailEntries":['
    ).encode()


def _notice(mailing: Mailing, person: Recipient, key: str) -> bytes:
    """A finished letter: nothing in it is a template."""
    letter = mailing.letter
    content = {
        "Subject": _text(letter.subject),
        "Body": {"Text": _text(letter.text), "Html": _text(letter.html)},
        "Headers": _headers(edition_headers(mailing)),
    }
    call = {
        **_people(mailing.newsletter),
        "Destination": {"ToAddresses": addresses([person])},
        "Content": {"Simple": content},
        "EmailTags": [*_tags(mailing, key), _tag("delivery", person.delivery_id)],
    }
    return dump(call).encode()


def _text(data: str) -> dict[str, str]:
    return {"Data": data, "Charset": "UTF-8"}


def _people(newsletter: Newsletter) -> dict[str, Any]:
    people: dict[str, Any] = {"FromEmailAddress": _mailbox("From", newsletter.sender)}
    if newsletter.reply_to:
        people["ReplyToAddresses"] = [_mailbox("Reply-To", newsletter.reply_to)]
    return people


def _mailbox(header: str, box: Mailbox) -> str:
    """SES wants names other than ASCII as encoded words (RFC 2047), on one line."""
    return mailbox_header(header, box).replace("\r\n", "")


def _data(link: str) -> str:
    return dump({"unsubscribe": link})


def _headers(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in headers.items()]


def _tags(mailing: Mailing, key: str) -> list[dict[str, str]]:
    """They come back with every event; each entry has them all, as nothing says how they add to defaults."""
    ours = {"installation": mailing.installation, "edition": mailing.edition, "batch": key}
    return [_tag(name, value) for name, value in {**mailing.tags, **ours}.items()]


def _tag(name: str, value: str) -> dict[str, str]:
    return {"Name": _word(name), "Value": _word(value)}


def _word(text: str) -> str:
    """Tags hold ASCII letters, digits, `_` and `-`, at most 256 of them."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:256]


# Reading


@dataclass(frozen=True, slots=True)
class _Result:
    """What SES says of one message."""

    status: str
    message_id: str | None
    error: str

    @property
    def reason(self) -> str:
        return f"{self.status}: {plain(self.error)}" if self.error else self.status


def _results(answer: HttpAnswer, request: Request, raw: Sequence[Any]) -> Answer:
    """Each message by its own status. None taken: the batch as a whole may go again, or not at all."""
    results = [_result(each) for each in raw]
    statuses = {result.status for result in results}
    strange = statuses - LATER - ACCOUNT - REFUSED - {"SUCCESS"}
    if strange or (len(results) != len(request.recipients) and statuses - {"SUCCESS"}):
        error = f"HTTP {answer.status}: results that fit no message of ours"
        return replace(accepted(answer), kind=AnswerClass.UNCERTAIN, error=error)
    if len(results) != len(request.recipients):
        wanted = len(request.recipients)
        return accepted(answer, alarm=f"SES took {wanted} messages and named {len(results)} of them")
    if "SUCCESS" not in statuses:
        for kind, those in ((AnswerClass.HOLD, ACCOUNT), (AnswerClass.NOT_SENT, LATER)):
            reasons = [result.reason for result in results if result.status in those]
            if reasons:
                return replace(accepted(answer), kind=kind, error=f"HTTP {answer.status}: {reasons[0]}")
    receipts = _receipts(request, results)
    return accepted(answer, receipts, alarm=_alarm(receipts))


def _result(raw: Any) -> _Result:
    found = raw if isinstance(raw, Mapping) else {}
    message_id = found.get("MessageId")
    return _Result(
        status=str(found.get("Status", "")),
        message_id=message_id if isinstance(message_id, str) and message_id else None,
        error=str(found.get("Error") or ""),
    )


def _receipts(request: Request, results: Sequence[_Result]) -> list[Receipt]:
    known = Counter(result.message_id for result in results)
    return [
        Receipt(
            delivery_id=person.delivery_id,
            state=DeliveryState.ACCEPTED,
            provider_id=result.message_id if known[result.message_id] == 1 else None,
        )
        if result.status == "SUCCESS"
        else Receipt(
            delivery_id=person.delivery_id,
            state=DeliveryState.REFUSED,
            reason=result.reason,
            again=result.status not in REFUSED,
        )
        for person, result in zip(request.recipients, results, strict=True)
    ]


def _alarm(receipts: Sequence[Receipt]) -> str | None:
    """What a person should look at: messages left out for no fault of theirs, or taken without an id."""
    later = [receipt.reason for receipt in receipts if receipt.again]
    if later:
        return f"SES left out {len(later)} of {len(receipts)} messages: {later[0]}"
    nameless = [each for each in receipts if each.state is DeliveryState.ACCEPTED and not each.provider_id]
    if nameless:
        return f"SES took {len(nameless)} of {len(receipts)} messages without an id of their own"
    return None


def _complaint(answer: HttpAnswer, body: Any) -> Complaint | None:
    """The error's name from the header, which may go on with `:http://…`, or from `__type`, which may begin
    with a namespace; the words from `message` or `Message`."""
    fields = body if isinstance(body, Mapping) else {}
    name = answer.headers.get("x-amzn-errortype") or fields.get("__type") or fields.get("code")
    message = fields.get("message", fields.get("Message"))
    if not isinstance(name, str) or not (message is None or isinstance(message, str)):
        return None
    code = name.partition(":")[0].rpartition("#")[2].strip()
    words = (message or "").lower()
    if "quota" in words:
        code = "quota"
    elif code == "MessageRejected" and "not verified" in words:
        # Of the sandbox or of the sender: no other batch would fare better.
        code = "unverified"
    return Complaint(code=code, message=message or code)
