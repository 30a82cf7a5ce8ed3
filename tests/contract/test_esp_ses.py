"""What we send to Amazon SES and what we make of its answers, beside what every provider must do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from emails.delivery import Answer, AnswerClass, DeliveryState, Recipient, Request
from emails.edition import UNSUBSCRIBE_URL, Mailbox, Mailing
from emails.esp import EspSettingsError, make_esp
from emails.esp.http import HttpAnswer
from emails.esp.ses import ACCOUNT, CAPABILITIES, LATER, REFUSED, SesDialect
from emails.esp.sigv4 import SigV4
from tests.mailings import letter, mailing, people
from tests.specs import specification

KEY = "wb1-inst-1-2026-11-29-1-abc"
ENV = {
    "AWS_ACCESS_KEY_ID": "AKIAcanary",
    "AWS_SECRET_ACCESS_KEY": "canary/secret",
    "AWS_REGION": "eu-central-1",
}
DIALECT = SesDialect(base_url="https://email.eu-central-1.amazonaws.com", capabilities=CAPABILITIES)


def build(sent: Mailing | None = None, recipients: list[Recipient] | None = None) -> Request:
    return DIALECT.build(sent or mailing(), people(3) if recipients is None else recipients, KEY)


def body_of(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


def content_of(request: Request) -> dict[str, str]:
    content: dict[str, str] = body_of(request)["DefaultContent"]["Template"]["TemplateContent"]
    return content


# The request


def installed_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sesv2")


def stored_model() -> ServiceModel:
    return ServiceModel(specification("amazon-ses/sesv2-2019-09-27-service-2.json"))


HOSTILE = [
    replace(people(1)[0], delivery_id='d"\\\n,{}', name='"},{"to":["x@y.example"]'),
    replace(people(2)[1], address="o'neil+tag@straße.example"),
]
NOTICE = build(replace(mailing(), notice=True), people(1))
CASES = {
    "one": build(recipients=people(1)),
    "full": build(recipients=people(50)),
    "hostile": build(recipients=HOSTILE),
    "notice": NOTICE,
    "no-reply": build(replace(mailing(), newsletter=replace(mailing().newsletter, reply_to=None))),
}


def complaints(model: ServiceModel, request: Request) -> str:
    """What AWS's own validator has against a request: its path, or its parameters."""
    operations = {"outbound-emails": "SendEmail", "outbound-bulk-emails": "SendBulkEmail"}
    operation = model.operation_model(operations[request.url.rpartition("/")[2]])
    assert request.url.endswith(operation.http["requestUri"])
    assert request.method == operation.http["method"]
    report = ParamValidator().validate(body_of(request), operation.input_shape)
    return str(report.generate_report())


@pytest.mark.parametrize("model", [installed_model, stored_model])
@pytest.mark.parametrize("case", CASES)
def test_the_body_is_valid_by_aws_own_validator(model: Any, case: str) -> None:
    assert complaints(model(), CASES[case]) == ""


def test_the_validator_can_complain() -> None:
    body = body_of(build())
    del body["DefaultContent"], body["BulkEmailEntries"][1]["ReplacementHeaders"][0]["Value"]
    found = complaints(installed_model(), replace(build(), body=json.dumps(body | {"X": 1}).encode()))
    assert "DefaultContent" in found
    assert '"Value"' in found
    assert 'Unknown parameter in input: "X"' in found


@pytest.mark.parametrize("case", CASES)
def test_headers_keep_to_the_models_patterns(case: str) -> None:
    """The validator leaves patterns alone."""
    shapes = specification("amazon-ses/sesv2-2019-09-27-service-2.json")["shapes"]
    headers = [found for found in walk(body_of(CASES[case])) if set(found) == {"Name", "Value"}]
    assert headers
    for header in headers:
        for field in ("Name", "Value"):
            shape = shapes[f"MessageHeader{field}"]
            assert re.fullmatch(shape["pattern"], header[field])
            assert shape["min"] <= len(header[field]) <= shape["max"]


def walk(node: Any) -> list[dict[str, Any]]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [
        *([node] if isinstance(node, dict) else []),
        *(found for child in children for found in walk(child)),
    ]


