"""Lettermint's own ways: routes, sandbox projects, and the several shapes of its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from emails.delivery import Answer, AnswerClass, DeliveryState
from emails.esp.http import HttpAnswer
from emails.esp.lettermint import CAPABILITIES, LettermintDialect
from tests.mailings import mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"
DIALECT = LettermintDialect(base_url="https://api.lettermint.co/v1", capabilities=CAPABILITIES)


def read(body: Any, status: int, count: int = 2) -> Answer:
    answer = HttpAnswer(status=status, headers={}, body=json.dumps(body).encode())
    return DIALECT.read_answer(answer, DIALECT.build(mailing(), people(count), KEY))


def test_letters_go_by_the_broadcast_route_and_notices_by_the_default_one() -> None:
    (message,) = json.loads(DIALECT.build(mailing(), people(1), KEY).body)
    assert message["route"] == "broadcast"
    assert message["settings"] == {"track_opens": False, "track_clicks": False}
    assert message["tag"] == "2026-11-29"
    (notice,) = json.loads(DIALECT.build(replace(mailing(), notice=True), people(1), KEY).body)
    assert "route" not in notice


def test_the_key_goes_in_its_header() -> None:
    assert DIALECT.build(mailing(), people(1), KEY).headers["idempotency-key"] == KEY


def test_a_suppressed_recipient_is_refused_and_nobody_else() -> None:
    answer = read(
        [{"message_id": "a", "status": "pending"}, {"message_id": "b", "status": "suppressed"}], 202
    )
    assert [receipt.state for receipt in answer.receipts] == [DeliveryState.ACCEPTED, DeliveryState.REFUSED]
    assert answer.receipts[1].reason == "Lettermint: suppressed"


@pytest.mark.fault(70)
def test_a_project_in_sandbox_mode_is_a_hold() -> None:
    answer = read([{"message_id": "a", "status": "pending", "sandbox": True}], 202, 1)
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, False)
    assert "sandbox mode" in (answer.error or "")


DIFFERENT = "This idempotency key has already been used on a request with a different payload."


@pytest.mark.fault(62)
@pytest.mark.fault(63)
@pytest.mark.parametrize(
    ("status", "body", "kind", "in_doubt"),
    [
        (422, {"message": DIFFERENT}, AnswerClass.HOLD, True),
        (409, {"error": "invalid_idempotent_request", "message": DIFFERENT}, AnswerClass.HOLD, True),
        (409, {"error": {"code": "X", "message": DIFFERENT}}, AnswerClass.HOLD, True),
        (409, {"message": "A request with this idempotency key is in progress."}, AnswerClass.BUSY, False),
        (409, {"message": "Conflict"}, AnswerClass.UNCERTAIN, False),
        (422, {"error": "daily_limit_exceeded", "message": "Too much."}, AnswerClass.HOLD, False),
        (
            422,
            {"message": "x", "errors": {"0.route": ["unknown"], "1.route": ["?"]}},
            AnswerClass.HOLD,
            False,
        ),
        (422, {"message": "x", "errors": {"0.from": ["?"], "0.to.0": ["?"]}}, AnswerClass.REFUSED, False),
        (429, {"message": "Rate limit exceeded"}, AnswerClass.NOT_SENT, False),
        (400, {"message": "Bad Request"}, AnswerClass.REFUSED, False),
        (422, "?", AnswerClass.UNCERTAIN, False),
        (422, {"message": 7}, AnswerClass.UNCERTAIN, False),
        (202, [{"status": "pending"}], AnswerClass.UNCERTAIN, False),
    ],
)
def test_errors_in_every_documented_shape(status: int, body: Any, kind: AnswerClass, in_doubt: bool) -> None:
    answer = read(body, status, 1)
    assert (answer.kind, answer.in_doubt) == (kind, in_doubt)
    assert answer.error
