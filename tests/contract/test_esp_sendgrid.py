"""What we send to SendGrid and what we make of its answers, beside what every provider must do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from emails.delivery import Answer, AnswerClass, Found, Recipient, Request, Sought
from emails.edition import UNSUBSCRIBE_URL, Mailbox, Mailing
from emails.esp import make_esp
from emails.esp.http import HttpAnswer, NoAnswer
from emails.esp.sendgrid import CAPABILITIES, EU_URL, SendGridDialect
from tests.mailings import letter, mailing, people
from tests.specs import resolved, specification

KEY = "wb1-inst-1-2026-11-29-1-abc"
DIALECT = SendGridDialect(base_url="https://api.sendgrid.com", capabilities=CAPABILITIES)


def build(sent: Mailing | None = None, recipients: list[Recipient] | None = None) -> Request:
    return DIALECT.build(sent or mailing(), people(3) if recipients is None else recipients, KEY)


def body_of(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


# The request


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    spec = specification("sendgrid/tsg_mail_v3.yaml")
    body = resolved(spec["paths"]["/v3/mail/send"]["post"], spec)["requestBody"]
    return dict(body["content"]["application/json"]["schema"])


HOSTILE = [
    replace(people(1)[0], delivery_id='d"\\\n,{}', name='"},{"to":["x@y.example"]'),
    replace(people(2)[1], address="o'neil+tag@straße.example"),
]
CASES = {
    "one": build(recipients=people(1)),
    "full": build(recipients=people(1000)),
    "hostile": build(recipients=HOSTILE),
    "notice": build(replace(mailing(), notice=True), people(1)),
    "no-reply": build(replace(mailing(), newsletter=replace(mailing().newsletter, reply_to=None))),
}


@pytest.mark.parametrize("case", CASES)
def test_the_body_is_valid_by_the_vendors_schema(schema: dict[str, Any], case: str) -> None:
    body = body_of(CASES[case])
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)
    assert set(body) <= set(schema["properties"])
    known = schema["properties"]["personalizations"]["items"]["properties"]
    assert all(set(person) <= set(known) for person in body["personalizations"])
    assert set(body["tracking_settings"]) <= set(schema["properties"]["tracking_settings"]["properties"])
    assert len(body["personalizations"]) == len(CASES[case].recipients)


@pytest.mark.parametrize("name", ["from", "personalizations"])
def test_the_schema_check_can_fail(schema: dict[str, Any], name: str) -> None:
    body = body_of(build())
    del body[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize(("base_url", "host"), [(None, "api.sendgrid.com"), (EU_URL, "api.eu.sendgrid.com")])
def test_the_region_is_the_base_address(base_url: str | None, host: str) -> None:
    esp = make_esp(
        "sendgrid", base_url=base_url, env={"SENDGRID_API_KEY": "SG.x"}, outbox_folder=Path("unused")
    )
    request = esp.build(mailing(), people(1), KEY)
    assert (request.method, request.url) == ("POST", f"https://{host}/v3/mail/send")


@pytest.mark.standard("H-08")
def test_each_personalization_is_one_person_with_their_own_headers() -> None:
    body = body_of(build())
    for each, person in zip(body["personalizations"], people(3), strict=True):
        assert each["to"] == [{"email": person.address}]
        assert each["headers"] == {
            "Content-Language": "nl",
            "List-ID": "Weekbrief <weekbrief.voorbeeld.example>",
            "Feedback-ID": "2026-11-29:nl:weekbrief:voorbeeld",
            "List-Unsubscribe": f"<{person.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        assert each["substitutions"] == {UNSUBSCRIBE_URL: person.unsubscribe_url}
        assert each["custom_args"] == {
            "weekbrief_installation": "inst-1",
            "weekbrief_edition": "2026-11-29",
            "weekbrief_batch": KEY,
            "weekbrief_delivery": person.delivery_id,
        }
    assert "headers" not in body


def test_nothing_of_sendgrids_own_is_on() -> None:
    body = body_of(build())
    assert body["tracking_settings"] == {
        "click_tracking": {"enable": False, "enable_text": False},
        "open_tracking": {"enable": False},
        "subscription_tracking": {"enable": False},
    }
    assert not {"asm", "mail_settings", "template_id"} & set(body)
    assert body["categories"] == ["weekbrief-inst-1-2026-11-29"]


def test_the_letter_goes_once_and_whole() -> None:
    text = letter(subject='Wat "houd" je \\ vast? 🍂', filler="\u2028 {{x}} -naam- [unsubscribe] é")
    body = body_of(build(mailing(text=text)))
    assert body["subject"] == text.subject
    assert body["content"] == [
        {"type": "text/plain", "value": text.text},
        {"type": "text/html", "value": text.html},
    ]


def test_sendgrids_own_tags_in_a_text_are_kept_from_it() -> None:
    text = replace(letter(), text="<%asm_group_unsubscribe_raw_url%> <%open_click%> 5 <% 6")
    value = body_of(build(mailing(text=text)))["content"][0]["value"]
    assert "<%asm" not in value
    assert "<%open" not in value
    assert value.replace("\u2060", "") == text.text
    assert value.endswith("5 <% 6")


def test_odd_recipients_stay_inside_their_own_fields() -> None:
    people_ = body_of(build(recipients=HOSTILE))["personalizations"]
    assert [each["custom_args"]["weekbrief_delivery"] for each in people_] == ['d"\\\n,{}', "d00001"]
    assert people_[1]["to"] == [{"email": "o'neil+tag@xn--strae-oqa.example"}]


def test_a_sender_without_a_name_has_none() -> None:
    news = replace(mailing().newsletter, sender=Mailbox(address="b@voorbeeld.example", name=" "))
    assert body_of(build(replace(mailing(), newsletter=news)))["from"] == {"email": "b@voorbeeld.example"}


# Answers


def read(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read_answer(HttpAnswer(status=status, headers=headers or {}, body=data), build())


def error(message: str, field: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field, "help": None}]}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, b"", AnswerClass.ACCEPTED),
        (202, b"<html>", AnswerClass.UNCERTAIN),
        (200, b"", AnswerClass.UNCERTAIN),
        (204, b"", AnswerClass.UNCERTAIN),
        (400, error("No valid address.", "personalizations.3.to.0.email"), AnswerClass.REFUSED),
        (400, error("The from email does not contain a valid address.", "from.email"), AnswerClass.HOLD),
        (400, error("Bad Request"), AnswerClass.REFUSED),
        (400, {"errors": []}, AnswerClass.UNCERTAIN),
        (401, error("Maximum credits exceeded"), AnswerClass.HOLD),
        (403, b"", AnswerClass.HOLD),
        (404, error("not found"), AnswerClass.HOLD),
        (413, error("content too large"), AnswerClass.REFUSED),
        (429, error("too many requests"), AnswerClass.NOT_SENT),
        (500, error("internal server error"), AnswerClass.UNCERTAIN),
        (503, error("service not available"), AnswerClass.UNCERTAIN),
    ],
)
def test_answers(status: int, body: Any, kind: AnswerClass) -> None:
    assert read(status, body, {"x-message-id": "m1"} if status == 202 else {}).kind is kind


def test_one_id_stands_for_everyone() -> None:
    answer = read(202, headers={"x-message-id": "m1"})
    assert (answer.kind, answer.provider_id, answer.alarm) == (AnswerClass.ACCEPTED, "m1", None)


def test_taken_without_an_id_is_told() -> None:
    answer = read(202)
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


def test_an_empty_answer_that_broke_off_is_uncertain() -> None:
    answer = HttpAnswer(status=202, headers={"x-message-id": "m1"}, cut="the answer broke off")
    assert DIALECT.read_answer(answer, build()).kind is AnswerClass.UNCERTAIN


# Searching

SINCE = datetime(2026, 11, 29, 8, tzinfo=UTC)


class Logs:
    """The Email Logs, with these messages (id → address) of these batches (id → batch)."""

    def __init__(self, messages: dict[str, str], batches: dict[str, Any]) -> None:
        self.messages, self.batches = messages, batches
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> HttpAnswer | NoAnswer:
        self.asked.append(request)
        if request.method == "POST":
            return self._says(
                {"messages": [{"sg_message_id": i, "to_email": a} for i, a in self.messages.items()]}
            )
        message_id = request.url.rpartition("/")[2]
        return self._says({"custom_args": self.batches.get(message_id)})

    def _says(self, body: Any) -> HttpAnswer:
        return HttpAnswer(status=200, headers={}, body=json.dumps(body).encode())

    def find(self, count: int) -> Found:
        sought = Sought(
            installation="inst-1", edition="2026-11-29", key=KEY, since=SINCE, recipients=people(count)
        )
        return DIALECT.find(sought, self)

    @property
    def questions(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.asked if request.method == "POST"]


OURS, THEIRS = {"weekbrief_batch": KEY}, {"weekbrief_batch": "wb1-another"}


def test_a_call_is_ours_when_one_of_its_messages_says_so() -> None:
    everyone = {f"m1.recvd-{n}": person.address.upper() for n, person in enumerate(people(500))}
    logs = Logs(everyone, {"m1.recvd-0": OURS})
    found = logs.find(500)
    assert found == Found(taken={person.delivery_id: "m1" for person in people(500)})
    assert len(logs.asked) == 2


@pytest.mark.parametrize("said", [THEIRS, {}, None, [], "x"])
def test_another_letter_to_the_same_address_is_no_proof(said: Any) -> None:
    assert Logs({"m2.x": people(1)[0].address}, {"m2.x": said}).find(1) == Found()


def test_more_calls_than_we_look_at_is_said() -> None:
    found = Logs({f"m{n}.x": people(1)[0].address for n in range(50)}, {}).find(30)
    assert not found.taken
    assert found.error


def test_the_questions_are_valid_by_the_vendors_schema() -> None:
    spec = specification("sendgrid/tsg_logs_v3.yaml")
    operation = resolved(spec["paths"]["/v3/logs"]["post"], spec)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    for count in (2, 1000):
        logs = Logs({}, {})
        logs.find(count)
        for question in logs.questions:
            jsonschema.Draft202012Validator(schema).validate(question)
            assert set(question) <= set(schema["properties"])


def test_few_are_looked_up_by_address_and_many_by_the_editions_category() -> None:
    logs = Logs({}, {})
    logs.find(2)
    logs.find(500)
    common = (
        'sg_message_id_created_at >= TIMESTAMP "2026-11-29T07:55:00Z" '
        "AND categories IN ('weekbrief-inst-1-2026-11-29')"
    )
    assert [question["query"] for question in logs.questions] == [
        f'to_email = "lezer0@voorbeeld.example" AND {common}',
        f'to_email = "lezer1@voorbeeld.example" AND {common}',
        common,
    ]


def test_absence_is_no_proof() -> None:
    assert CAPABILITIES.search is not None
    assert not CAPABILITIES.search.complete
    assert not CAPABILITIES.keyed