@pytest.mark.standard("H-08")
def test_each_entry_is_one_person_with_their_own_link() -> None:
    for entry, person in zip(body_of(build())["BulkEmailEntries"], people(3), strict=True):
        assert entry["Destination"] == {"ToAddresses": [person.address]}
        data = entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
        assert json.loads(data) == {"unsubscribe": person.unsubscribe_url}
        assert entry["ReplacementHeaders"] == [
            {"Name": "List-Unsubscribe", "Value": f"<{person.unsubscribe_url}>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        ]
        tags = {tag["Name"]: tag["Value"] for tag in entry["ReplacementTags"]}
        assert tags == {
            "installation": "inst-1",
            "edition": "2026-11-29",
            "batch": KEY,
            "delivery": person.delivery_id,
        }


def test_the_letter_goes_once_with_a_value_for_every_field() -> None:
    template = body_of(build())["DefaultContent"]["Template"]
    fields = set(re.findall(r"\{\{(\w+)\}\}", json.dumps(template["TemplateContent"])))
    assert fields == {"unsubscribe"} == set(json.loads(template["TemplateData"]))
    assert "ListManagementOptions" not in body_of(build())


def test_a_notice_is_no_template() -> None:
    text = letter(subject="{{x}}", filler="{{y}}")
    body = body_of(build(replace(mailing(text=text), notice=True), people(1)))
    simple = body["Content"]["Simple"]
    assert simple["Subject"]["Data"] == "{{x}}"
    assert simple["Body"]["Html"]["Data"] == text.html
    assert {header["Name"] for header in simple["Headers"]} == {"Content-Language", "Auto-Submitted"}
    assert body["Destination"] == {"ToAddresses": [people(1)[0].address]}


@pytest.mark.parametrize(
    "words", ["{{unsubscribe}}", "{{{x}}}", "{{#if a}}b{{/if}}", "{{{{raw}}}}", "{ {x} }", "a{", "a\\", "{{"]
)
def test_a_text_about_templates_is_kept_from_the_renderer(words: str) -> None:
    before, after = f"{words}", f"}}{words}"
    text = replace(
        letter(subject=words), text=f"{before}{UNSUBSCRIBE_URL}{after}", html=f"<p>{words}{UNSUBSCRIBE_URL}"
    )
    content = content_of(build(mailing(text=text)))
    for name, part in content.items():
        own = part.count("{{unsubscribe}}")
        assert own == (0 if name == "Subject" else 1)
        around = part.replace("{{unsubscribe}}", "§")
        assert "{{" not in around
        assert not re.search(r"[{\\]§|§\}", around)
    assert content["Text"].replace("\u2060", "") == f"{before}{{{{unsubscribe}}}}{after}"


def test_names_go_as_encoded_words_on_one_line() -> None:
    name = "Loslaten, één keer per week, voor wie dat nodig heeft en wil"
    news = replace(mailing().newsletter, sender=Mailbox(address="b@voorbeeld.example", name=name))
    sender = body_of(build(replace(mailing(), newsletter=news)))["FromEmailAddress"]
    assert sender.isascii()
    assert "\n" not in sender
    assert sender.endswith("<b@voorbeeld.example>")


# Signing


@pytest.mark.parametrize("token", ["", "canary-token=="])
@pytest.mark.parametrize(
    "url",
    [
        "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails",
        "http://127.0.0.1:4030/v2/email/outbound-bulk-emails",
        "https://email.eu-central-1.amazonaws.com:443",
        "https://email.eu-central-1.amazonaws.com/v2/email/a%20b/c~d?b=2&a=1%2F1&a=0&c=",
    ],
)
@pytest.mark.parametrize("body", [b"", "één".encode()])
def test_signatures_are_those_of_aws_own_code(url: str, token: str, body: bytes) -> None:
    signer = SigV4(
        access_key="AKIDEXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token=token,
        region="eu-central-1",
        service="ses",
        now=lambda: datetime(2026, 11, 29, 8, 0, 1, tzinfo=UTC),
    )
    request = Request(method="POST", url=url, headers={"content-type": "application/json"}, body=body, key="")
    ours = signer.headers(request)
    theirs = AWSRequest("POST", url, data=body, headers={"content-type": "application/json"})
    for name in set(ours) - {"authorization"}:
        theirs.headers[name] = ours[name]
    theirs.context["timestamp"] = ours["x-amz-date"]
    credentials = Credentials(signer.access_key, signer.secret_key, token or None)
    auth = SigV4Auth(credentials, "ses", "eu-central-1")
    expected = auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs)
    assert ours["x-amz-date"] == "20261129T080001Z"
    assert ours["authorization"].endswith(f", Signature={expected}")
    signed = auth.signed_headers(auth.headers_to_sign(theirs))
    assert f"SignedHeaders={signed}," in ours["authorization"]
    assert ours.get("x-amz-security-token", "") == token


def test_the_published_example_is_signed_as_published() -> None:
    """`get-vanilla` of AWS's Signature Version 4 test suite."""
    signer = SigV4(
        access_key="AKIDEXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        service="service",
        now=lambda: datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    request = Request(method="GET", url="https://example.amazonaws.com/", headers={}, body=b"", key="")
    assert signer.headers(request) == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    }


def test_a_signer_shows_no_secret() -> None:
    signer = SigV4(
        access_key="AKIDcanary", secret_key="sk-canary", session_token="st-canary", region="r", service="s"
    )
    assert "-canary" not in repr(signer)
    assert "canary" not in signer.hide("AKIDcanary sk-canary st-canary")


@pytest.mark.parametrize("region", ["Frankfurt", "eu-central-1.evil.example/", "eu", "eu-central"])
def test_a_region_that_is_none_is_refused(region: str) -> None:
    with pytest.raises(EspSettingsError, match="AWS_REGION"):
        make_esp("ses", env={**ENV, "AWS_REGION": region}, outbox_folder=Path("unused"))


def test_the_region_is_in_the_address_and_temporary_credentials_are_used() -> None:
    esp = make_esp("ses", env={**ENV, "AWS_SESSION_TOKEN": "canary-token"}, outbox_folder=Path("unused"))
    request = esp.build(mailing(), people(1), KEY)
    assert request.url == "https://email.eu-central-1.amazonaws.com/v2/email/outbound-bulk-emails"
    assert "canary" not in repr(esp)


# Answers


def read(
    status: int, body: Any, headers: dict[str, str] | None = None, request: Request | None = None
) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = HttpAnswer(status=status, headers=headers or {}, body=data)
    return DIALECT.read_answer(answer, request or build())


def results(*statuses: str, status: int = 200) -> Answer:
    items = [
        {"Status": each, "MessageId": f"m{n}"}
        if each == "SUCCESS"
        else {"Status": each, "Error": f"no a@b.example: {each}"}
        for n, each in enumerate(statuses)
    ]
    return read(status, {"BulkEmailEntryResults": items})


def test_every_documented_status_has_a_meaning() -> None:
    shapes = specification("amazon-ses/sesv2-2019-09-27-service-2.json")["shapes"]
    assert set(shapes["BulkEmailStatus"]["enum"]) == {"SUCCESS", *LATER, *ACCOUNT, *REFUSED}


def test_everyone_taken_has_their_own_id() -> None:
    answer = results("SUCCESS", "SUCCESS", "SUCCESS")
    assert [(each.delivery_id, each.provider_id) for each in answer.receipts] == [
        ("d00000", "m0"),
        ("d00001", "m1"),
        ("d00002", "m2"),
    ]
    assert answer.alarm is None


@pytest.mark.fault(58)
@pytest.mark.parametrize("status", sorted(LATER | ACCOUNT | REFUSED))
def test_one_left_out_is_told_apart_by_its_own_status(status: str) -> None:
    answer = results("SUCCESS", status, "SUCCESS")
    assert answer.kind is AnswerClass.ACCEPTED
    states = [each.state for each in answer.receipts]
    assert states == [DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.ACCEPTED]
    left_out = answer.receipts[1]
    assert left_out.again is (status not in REFUSED)
    assert left_out.reason == f"{status}: no <address>: {status}"
    assert (answer.alarm is None) == (status in REFUSED)


@pytest.mark.fault(55)
@pytest.mark.fault(56)
@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        (["ACCOUNT_THROTTLED"] * 3, AnswerClass.NOT_SENT),
        (["TRANSIENT_FAILURE", "MESSAGE_REJECTED", "ACCOUNT_THROTTLED"], AnswerClass.NOT_SENT),
        (["ACCOUNT_SUSPENDED"] * 3, AnswerClass.HOLD),
        (["ACCOUNT_THROTTLED", "ACCOUNT_DAILY_QUOTA_EXCEEDED", "FAILED"], AnswerClass.HOLD),
        (["MESSAGE_REJECTED", "INVALID_PARAMETER", "FAILED"], AnswerClass.ACCEPTED),
        (["SUCCESS", "SOMETHING_NEW", "SUCCESS"], AnswerClass.UNCERTAIN),
        (["SUCCESS", "FAILED"], AnswerClass.UNCERTAIN),
        (["SUCCESS", "SUCCESS"], AnswerClass.ACCEPTED),
        ([], AnswerClass.ACCEPTED),
    ],
)
def test_two_hundred_is_said_also_when_nobody_was_taken(statuses: list[str], kind: AnswerClass) -> None:
    answer = results(*statuses)
    assert answer.kind is kind
    assert bool(answer.receipts) == (kind is AnswerClass.ACCEPTED and len(statuses) == 3)
    if kind is AnswerClass.ACCEPTED:
        assert bool(answer.alarm) == (len(statuses) != 3)
    else:
        assert answer.error
        assert "a@b.example" not in answer.error


