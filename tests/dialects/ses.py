"""Amazon SES's side of `SendBulkEmail` and `SendEmail` (the SES v2 service model and API reference).

Signatures are checked by AWS's own code. It renders in the worst way that the reference leaves open: values
are rendered again, and what has no value makes the message fail.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.dialects import Call, FakeDialect, Message, Outcome, Reply, Trouble, WrongRequest
from tests.dialects._mailboxes import as_mailbox, is_address, only_address

REGION = "eu-central-1"
KEY_ID, SECRET = "AKIAcanaryKEYID", "canary/secret+key"
BULK, ONE = "/v2/email/outbound-bulk-emails", "/v2/email/outbound-emails"


def _error(status: int, kind: str, message: str) -> Reply:
    return Reply(status=status, body={"message": message}, headers={"x-amzn-errortype": kind})


_TROUBLES = {
    Trouble.WRONG_KEY: _error(
        403,
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided.",
    ),
    Trouble.UNVERIFIED: _error(
        400,
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: "
        "brief@voorbeeld.example",
    ),
    Trouble.RATE_LIMIT: _error(429, "TooManyRequestsException:", "Maximum sending rate exceeded."),
    Trouble.QUOTA: _error(400, "LimitExceededException", "Daily message quota exceeded."),
    Trouble.BROKEN: _error(500, "InternalFailure", "An internal failure occurred."),
}


class Fake(FakeDialect):
    name = "ses"
    secrets: ClassVar[Mapping[str, str]] = {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
    }
    max_batch = 50
    refuses_whole = False
    tracking_flag = False
    retry_after = False

    def is_send(self, call: Call) -> bool:
        return call.method == "POST" and call.path in (BULK, ONE)

    def authorised(self, call: Call) -> bool:
        return call.headers.get("authorization") == signature(call)

    def messages(self, call: Call) -> list[Message]:
        body = call.json()
        if not isinstance(body, dict):
            raise WrongRequest(_error(400, "BadRequestException", "Could not parse the request."))
        if call.path == ONE:
            return [_simple(body)]
        entries = body["BulkEmailEntries"]
        if not 1 <= len(entries) <= self.max_batch:
            raise WrongRequest(_error(400, "BadRequestException", "1 to 50 destinations are required."))
        return [_rendered(body, entry) for entry in entries]

    def success(self, outcomes: Sequence[Outcome]) -> Reply:
        if outcomes and outcomes[0].message.meta.get("operation") == "SendEmail":
            return _of_one(outcomes[0])
        return Reply(status=200, body={"BulkEmailEntryResults": [_result(each) for each in outcomes]})

    def trouble(self, trouble: Trouble, messages: Sequence[Message]) -> Reply | None:
        return _TROUBLES.get(trouble)

    def as_read(self, text: str) -> str:
        """`&#123;` shows as a brace and a word joiner as nothing."""
        return html.unescape(text).replace("\u2060", "")


def signature(call: Call) -> str:
    """The Authorization header that AWS's own code makes for this request."""
    names = re.search(r"SignedHeaders=([a-z0-9;-]+)", call.headers.get("authorization", ""))
    if not names or "x-amz-date" not in call.headers:
        return "none"
    request = AWSRequest(
        call.method,
        f"http://{call.headers['host']}{call.target}",
        data=call.body,
        headers={name: call.headers[name] for name in names[1].split(";")},
    )
    request.context["timestamp"] = call.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(KEY_ID, SECRET), "ses", REGION)
    canonical = auth.canonical_request(request)
    signed = auth.signature(auth.string_to_sign(request, canonical), request)
    scope = f"{call.headers['x-amz-date'][:8]}/{REGION}/ses/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names[1]}, Signature={signed}"


def _result(outcome: Outcome) -> dict[str, str]:
    if outcome.refused:
        return {"Status": "INVALID_PARAMETER", "Error": f"{outcome.message.address}: {outcome.refused}"}
    return {"Status": "SUCCESS", "MessageId": outcome.provider_id}


def _of_one(outcome: Outcome) -> Reply:
    if outcome.refused:
        return _error(400, "BadRequestException", outcome.refused)
    return Reply(status=200, body={"MessageId": outcome.provider_id})


def _simple(body: Mapping[str, Any]) -> Message:
    simple = body["Content"]["Simple"]
    return _message(
        body,
        body["Destination"],
        subject=simple["Subject"]["Data"],
        html_part=simple["Body"]["Html"]["Data"],
        text=simple["Body"]["Text"]["Data"],
        headers=_pairs(simple.get("Headers", ())),
        tags={**_pairs(body.get("EmailTags", ())), "operation": "SendEmail"},
    )


def _rendered(body: Mapping[str, Any], entry: Mapping[str, Any]) -> Message:
    template = body["DefaultContent"]["Template"]
    own = entry.get("ReplacementEmailContent", {}).get("ReplacementTemplate", {})
    data = {
        **json.loads(template.get("TemplateData", "{}")),
        **json.loads(own.get("ReplacementTemplateData", "{}")),
    }
    content = template["TemplateContent"]
    return _message(
        body,
        entry["Destination"],
        subject=_render(content["Subject"], data),
        html_part=_render(content["Html"], data),
        text=_render(content["Text"], data),
        headers={**_pairs(template.get("Headers", ())), **_pairs(entry.get("ReplacementHeaders", ()))},
        tags=_pairs(entry.get("ReplacementTags", body.get("DefaultEmailTags", ()))),
    )


def _message(
    body: Mapping[str, Any],
    destination: Mapping[str, Sequence[str]],
    *,
    subject: str,
    html_part: str,
    text: str,
    headers: Mapping[str, str],
    tags: Mapping[str, str],
) -> Message:
    to = [*destination["ToAddresses"], *destination.get("CcAddresses", ())]
    if not all(map(is_address, to)):
        raise WrongRequest(_error(400, "BadRequestException", "Missing final '@domain'"))
    replies = body.get("ReplyToAddresses", [""])
    return Message(
        address=only_address(to[0]),
        visible=tuple(map(only_address, to)),
        sender=as_mailbox(body["FromEmailAddress"]),
        reply_to=as_mailbox(replies[0]) if replies[0] else "",
        subject=subject,
        html=html_part,
        text=text,
        headers=headers,
        meta=tags,
        tracking=None,
    )


def _pairs(items: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in items}


def _render(text: str, data: Mapping[str, str]) -> str:
    for _ in range(2):
        text = re.sub(r"(\\?)\{\{([^{}]*)\}\}", lambda found: _value(found, data), text)
    if "{{" in text:
        raise WrongRequest(_error(400, "BadRequestException", "The template does not parse."))
    return text


def _value(found: re.Match[str], data: Mapping[str, str]) -> str:
    if found[1] or found[2].strip() not in data:
        raise WrongRequest(_error(400, "BadRequestException", f"Rendering failure: {found[0]}"))
    return data[found[2].strip()]
