"""What we send to Mailgun and what we make of its answers, beside what every provider must do."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from emails.delivery import Answer, AnswerClass, Found, Recipient, Request, Sought
from emails.edition import UNSUBSCRIBE_URL, Mailbox, Mailing
from emails.esp import EspSettingsError, make_esp
from emails.esp.http import HttpAnswer, NoAnswer, Reach
from emails.esp.mailgun import CAPABILITIES, EU_URL, MAX_OPTIONS, MailgunDialect
from emails.message import HeaderError
from tests.dialects import Call
from tests.dialects.mailgun import read_form
from tests.mailings import letter, mailing, people
from tests.specs import resolved, specification

KEY = "wb1-inst-1-2026-11-29-1-abc"
ENV = {"MAILGUN_API_KEY": "key-canary", "MAILGUN_DOMAIN": "mg.voorbeeld.example"}
DIALECT = MailgunDialect(
    base_url="https://api.mailgun.net", domain="mg.voorbeeld.example", capabilities=CAPABILITIES
)


def build(sent: Mailing | None = None, recipients: list[Recipient] | None = None, key: str = KEY) -> Request:
    return DIALECT.build(sent or mailing(), people(3) if recipients is None else recipients, key)


def form_of(request: Request) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = defaultdict(list)
    call = Call(method="POST", target="/", headers=request.headers, body=request.body)
    for name, value in read_form(call):
        fields[name].append(value)
    return fields


def variables_of(request: Request) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(form_of(request)["recipient-variables"][0])
    return found


# The request


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    spec = specification("mailgun/openapi.yaml")
    content = spec["paths"]["/v3/{domain_name}/messages"]["post"]["requestBody"]["content"]
    return dict(resolved(content["multipart/form-data"]["schema"], spec))


def in_lists(request: Request) -> dict[str, Any]:
    """The form as the specification sees it: only `to` and `o:tag` are lists."""
    return {
        name: values if name in ("to", "o:tag") else values[0]
        for name, values in form_of(request).items()
        if name in ("to", "o:tag") or len(values) == 1
    }


HOSTILE = [
    replace(people(1)[0], delivery_id='d"\\\n,{}', name='"},{"to":["x@y.example"]'),
    replace(people(2)[1], address="o'neil+tag@straße.example"),
]
CASES = {
    "one": build(recipients=people(1)),
    "full": build(recipients=people(1000)),
    "hostile": build(recipients=HOSTILE),
    "notice": build(replace(mailing(), notice=True), people(1)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_form_is_valid_by_the_vendors_schema(schema: dict[str, Any], case: str) -> None:
    form = in_lists(CASES[case])
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(form)
    assert {name for name in form if not name.startswith(("h:", "v:"))} <= set(schema["properties"])
    assert set(form) == set(form_of(CASES[case])), "only `to` and `o:tag` may be repeated"


def test_the_schema_check_can_fail(schema: dict[str, Any]) -> None:
    form = in_lists(build())
    del form["from"]
    with pytest.raises(jsonschema.ValidationError, match="from"):
        jsonschema.Draft202012Validator(schema).validate(form)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [(None, "https://api.mailgun.net"), (EU_URL, "https://api.eu.mailgun.net")],
)
def test_the_region_is_the_base_address(base_url: str | None, expected: str) -> None:
    esp = make_esp("mailgun", base_url=base_url, env=ENV, outbox_folder=Path("unused"))
    request = esp.build(mailing(), people(1), KEY)
    assert (request.method, request.url) == ("POST", f"{expected}/v3/mg.voorbeeld.example/messages")


@pytest.mark.parametrize("domain", ["https://mg.example.org", "mg.example.org/../x", "mg", "mg%2f.example"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(EspSettingsError, match="MAILGUN_DOMAIN"):
        make_esp("mailgun", env={**ENV, "MAILGUN_DOMAIN": domain}, outbox_folder=Path("unused"))


@pytest.mark.standard("H-08")
def test_links_and_delivery_ids_are_merged_into_headers_and_variables() -> None:
    form = form_of(build())
    assert form["h:List-Unsubscribe"] == ["<%recipient.unsubscribe%>"]
    assert form["h:List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    assert form["v:delivery"] == ["%recipient.delivery%"]
    assert form["h:Reply-To"] == ["gerrit@voorbeeld.example"]
    assert form["to"] == [person.address for person in people(3)]
    assert variables_of(build()) == {
        person.address: {"delivery": person.delivery_id, "unsubscribe": person.unsubscribe_url}
        for person in people(3)
    }


def test_odd_ids_stay_inside_their_own_variable() -> None:
    assert variables_of(build(recipients=HOSTILE)) == {
        HOSTILE[0].address: {"delivery": 'd"\\\n,{}', "unsubscribe": HOSTILE[0].unsubscribe_url},
        "o'neil+tag@xn--strae-oqa.example": {
            "delivery": HOSTILE[1].delivery_id,
            "unsubscribe": HOSTILE[1].unsubscribe_url,
        },
    }


@pytest.mark.parametrize(
    "address",
    ["x@y.example,z@voorbeeld.example", "x@y.example\r\nto: z", "Jan <x@y.example>", 'a"b c@y.example'],
)
def test_one_recipient_never_becomes_two(address: str) -> None:
    """Mailgun reads a comma as the end of an address, except in a quoted string."""
    (to,) = form_of(build(recipients=[replace(people(1)[0], address=address)]))["to"]
    assert re.fullmatch(r'"(?:[^"\\\r\n]|\\.)*"@[^\s,;<>]*', to)


def test_a_notice_is_merged_too_so_that_it_is_one_persons_own() -> None:
    form = form_of(build(replace(mailing(), notice=True), people(1)))
    assert json.loads(form["recipient-variables"][0]) == {"lezer0@voorbeeld.example": {"delivery": "d00000"}}
    assert not [name for name in form if "List" in name]


def test_tracking_is_off_three_ways_and_nothing_of_ours_shows() -> None:
    form = form_of(build())
    assert [form[f"o:tracking{part}"] for part in ("", "-clicks", "-opens")] == [["no"]] * 3
    assert form["o:suppress-headers"] == ["X-Mailgun-Variables,X-Mailgun-Tag"]
    assert form["o:tag"] == ["weekbrief-inst-1-2026-11-29"]


def test_options_beyond_mailguns_16_kb_are_refused_here() -> None:
    with pytest.raises(HeaderError, match="shorten the tags"):
        build(replace(mailing(), tags={"x": "y" * MAX_OPTIONS}))


def test_the_boundary_comes_from_the_key() -> None:
    one, same, other = build(), build(), build(key="wb1-other")
    assert one.headers == same.headers != other.headers
    assert one.body == same.body != other.body


def test_a_text_about_mailgun_is_kept_from_its_merge() -> None:
    words = "%recipient.unsubscribe% %unsubscribe_url% 50% %recipient% 100%ja%"
    text = letter(subject=words, filler=words)
    form = form_of(build(mailing(text=replace(text, text=f"%unsubscribe_url{UNSUBSCRIBE_URL}"))))
    for name in ("subject", "html", "text"):
        left = form[name][0].replace("%recipient.unsubscribe%", "", 1 if name != "subject" else 0)
        assert not re.search(r"%[A-Za-z_][A-Za-z0-9_.]*%", left), (name, left)
    assert "&#37;unsubscribe_url%" in form["html"][0]
    assert "50% " in form["html"][0]


def test_percent_signs_in_web_addresses_stay() -> None:
    link = "https://nl.wikipedia.example/wiki/Gr%C3%B6n%20en%E2%82%AC"
    form = form_of(build(mailing(text=letter(filler=link))))
    assert link in form["html"][0]
    assert link in form["text"][0]


def test_a_sender_name_is_kept_from_the_merge() -> None:
    news = replace(
        mailing().newsletter, sender=Mailbox(address="b@voorbeeld.example", name="Jan %recipient%")
    )
    assert "%recipient%" not in form_of(build(replace(mailing(), newsletter=news)))["from"][0]


# Answers


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read_answer(HttpAnswer(status=status, headers=headers or {}, body=data), build())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"id": "<1@mg>", "message": "Queued. Thank you."}, AnswerClass.ACCEPTED),
        (200, b"Mailgun Magnificent API", AnswerClass.UNCERTAIN),
        (200, {"hello": "world"}, AnswerClass.UNCERTAIN),
        (400, {"message": "to parameter is not a valid address"}, AnswerClass.REFUSED),
        (400, {"message": "'from' parameter is not a valid address"}, AnswerClass.HOLD),
        (400, {"message": "from parameter is missing"}, AnswerClass.HOLD),
        (400, {"message": "Sandbox subdomains are for test purposes only."}, AnswerClass.HOLD),
        (400, b"<html>", AnswerClass.UNCERTAIN),
        (401, "Forbidden", AnswerClass.HOLD),
        (403, {"message": "Domain is disabled"}, AnswerClass.HOLD),
        (404, {"message": "Domain not found: mg.voorbeeld.example"}, AnswerClass.HOLD),
        (413, {"message": "Request entity too large"}, AnswerClass.REFUSED),
        (
            429,
            {"message": "x is not allowed to send: limit, try again after 9 seconds"},
            AnswerClass.NOT_SENT,
        ),
        (500, {"message": "Internal Server Error"}, AnswerClass.UNCERTAIN),
    ],
)
def test_answers(status: int, body: Any, kind: AnswerClass) -> None:
    answer = read(status, body)
    assert answer.kind is kind, answer
    assert (answer.error is None) == (kind is AnswerClass.ACCEPTED)


def test_one_id_stands_for_everyone() -> None:
    answer = read(200, {"id": "<1@mg>", "message": "Queued. Thank you."})
    assert (answer.kind, answer.provider_id, answer.alarm) == (AnswerClass.ACCEPTED, "<1@mg>", None)


def test_taken_without_an_id_is_told() -> None:
    answer = read(200, {"message": "Queued. Thank you."})
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("words", "seconds"), [("120 seconds", 120), ("99999999 seconds", 900), ("a while", None)]
)
def test_a_limit_tells_in_words_how_long_to_wait(words: str, seconds: float | None) -> None:
    answer = read(429, {"message": f"limit exceeded, try again after {words}"})
    assert answer.retry_after == seconds


@pytest.mark.parametrize(
    ("base", "other"), [("https://api.mailgun.net", EU_URL), (EU_URL, "https://api.mailgun.net")]
)
@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_region_is_hinted_at(base: str, other: str, status: int) -> None:
    answer = HttpAnswer(status=status, headers={}, body=b'"Forbidden"')
    error = replace(DIALECT, base_url=base).read_answer(answer, build()).error
    assert error is not None
    assert error.endswith(f"(provider.base_url, perhaps {other})")


# Searching

SINCE = datetime(2026, 11, 29, 8, tzinfo=UTC)


def sought(count: int) -> Sought:
    return Sought(installation="inst-1", edition="2026-11-29", key=KEY, since=SINCE, recipients=people(count))


def find(count: int, pages: list[dict[str, Any] | NoAnswer]) -> tuple[Found, list[str]]:
    """What a search finds in these pages, of which the last repeats, and the addresses it asked."""
    asked: list[str] = []

    def ask(request: Request) -> HttpAnswer | NoAnswer:
        assert request.method == "GET"
        asked.append(request.url)
        page = pages[min(len(asked), len(pages)) - 1]
        if isinstance(page, NoAnswer):
            return page
        return HttpAnswer(status=200, headers={}, body=json.dumps(page).encode())

    return DIALECT.find(sought(count), ask), asked


def event(delivery: Any) -> dict[str, Any]:
    return {
        "event": "accepted",
        "user-variables": {"delivery": delivery},
        "message": {"headers": {"message-id": "m"}},
    }


@pytest.mark.parametrize("count", [3, 1000])
def test_the_search_asks_only_what_the_vendor_knows(count: int) -> None:
    spec = specification("mailgun/openapi.yaml")
    operation = resolved(spec["paths"]["/v3/{domain_name}/events"]["get"], spec)
    known = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"}
    _, asked = find(count, [{"items": [], "paging": {}}])
    for url in asked:
        assert urlsplit(url).path == "/v3/mg.voorbeeld.example/events"
        for name, (value,) in parse_qs(urlsplit(url).query).items():
            as_typed = int(value) if known[name]["type"] == "integer" else value
            jsonschema.Draft202012Validator(known[name]).validate(as_typed)


def test_few_are_looked_up_by_address_and_many_by_the_editions_tag() -> None:
    _, few = find(2, [{"items": [], "paging": {}}])
    _, many = find(500, [{"items": [], "paging": {}}])
    queries = [parse_qs(urlsplit(url).query) for url in (*few, *many)]
    assert [query.get("recipient") for query in queries] == [
        ["lezer0@voorbeeld.example"],
        ["lezer1@voorbeeld.example"],
        None,
    ]
    assert {query["tags"][0] for query in queries} == {"weekbrief-inst-1-2026-11-29"}
    assert {float(query["begin"][0]) for query in queries} == {SINCE.timestamp() - 300}


def test_only_our_own_delivery_id_is_proof() -> None:
    strange = [
        event("d99999"),
        event(7),
        {"user-variables": []},
        {"recipient": "lezer0@voorbeeld.example"},
        3,
    ]
    found, _ = find(1, [{"items": [*strange], "paging": {}}])
    assert (found.taken, found.error) == ({}, None)
    found, _ = find(1, [{"items": [*strange, event("d00000")], "paging": {}}])
    assert found.taken == {"d00000": "m"}


def test_a_next_page_is_asked_of_our_own_address_only() -> None:
    pages = [
        {"items": [event("x")], "paging": {"next": "https://evil.example/v3/x/events/W3siYQ==?key=1"}},
        {"items": [], "paging": {"next": "https://evil.example/more"}},
    ]
    _, asked = find(500, [*pages])
    assert asked[1:] == ["https://api.mailgun.net/v3/mg.voorbeeld.example/events/W3siYQ=="]


def test_a_log_without_end_is_left() -> None:
    found, asked = find(500, [{"items": [event("d00003")], "paging": {"next": "https://x.example/again"}}])
    assert len(asked) == 40
    assert found.taken == {"d00003": "m"}
    assert found.error


@pytest.mark.fault(67)
def test_what_was_found_before_the_log_broke_off_counts() -> None:
    pages: list[dict[str, Any] | NoAnswer] = [
        {"items": [event("d00003")], "paging": {"next": "https://x.example/more"}},
        NoAnswer(reach=Reach.SOMETHING_LEFT, error="no answer within 5 s"),
    ]
    found, _ = find(500, pages)
    assert (found.taken, found.error) == ({"d00003": "m"}, "no answer within 5 s")


def test_absence_is_no_proof() -> None:
    assert CAPABILITIES.search is not None
    assert not CAPABILITIES.search.complete
    assert CAPABILITIES.search.settle.total_seconds() == 30 * 60