def test_ids_that_repeat_are_nobodys() -> None:
    items = [{"Status": "SUCCESS", "MessageId": each} for each in ("m1", "m1", None)]
    answer = read(200, {"BulkEmailEntryResults": items})
    assert [each.provider_id for each in answer.receipts] == [None] * 3
    assert answer.alarm


def test_a_notice_has_one_id() -> None:
    answer = read(200, {"MessageId": "m1"}, request=NOTICE)
    assert [(each.delivery_id, each.provider_id) for each in answer.receipts] == [("d00000", "m1")]


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "BadRequestException", "Missing final '@domain'", AnswerClass.REFUSED),
        (400, "MessageRejected", "The message contains a virus", AnswerClass.REFUSED),
        (400, "MessageRejected", "Email address is not verified.", AnswerClass.HOLD),
        (400, "SendingPausedException", "", AnswerClass.HOLD),
        (400, "AccountSuspendedException", "", AnswerClass.HOLD),
        (400, "MailFromDomainNotVerifiedException", "", AnswerClass.HOLD),
        (400, "LimitExceededException", "", AnswerClass.HOLD),
        (404, "NotFoundException", "Configuration set not found", AnswerClass.HOLD),
        (403, "InvalidSignatureException", "does not match", AnswerClass.HOLD),
        (403, "ExpiredTokenException", "expired", AnswerClass.HOLD),
        (429, "TooManyRequestsException", "Maximum sending rate exceeded.", AnswerClass.NOT_SENT),
        (429, "TooManyRequestsException", "Daily message quota exceeded.", AnswerClass.HOLD),
        (400, "ThrottlingException", "Rate exceeded", AnswerClass.NOT_SENT),
        (500, "InternalFailure", "", AnswerClass.UNCERTAIN),
        (503, "ServiceUnavailable", "", AnswerClass.UNCERTAIN),
        (503, "ThrottlingException", "", AnswerClass.UNCERTAIN),
    ],
)
def test_errors_by_name(status: int, name: str, message: str, kind: AnswerClass) -> None:
    by_header = read(
        status, {"message": message}, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/x"}
    )
    by_body = read(status, {"__type": f"com.amazonaws.sesv2#{name}", "Message": message})
    assert (by_header.kind, by_body.kind) == (kind, kind)


def test_ses_cannot_be_asked_and_says_so() -> None:
    esp = make_esp("ses", env=ENV, outbox_folder=Path("unused"))
    assert esp.capabilities.search is None
    assert esp.capabilities.key_life is None


def test_moto_takes_a_notice(tmp_path: Path) -> None:
    """An independent server of the same API; it knows no bulk call."""
    server = pytest.importorskip("moto.server", reason="moto is not installed; it is no part of the test set")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        esp = make_esp("ses", base_url=f"http://{host}:{port}", env=ENV, outbox_folder=tmp_path)
        notice = esp.build(replace(mailing(), notice=True), people(1), KEY)
        assert esp.submit(notice, 10.0).kind is AnswerClass.HOLD, "the sender is not verified yet"
        _verify(f"http://{host}:{port}")
        answer = esp.submit(notice, 10.0)
        esp.close()
    finally:
        running.stop()
    assert answer.kind is AnswerClass.ACCEPTED
    assert answer.receipts[0].provider_id


def _verify(url: str) -> None:
    client = botocore.session.get_session().create_client(
        "sesv2",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id="AKIAcanary",
        aws_secret_access_key="canary",
    )
    client.create_email_identity(EmailIdentity="brief@voorbeeld.example")
    client.close()
