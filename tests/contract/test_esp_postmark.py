"""Postmark's own ways: its specification, results for each message, streams, the search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from emails.delivery import Answer, AnswerClass, DeliveryState, Recipient, Request
from emails.esp import EspSettingsError, make_esp
from emails.esp.http import HttpAnswer
from emails.esp.postmark import CAPABILITIES, PostmarkDialect
from tests.contract.specifications import specification
from tests.mailings import mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"
DIALECT = PostmarkDialect(base_url="https://api.postmarkapp.com", capabilities=CAPABILITIES)
NEWER = {"MessageStream", "Metadata"}
"""Fields that are younger than the specification."""


def build(recipients: Sequence[Recipient] | None = None, key: str = KEY) -> Request:
    return DIALECT.build(mailing(), people(3) if recipients is None else recipients, key)


def read(results: Any, count: int = 3, status: int = 200) -> Answer:
    answer = HttpAnswer(status=status, headers={}, body=json.dumps(results).encode())
    return DIALECT.read_answer(answer, build(people(count)))


def taken(number: int, **other: Any) -> dict[str, Any]:
    return {
        "To": f"lezer{number}@voorbeeld.example",
        "MessageID": f"m{number}",
        "ErrorCode": 0,
        "Message": "OK",
        **other,
    }


INACTIVE = {"ErrorCode": 406, "Message": "You tried to send to lezer1@voorbeeld.example, which is inactive."}
NO_CREDITS = {"ErrorCode": 405, "Message": "Not allowed to send."}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of the body of `POST /email/batch`."""
    operation = specification("postmark/server.yml", "paths", "/email/batch", "post")
    found = [each["schema"] for each in operation["parameters"] if each["in"] == "body"]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("count", [1, 500])
def test_the_body_is_valid_by_the_vendors_schema(schema: dict[str, Any], count: int) -> None:
    messages = json.loads(build(people(count)).body)
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(messages)
    known = set(schema["items"]["properties"]) | NEWER
    assert all(set(message) <= known for message in messages)
    assert len(messages) == count


def test_the_schema_check_can_fail(schema: dict[str, Any]) -> None:
    messages = json.loads(build().body)
    messages[1]["TrackLinks"] = "Maybe"
    with pytest.raises(jsonschema.ValidationError, match="Maybe"):
        jsonschema.Draft4Validator(schema).validate(messages)


def test_letters_go_by_the_broadcast_stream_and_notices_by_the_other() -> None:
    (message,) = json.loads(build(people(1)).body)
    assert (message["MessageStream"], message["TrackOpens"], message["TrackLinks"]) == (
        "broadcast",
        False,
        "None",
    )
    notice = json.loads(DIALECT.build(replace(mailing(), notice=True), people(1), KEY).body)
    assert notice[0]["MessageStream"] == "outbound"


def test_metadata_keeps_to_its_limits_whatever_the_key() -> None:
    long = "wb1-" + "x" * 200
    metadata = json.loads(build(people(1), long).body)[0]["Metadata"]
    assert all(len(name) <= 20 and len(value) <= 80 for name, value in metadata.items())
    assert metadata["batch"] != json.loads(build(people(1), long + "y").body)[0]["Metadata"]["batch"]


@pytest.mark.fault(58)
def test_a_suppressed_recipient_is_refused_and_nobody_else() -> None:
    answer = read([taken(0), INACTIVE, taken(2)])
    assert (answer.kind, answer.alarm) == (AnswerClass.ACCEPTED, None)
    assert [receipt.state for receipt in answer.receipts] == [
        DeliveryState.ACCEPTED,
        DeliveryState.REFUSED,
        DeliveryState.ACCEPTED,
    ]
    assert answer.receipts[1].reason == "406: You tried to send to <address>, which is inactive."


def test_a_result_without_an_error_code_is_accepted() -> None:
    result = taken(0)
    del result["ErrorCode"]
    answer = read([result], 1)
    assert [receipt.provider_id for receipt in answer.receipts] == ["m0"]


@pytest.mark.fault(59)
def test_a_refusal_among_reordered_results_matches_nobody_for_sure() -> None:
    answer = read([taken(2), INACTIVE, taken(0)])
    assert answer.kind is AnswerClass.ACCEPTED
    assert answer.alarm
    assert not answer.receipts


@pytest.mark.fault(59)
@pytest.mark.parametrize("results", [[taken(0), taken(0), taken(2)], [taken(0), taken(1), taken(7)]])
def test_results_about_others_match_nobody(results: list[dict[str, Any]]) -> None:
    answer = read(results)
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


@pytest.mark.fault(56)
def test_every_message_refused_for_the_account_is_a_hold() -> None:
    answer = read([NO_CREDITS] * 3)
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, False)
    assert answer.error == "HTTP 200, every message refused, 405: Not allowed to send."


@pytest.mark.fault(56)
def test_credits_that_end_in_the_middle_are_told() -> None:
    answer = read([taken(0), NO_CREDITS, NO_CREDITS])
    assert answer.kind is AnswerClass.ACCEPTED
    assert answer.alarm == "Postmark stopped taking messages: 2 of 3 were refused for it"
    assert [receipt.state for receipt in answer.receipts].count(DeliveryState.REFUSED) == 2


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (422, {"ErrorCode": 300, "Message": "Invalid."}, AnswerClass.REFUSED),
        (422, {"ErrorCode": 401, "Message": "Sender signature not confirmed."}, AnswerClass.HOLD),
        (422, {"ErrorCode": 0, "Message": "?"}, AnswerClass.REFUSED),
        (503, {"ErrorCode": 100, "Message": "Maintenance"}, AnswerClass.UNCERTAIN),
        (200, [{"ErrorCode": "0", "MessageID": "m"}], AnswerClass.UNCERTAIN),
        (200, [{"Message": "OK"}], AnswerClass.UNCERTAIN),
    ],
)
def test_numbers_in_the_body_are_not_taken_for_http_statuses(
    status: int, body: Any, kind: AnswerClass
) -> None:
    assert read(body, 1, status).kind is kind


@pytest.mark.fault(70)
def test_the_test_token_is_refused() -> None:
    with pytest.raises(EspSettingsError, match="mails nobody"):
        make_esp("postmark", env={"POSTMARK_SERVER_TOKEN": "POSTMARK_API_TEST"}, outbox_folder=Path("unused"))
