"""MailerSend, one message a call: the shared questions that make sense for one person, and its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from emails.delivery import AnswerClass, DeliveryState
from tests import mailings
from tests.contract import test_esp_suite as suite
from tests.contract.test_esp_suite import (  # noqa: F401 - collected here again, for this provider
    test_a_bad_address_alone,
    test_a_batch_size_above_the_limit_is_refused,
    test_a_link_that_needs_escaping_is_refused_before_anything_is_built,
    test_a_notice_has_no_list_headers,
    test_a_rate_limit_tells_how_long_to_wait,
    test_a_redirect_is_not_followed,
    test_a_request_is_the_same_bytes_whenever_it_is_built,
    test_a_wrong_secret_is_a_hold,
    test_an_international_domain_goes_in_ascii,
    test_awkward_text_arrives_as_it_was_written,
    test_each_secret_is_asked_for_by_name,
    test_every_message_gets_its_own_answer,
    test_messages_tell_which_delivery_they_are,
    test_no_message_asks_to_be_tracked,
    test_no_secret_and_no_address_is_ever_shown,
    test_notes_are_sentences,
    test_sender_and_reply_address_arrive,
    test_the_default_address_is_the_providers_own,
    test_the_documented_limit_fits_in_one_call,
    test_the_providers_own_refusals,
    test_what_a_provider_cannot_keep_is_said,
    test_without_a_reply_address_there_is_none,
)
from tests.mailings import mailing


def people(count: int, *, first: int = 0) -> list[Any]:
    return mailings.people(min(count, 1), first=first)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Bench]:
    monkeypatch.setattr(suite, "people", people)
    with suite.at_work("mailersend") as made:
        yield made


PERSON = mailings.people(1)[0]


@pytest.mark.standard("H-08")
def test_the_letter_arrives_with_its_own_link(bench: suite.Bench) -> None:
    assert bench.send().kind is AnswerClass.ACCEPTED
    message = bench.took()[PERSON.address]
    assert message.visible == (PERSON.address,)
    assert message.headers == {"List-Unsubscribe": f"<{PERSON.unsubscribe_url}>"}
    assert f'href="{PERSON.unsubscribe_url}"' in message.html
    assert f"Afmelden: {PERSON.unsubscribe_url}\n" in message.text


@pytest.mark.parametrize("count", [0, 2])
def test_more_or_fewer_than_one_cannot_be_built(bench: suite.Bench, count: int) -> None:
    assert bench.can.max_batch == 1
    with pytest.raises(ValueError, match="unpack"):
        bench.esp.build(mailing(), mailings.people(count), suite.KEY)


@pytest.mark.parametrize(
    "body", [b"", b'{"message": "There are some warnings for your request.", "warnings": []}']
)
def test_taken_without_an_id_is_taken_with_an_alarm(bench: suite.Bench, body: bytes) -> None:
    bench.provider.play([{"status": 202, "body": body, "record": True}])
    answer = bench.send()
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


def test_who_is_suppressed_there_is_refused(bench: suite.Bench) -> None:
    recipients = [{"email": PERSON.address, "name": "", "reasons": ["blocklisted"]}]
    warning = {"type": "ALL_SUPPRESSED", "warning": f"{PERSON.address} suppressed", "recipients": recipients}
    bench.provider.play([{"status": 202, "body": {"message": "Warnings.", "warnings": [warning]}}])
    answer = bench.send()
    (receipt,) = answer.receipts
    assert (answer.kind, receipt.state) == (AnswerClass.ACCEPTED, DeliveryState.REFUSED)
    assert receipt.reason
    assert PERSON.address not in repr(answer)


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (422, {"to.0.email": ["The to.0.email must be a valid email address."]}, AnswerClass.REFUSED),
        (422, {"list_unsubscribe": ["Your plan does not support it."]}, AnswerClass.HOLD),
        (422, {"subject": ["Too long."]}, AnswerClass.HOLD),
        (422, {"to": ["Trial accounts may send to 100 recipients. #MS42225"]}, AnswerClass.HOLD),
        (422, {}, AnswerClass.REFUSED),
        (402, {}, AnswerClass.HOLD),
    ],
)
def test_what_is_wrong_with_every_message_holds_the_edition(
    bench: suite.Bench, status: int, fields: dict[str, list[str]], kind: AnswerClass
) -> None:
    bench.provider.play([{"status": status, "body": {"message": "Invalid.", "errors": fields}}])
    answer = bench.send()
    assert (answer.kind, answer.in_doubt) == (kind, False)


@pytest.mark.fault(46)
@pytest.mark.fault(47)
@pytest.mark.fault(60)
@pytest.mark.parametrize(
    "step",
    [
        {"status": 500, "body": "<h1>oops</h1>", "record": True},
        {"status": 200, "body": suite.PORTAL, "headers": {"Content-Type": "text/html"}},
        {"status": 202, "body": suite.PORTAL},
        {"status": 202, "body": "[]"},
        {"status": 200, "body": ""},
        {"status": 418, "body": "?"},
        {"cut": "before"},
        {"cut": "before", "reset": True},
        {"cut": "after"},
        {"cut": "after", "reset": True},
    ],
    ids=lambda step: "-".join(str(value)[:12] for value in step.values()),
)
def test_what_nobody_can_know_is_uncertain(bench: suite.Bench, step: dict[str, Any]) -> None:
    bench.provider.play([step])
    assert bench.send().kind is AnswerClass.UNCERTAIN
    assert len(bench.took()) == (1 if step.get("record") or step.get("cut") == "after" else 0)


def test_there_is_no_key_and_no_search(bench: suite.Bench) -> None:
    """Asked again it sends again, which is why nobody asks."""
    bench.send()
    bench.send()
    assert set(bench.provider.truth.copies().values()) == {2}
    assert not bench.can.keyed
    assert bench.can.search is None
    assert bench.find().error


@pytest.mark.fault(49)
def test_a_dripping_answer_ends_at_the_deadline(bench: suite.Bench) -> None:
    bench.provider.play([{"drip": 0.1}])
    began = time.monotonic()
    assert bench.esp.submit(bench.build(), 0.5).kind is AnswerClass.UNCERTAIN
    assert time.monotonic() - began < 2


def test_the_request_has_the_fields_of_the_vendors_models(bench: suite.Bench) -> None:
    """Names and types as in `EmailRequest` of MailerSend's SDK."""
    request = bench.build()
    message = json.loads(request.body)
    assert request.url.endswith("/v1/email")
    assert message["from"] == {"email": "brief@voorbeeld.example", "name": "Gerrit"}
    assert message["reply_to"] == {"email": "gerrit@voorbeeld.example"}
    assert message["to"] == [{"email": PERSON.address}]
    assert message["tags"] == ["weekbrief-inst-1-2026-11-29", PERSON.delivery_id]
    assert message["settings"] == {"track_clicks": False, "track_opens": False, "track_content": False}
    assert "headers" not in message
