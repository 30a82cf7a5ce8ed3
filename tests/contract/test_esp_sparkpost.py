"""What is SparkPost's own: one id for a call, its merge syntax, a header it puts over ours, its conflicts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emails.delivery import AnswerClass
from emails.edition import UNSUBSCRIBE_URL
from emails.esp.sparkpost import campaign_of
from tests.contract.test_esp_suite import KEY, Bench, at_work
from tests.mailings import letter, mailing, people


@pytest.fixture
def bench() -> Iterator[Bench]:
    with at_work("sparkpost") as made:
        yield made


def body_of(bench: Bench, *args: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bench.build(*args).body)
    return body


@pytest.fixture(scope="module")
def examples() -> list[dict[str, Any]]:
    """The bodies of `POST /api/v1/transmissions` in SparkPost's own Postman collection."""
    folder = Path(__file__).parents[2].parent / "shared" / "esp" / "specs" / "sparkpost"
    path = folder / "sparkpost-api.postman_collection.json"
    if not path.is_file():
        pytest.skip("SparkPost's Postman collection is not here; it is not part of the project")
    collection = json.loads(path.read_text(encoding="utf-8"))
    (group,) = [each for each in collection["item"] if each["name"] == "Transmissions"]
    requests = [each["request"] for each in group["item"]]
    sends = [each for each in requests if each["method"] == "POST"]
    assert {each["url"]["raw"] for each in sends} == {"{{BASE_URL}}/api/v1/transmissions"}
    assert {header["key"] for each in sends for header in each["header"]} >= {"Authorization"}
    return [json.loads(each["body"]["raw"]) for each in sends]


def fields(value: Any, path: str = "") -> set[str]:
    """The path of every field; what is free (names of metadata, headers, substitutions) is left out."""
    if isinstance(value, list):
        return set().union(*(fields(each, path) for each in value))
    if not isinstance(value, dict) or path.endswith(("metadata", "headers", "substitution_data")):
        return {path}
    return {path} | set().union(*(fields(each, f"{path}.{name}") for name, each in value.items()))


def test_every_field_is_one_of_the_vendors_examples(bench: Bench, examples: list[dict[str, Any]]) -> None:
    """No example has the last three; SparkPost's API reference does."""
    known = set().union(*(fields(example) for example in examples))
    known |= {".options.initial_open", ".content.reply_to", ".content.headers"}
    assert bench.build().url.endswith("/api/v1/transmissions")
    assert fields(body_of(bench)) - known == set()
    assert fields({**body_of(bench), "recipient": 1}) - known == {".recipient"}


def test_everyone_sees_only_themselves(bench: Bench) -> None:
    for entry, person in zip(body_of(bench)["recipients"], people(3), strict=True):
        assert entry == {
            "address": {"email": person.address},
            "metadata": {"delivery": person.delivery_id},
            "substitution_data": {"unsubscribe": person.unsubscribe_url},
        }


def test_only_a_notice_is_transactional(bench: Bench) -> None:
    assert body_of(bench)["options"]["transactional"] is False
    notice = body_of(bench, replace(mailing(), notice=True), people(1))
    assert notice["options"]["transactional"] is True
    assert set(notice["content"]["headers"]) == {"Content-Language", "Auto-Submitted"}
    assert notice["recipients"][0]["substitution_data"] == {}


def test_that_its_own_unsubscribe_goes_over_ours_is_said(bench: Bench) -> None:
    assert body_of(bench)["content"]["headers"]["List-Unsubscribe"] == "<{{unsubscribe}}>"
    bench.send()
    assert {each.headers["List-Unsubscribe"] for each in bench.took().values()} == {
        "<https://sparkpost.example/unsub>"
    }
    assert bench.can.own_list_unsubscribe == "no"


