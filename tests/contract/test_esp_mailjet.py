"""What is Mailjet's own: results for each message, merge brackets, and a header it takes away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from emails.delivery import Answer, AnswerClass, DeliveryState
from emails.edition import UNSUBSCRIBE_URL
from tests.contract.test_esp_suite import Bench, at_work
from tests.mailings import letter, mailing, people


@pytest.fixture
def bench() -> Iterator[Bench]:
    with at_work("mailjet") as made:
        yield made


def says(bench: Bench, status: int, results: list[Any], *, record: bool = False) -> Answer:
    bench.provider.play([{"status": status, "body": {"Messages": results}, "record": record}])
    return bench.send()


def taken(number: int, *, message_id: int | None = None, address: str | None = None) -> dict[str, Any]:
    email = address or people(number + 1)[number].address
    return {"Status": "success", "To": [{"Email": email, "MessageID": message_id or 100 + number}]}


def error(status: int, code: str = "mj-0013") -> dict[str, Any]:
    words = '"lezer1@voorbeeld.example" is an invalid email address.'
    return {"Status": "error", "Errors": [{"ErrorCode": code, "StatusCode": status, "ErrorMessage": words}]}


def test_the_request_has_the_documented_fields(bench: Bench) -> None:
    request = bench.build()
    body = json.loads(request.body)
    assert request.url.endswith("/v3.1/send")
    assert set(body) == {"Messages"}
    message, person = body["Messages"][1], people(2)[1]
    assert message["From"] == {"Email": "brief@voorbeeld.example", "Name": "Gerrit"}
    assert message["ReplyTo"] == {"Email": "gerrit@voorbeeld.example"}
    assert message["To"] == [{"Email": person.address}]
    assert message["CustomID"] == f"2026-11-29.{person.delivery_id}"
    assert (message["TrackOpens"], message["TrackClicks"]) == ("disabled", "disabled")
    assert message["TemplateLanguage"] is False
    assert message["Headers"]["List-Unsubscribe"] == f"<{person.unsubscribe_url}>"


def test_that_its_own_unsubscribe_takes_the_place_of_ours_is_said(bench: Bench) -> None:
    bench.send()
    for message in bench.took().values():
        assert message.headers["List-Unsubscribe"] == "<https://mailjet.example/unsub>"
    assert bench.can.own_list_unsubscribe == "no"
    assert "List-Unsubscribe" in bench.can.notes[0]


@pytest.mark.fault(141)
def test_its_merge_brackets_in_a_post_are_text(bench: Bench) -> None:
    """However often it merges, nothing is there to merge; every other bracket goes as it is."""
    words = "[[var:x]] [[data:firstname:lezer]] [[ var : y ]] [[[[var:z]]]] [a] [["
    text = replace(
        letter(),
        subject=words,
        html=f'<p>{words}</p><a href="{UNSUBSCRIBE_URL}">uit</a>',
        text=f"{words}\n{UNSUBSCRIBE_URL}\n",
    )
    assert bench.send(mailing(text=text)).kind is AnswerClass.ACCEPTED
    for message in bench.took().values():
        assert bench.fake.as_read(message.subject) == words
        assert f"<p>{words}</p>" in bench.fake.as_read(message.html)
        assert bench.fake.as_read(message.text).startswith(f"{words}\n")


@pytest.mark.fault(58)
@pytest.mark.parametrize("status", [200, 400])
def test_a_mixed_answer_is_read_one_by_one_whatever_its_status(bench: Bench, status: int) -> None:
    answer = says(bench, status, [taken(0), error(400), taken(2)])
    assert (answer.kind, answer.alarm) == (AnswerClass.ACCEPTED, None)
    states = [(each.state, each.provider_id, each.again) for each in answer.receipts]
    assert states == [
        (DeliveryState.ACCEPTED, "100", False),
        (DeliveryState.REFUSED, None, False),
        (DeliveryState.ACCEPTED, "102", False),
    ]
    assert answer.receipts[1].reason == 'mj-0013: "<address>" is an invalid email address.'


def test_one_refused_for_no_fault_of_theirs_may_go_again(bench: Bench) -> None:
    answer = says(bench, 200, [taken(0), error(429), taken(2)])
    assert [each.again for each in answer.receipts] == [False, True, False]


def test_one_that_met_an_error_of_mailjets_counts_as_taken_with_an_alarm(bench: Bench) -> None:
    answer = says(bench, 200, [taken(0), error(500), taken(2)])
    assert [each.state for each in answer.receipts] == [DeliveryState.ACCEPTED] * 3
    assert answer.receipts[1].provider_id is None
    assert answer.alarm


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((400, 400, 400), AnswerClass.REFUSED),
        ((400, 403, 400), AnswerClass.HOLD),
        ((400, 401, 400), AnswerClass.HOLD),
        ((400, 429, 400), AnswerClass.NOT_SENT),
        ((400, 500, 400), AnswerClass.UNCERTAIN),
        ((400, 400), AnswerClass.UNCERTAIN),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_nobody_taken(bench: Bench, status: int, statuses: tuple[int, ...], kind: AnswerClass) -> None:
    assert says(bench, status, [error(each) for each in statuses]).kind is kind


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    "results",
    [
        [taken(0), taken(1)],
        [taken(0), taken(1), taken(2), taken(3)],
        [taken(0), taken(1), taken(2, address="wie@voorbeeld.example")],
        [taken(0), taken(1), taken(1)],
    ],
    ids=["fewer", "more", "a stranger", "one twice"],
)
def test_results_about_others_are_accepted_with_an_alarm(bench: Bench, results: list[Any]) -> None:
    answer = says(bench, 200, results, record=True)
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


@pytest.mark.parametrize("results", [["x"], [{}], [{"Status": "maybe"}], {}, [], "x"])
def test_no_results_of_that_shape_are_uncertain(bench: Bench, results: Any) -> None:
    assert says(bench, 200, results).kind is AnswerClass.UNCERTAIN


def test_a_search_that_does_not_show_our_id_proves_nothing(bench: Bench) -> None:
    """Should Mailjet ignore the filter, it lists other people's messages."""
    bench.provider.play({"search": [{"status": 200, "body": {"Data": [{"ID": 1}, "x"]}, "times": 0}]})
    assert (bench.find().taken, bench.find().error) == ({}, None)
