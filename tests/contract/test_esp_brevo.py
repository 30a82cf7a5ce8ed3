"""Brevo's own ways: required bodies, header and name troubles, its rate window, its events."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from emails.delivery import Answer, AnswerClass, Request, Sought
from emails.edition import Mailbox
from emails.esp.brevo import CAPABILITIES, BrevoDialect
from emails.esp.http import HttpAnswer, NoAnswer
from tests.mailings import mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"
DIALECT = BrevoDialect(base_url="https://api.brevo.com/v3", capabilities=CAPABILITIES)


def body_of(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


def read(body: Any, status: int, headers: dict[str, str] | None = None, count: int = 2) -> Answer:
    answer = HttpAnswer(status=status, headers=headers or {}, body=json.dumps(body).encode())
    return DIALECT.read_answer(answer, DIALECT.build(mailing(), people(count), KEY))


def test_the_required_bodies_know_nobody() -> None:
    """They would reach a reader only if Brevo passed a version's own body over."""
    body = body_of(DIALECT.build(mailing(), people(2), KEY))
    for name in ("htmlContent", "textContent"):
        assert "https://brief.voorbeeld.example" in body[name]
        assert "token-" not in body[name]
        assert "WBMERGE" not in body[name]
    assert [version["to"] for version in body["messageVersions"]] == [
        [{"email": person.address}] for person in people(2)
    ]


def test_a_list_id_that_needs_encoding_goes_without_its_name() -> None:
    sent = replace(mailing(), list_id="Één brief <weekbrief.voorbeeld.example>")
    (version,) = body_of(DIALECT.build(sent, people(1), KEY))["messageVersions"]
    assert version["headers"]["List-ID"] == "<weekbrief.voorbeeld.example>"


def test_a_sender_name_that_brevo_would_drop_is_encoded() -> None:
    news = replace(mailing().newsletter, sender=Mailbox(address="b@voorbeeld.example", name="Één, twee"))
    body = body_of(DIALECT.build(replace(mailing(), newsletter=news), people(1), KEY))
    assert body["sender"]["name"].startswith("=?utf-8?")
    assert body["sender"]["name"].isascii()


def test_extra_tags_that_no_header_can_hold_are_left_out() -> None:
    sent = replace(mailing(), tags={"list": "één"})
    (version,) = body_of(DIALECT.build(sent, people(1), KEY))["messageVersions"]
    assert set(json.loads(version["headers"]["X-Mailin-custom"])) == {
        "installation",
        "edition",
        "batch",
        "delivery",
    }


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-sib-ratelimit-reset": "18"}, 18.0),
        ({"x-sib-ratelimit-reset": "1796112000"}, None),
        ({"x-sib-ratelimit-reset": "soon"}, None),
        ({"x-sib-ratelimit-reset": "18", "retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_a_rate_limit_waits_for_the_window(headers: dict[str, str], seconds: float | None) -> None:
    answer = read({"code": "too_many_requests", "message": "x"}, 429, headers)
    assert (answer.kind, answer.retry_after) == (AnswerClass.NOT_SENT, seconds)


@pytest.mark.parametrize("code", ["duplicate_parameter", "duplicate_request"])
def test_a_duplicate_key_error_is_a_doubt_for_a_person(code: str) -> None:
    answer = read({"code": code, "message": "x"}, 400)
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)


def sought() -> Sought:
    return Sought(
        installation="inst-1",
        edition="2026-11-29",
        key=KEY,
        since=datetime(2026, 11, 29, tzinfo=UTC),
        recipients=people(2),
    )


def test_an_event_of_another_tag_proves_nothing() -> None:
    """Should Brevo pass the filter over, everyone would seem to have this batch."""
    address = people(1)[0].address
    events = [
        {"email": address, "tag": "another", "messageId": "<1>"},
        {"email": people(2)[1].address.upper(), "tags": ["x", KEY], "messageId": "<2>"},
        {"email": "stranger@voorbeeld.example", "tag": KEY, "messageId": "<3>"},
    ]

    def ask(_request: Request) -> HttpAnswer | NoAnswer:
        return HttpAnswer(status=200, headers={}, body=json.dumps({"events": events}).encode())

    found = DIALECT.find(sought(), ask)
    assert (found.taken, found.error) == ({"d00001": "<2>"}, None)


def test_events_without_end_are_not_read_without_end() -> None:
    asked = []

    def ask(request: Request) -> HttpAnswer | NoAnswer:
        asked.append(request.url)
        return HttpAnswer(status=200, headers={}, body=json.dumps({"events": [{}] * 2500}).encode())

    assert DIALECT.find(sought(), ask).error
    assert len(asked) == len(set(asked)) == 8