@pytest.mark.fault(141)
def test_its_merge_syntax_in_a_post_is_text(bench: Bench) -> None:
    words = "{{x}} {{{unsubscribe}}} {{ if x }}ja{{ end }} {{{{x}}}} {a} } {{"
    text = replace(
        letter(),
        subject=words,
        html=f'<style>@media print{{p{{margin:0}}}}</style><p>{words}</p><a href="{UNSUBSCRIBE_URL}">uit</a>',
        text=f"{words}\n{{{UNSUBSCRIBE_URL}}}\n",
    )
    assert bench.send(mailing(text=text)).kind is AnswerClass.ACCEPTED
    for person in people(3):
        message = bench.took()[person.address]
        read = bench.fake.as_read
        assert read(message.subject) == words
        assert "<style>@media print{p{margin:0}}</style>" in message.html
        assert f"<p>{words}</p>" in read(message.html)
        assert read(message.text) == f"{words}\n{{{person.unsubscribe_url}}}\n"


@pytest.mark.fault(47)
def test_a_repeat_gives_the_first_answer_and_says_so(bench: Bench) -> None:
    first, again = bench.send(), bench.send()
    assert again == first
    assert bench.provider.truth.requests()[1].outcome == "replayed"


@pytest.mark.parametrize(
    ("status", "code", "kind", "in_doubt"),
    [
        (409, "1600", AnswerClass.HOLD, True),
        (404, "1600", AnswerClass.REFUSED, False),
        (409, "1601", AnswerClass.BUSY, False),
        (400, "1602", AnswerClass.HOLD, False),
        (420, "2101", AnswerClass.HOLD, False),
        (422, "1300", AnswerClass.REFUSED, False),
    ],
)
def test_its_codes(bench: Bench, status: int, code: str, kind: AnswerClass, in_doubt: bool) -> None:
    """1600 is another body with a 409 only; elsewhere it is "not found"."""
    bench.provider.play([{"status": status, "body": {"errors": [{"message": "no", "code": code}]}}])
    answer = bench.send()
    assert (answer.kind, answer.in_doubt) == (kind, in_doubt)


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    "results", [{"total_accepted_recipients": 2, "id": "1"}, {"total_accepted_recipients": 3}]
)
def test_taken_in_part_or_without_an_id_is_taken_with_an_alarm(bench: Bench, results: dict[str, Any]) -> None:
    errors = [{"message": "transmission created, but with validation errors", "code": "2000"}]
    bench.provider.play([{"status": 200, "body": {"errors": errors, "results": results}}])
    answer = bench.send()
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


@pytest.mark.parametrize("results", [{}, {"total_accepted_recipients": 0, "id": "1"}, [], None])
def test_nobody_taken_and_no_word_of_why_is_uncertain(bench: Bench, results: Any) -> None:
    bench.provider.play([{"status": 200, "body": {"results": results}}])
    assert bench.send().kind is AnswerClass.UNCERTAIN


def test_a_campaign_fits_whatever_its_parts() -> None:
    long = {campaign_of("x" * 60, f"2026-11-{day}") for day in (22, 29)}
    assert len(long) == 2
    for name in (*long, campaign_of("één, *", "2026-11-29"), campaign_of("inst-1", "2026-11-29")):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name)


def test_a_search_for_many_fits_its_addresses(bench: Bench) -> None:
    everyone = people(400)
    bench.send(recipients=everyone)
    assert set(bench.find(everyone).taken) == {person.delivery_id for person in everyone}
    searches = bench.provider.truth.requests("search")
    assert 3 < len(searches) < 30
    assert max(len(search.target) for search in searches) < 4096


def test_the_key_goes_to_our_own_address_only(bench: Bench) -> None:
    """A page that names another host for the next one is not followed there."""
    away = {"results": [{}], "links": [{"rel": "next", "href": "https://evil.example/x?cursor=abc"}]}
    bench.provider.play({"search": [{"status": 200, "body": away}]})
    bench.find()
    assert [
        search.target.startswith("/api/v1/events/message?")
        for search in bench.provider.truth.requests("search")
    ] == [True, True]
    assert "cursor=abc" in bench.provider.truth.requests("search")[1].target
    assert KEY not in bench.provider.truth.requests("search")[1].target
