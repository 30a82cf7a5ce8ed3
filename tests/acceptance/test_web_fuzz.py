"""Every address of the public pages as its description tells it, with whatever can be sent to it: no answer
is a failure of ours, none is another than described, and the description leaves nothing out.

Requests are made by Hypothesis from `openapi.yaml`: described ones, and ones that break the description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from threading import Event
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from pipeline.events import digest
from pipeline.service import public_pages
from pipeline.settings import load_settings
from pipeline.store import Store
from pipeline.web.papers import description
from pipeline.wiring import esp_of, opened, signer_of
from subscribers.tokens import Signer
from tests import builders
from tests.serving import SECRET, serving

SCHEDULE = """\
newsletter: {name: Weekbrief, sender: brief@voorbeeld.example, language: nl, address: Utrecht,
  url: "http://localhost"}
sources: [{folder: posts}]
schedule: {on: sunday, at: 08:00, timezone: Europe/Amsterdam}
provider: {name: outbox}
web: {origins: ["https://blog.voorbeeld.example"], metrics: true}
"""
BLOG = "https://blog.voorbeeld.example"
HOOKS = {
    "POSTMARK_WEBHOOK_SECRET": "a-secret-behind-the-address-0123456789",
    "RESEND_WEBHOOK_SECRET": "whsec_c2VjcmV0IGZvciB0ZXN0cyBhbmQgbm90aGluZyBlbHNl",
    "SES_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:letters",
}
METHODS = ("get", "post", "put", "delete", "patch", "head", "options")
REFUSALS = {400, 401, 403, 404, 405, 408, 413, 415, 422}


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    template: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


@dataclass(frozen=True)
class House:
    """All that `weekbrief serve` answers, with some readers."""

    base: str
    app: Starlette
    signer: Signer
    store: Store


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "posts").mkdir()
    (folder / "schedule.yaml").write_text(SCHEDULE, "utf-8")
    settings = load_settings(folder / "schedule.yaml", {"WEEKBRIEF_SECRET": SECRET.decode(), **HOOKS})
    with opened(settings) as store:
        builders.subscribe(store, 3)
        esp = esp_of(settings)
        app = public_pages(settings, store, esp)
        assert isinstance(app, Starlette)
        with serving(app) as base:
            yield House(base, app, signer_of(settings, store), store)
        esp.close()


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=60) as client:
        yield client


@cache
def paths() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = description()["paths"]
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """`part`, or what its `$ref` points at."""
    while "$ref" in part:
        found: Any = description_cached()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        part = found
    return part


@cache
def description_cached() -> dict[str, Any]:
    return description()


def operation(template: str, method: str) -> dict[str, Any]:
    return resolved(paths()[template][method])


# What is described is what is there


def test_every_route_is_described_and_nothing_else(house: House) -> None:
    described = {
        (template, method)
        for template, operations in paths().items()
        for method in operations
        if method in METHODS
    }
    assert described == routes_of(house)


def routes_of(house: House) -> set[tuple[str, str]]:
    """What the application answers, without the slash that may follow."""
    return {
        (route.path.rstrip("/") or "/", method.lower())
        for route in house.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }


def test_the_description_is_served_and_whole(house: House, web: httpx.Client) -> None:
    answer = web.get(f"{house.base}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    served = answer.json()
    assert served == json.loads(json.dumps(description()))
    assert served["openapi"].startswith("3.1")
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(served)):
        assert resolved({"$ref": reference})
    for template in paths():
        for method in METHODS:
            if method in paths()[template]:
                told = operation(template, method)
                assert told["summary"]
                assert told["responses"]


# Whatever is sent

TEXT = st.text(max_size=60)
WORDS = st.sampled_from(
    [
        "lena@voorbeeld.example",
        "reader0@voorbeeld.example",
        "LENA@VOORBEELD.EXAMPLE ",
        "a@xn--bcher-kva.example",
        "a@bücher.example",
        "@",
        "a@b@c.example",
        "=?UTF-8?Q?=0A?=Bcc: x@y.example",
        "x\r\nBcc: y@z.example",
        "\0",
        "nl",
        "en-GB",
        "../../etc/passwd",
        "{{7*7}}",
        "' OR 1=1 --",
        "A" * 4000,
        "\u202e\u200b\N{GRINNING FACE}",
        "2026-11-29",
        "-1",
        "99999999999999999999",
        "every",
    ]
)


def values() -> st.SearchStrategy[str]:
    return WORDS | TEXT


@st.composite
def requests(draw: st.DrawFn, house: House) -> Sent:
    """A request for a described address: mostly as described, sometimes in every other way."""
    template = draw(st.sampled_from(sorted(paths())))
    known = [method for method in METHODS if method in paths()[template]]
    method = draw(st.sampled_from(known * 4 + list(METHODS)))
    headers = {
        "Origin": draw(st.sampled_from([BLOG, BLOG, "http://localhost", "null", "https://evil.example"]))
    }
    headers |= draw(odd_headers())
    content, kind = draw(bodies(template, method))
    if kind is not None:
        headers["Content-Type"] = kind
    return Sent(
        method=method.upper(),
        template=template,
        path=draw(filled(template, tokens(house))),
        query=draw(queries()),
        headers=headers,
        content=content,
    )


def tokens(house: House) -> list[str]:
    signer = house.signer
    return [
        *(signer.unsubscribe_token(number) for number in range(1, 5)),
        *(signer.confirm_token(number, 1) for number in range(1, 5)),
        signer.stamp(datetime.now(UTC) - timedelta(minutes=1)),
        *(signer.personal_token(number, datetime.now(UTC)) for number in range(1, 4)),
        *(signer.move_token(number) for number in range(1, 3)),
        signer.unsubscribe_token(1)[:-1] + "0",
        *("postmark", "resend", "ses", "brevo", HOOKS["POSTMARK_WEBHOOK_SECRET"]),
    ]


@st.composite
def filled(draw: st.DrawFn, template: str, known: list[str]) -> str:
    def value(_: re.Match[str]) -> str:
        return quote(draw(st.sampled_from(known) | values()), safe=draw(st.sampled_from(["", "/", "/.:@"])))

    path = re.sub(r"\{[^}]+\}", value, template)
    return path + draw(st.sampled_from(["", "", "", "/", "//", "/x"]))


@st.composite
def queries(draw: st.DrawFn) -> str:
    names = st.sampled_from(["language", "q", "page", "next"])
    pairs = draw(st.lists(st.tuples(names, values()), max_size=3))
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)


@st.composite
def odd_headers(draw: st.DrawFn) -> dict[str, str]:
    shown = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
    names = [
        "X-Forwarded-For",
        "Forwarded",
        "Range",
        "Accept",
        "If-None-Match",
        "If-Modified-Since",
        "Cookie",
    ]
    known = st.sampled_from(
        ["198.51.100.1", "for=unknown", "bytes=0-1,5-", "*", '"x"', "text/html;q=abc", "a=b"]
    )
    return draw(st.dictionaries(st.sampled_from(names), known | shown, max_size=2))


@st.composite
def bodies(draw: st.DrawFn, template: str, method: str) -> tuple[bytes, str | None]:
    """Octets and their kind: as the operation describes them, or anything."""
    if method in ("get", "head", "options") or not draw(st.integers(0, 9)):
        return draw(st.sampled_from([b"", b"x=1"])), None
    described = resolved(paths()[template].get(method, {})).get("requestBody", {}).get("content", {})
    kinds = [*described, *described, "application/x-www-form-urlencoded", "application/json", "text/plain"]
    kind = draw(st.sampled_from(kinds))
    if not draw(st.integers(0, 5)):
        return draw(st.binary(max_size=300)), kind
    properties = resolved(described.get(kind, {}).get("schema", {})).get("properties", {})
    names = st.sampled_from([*properties, *properties, "email", "x"])
    if kind == "application/json":
        scalar = values() | st.none() | st.booleans() | st.integers() | st.floats()
        anything = st.recursive(scalar, lambda inside: st.lists(inside, max_size=3), max_leaves=4)
        return json.dumps(draw(st.dictionaries(names, anything, max_size=6))).encode(), kind
    pairs = draw(st.lists(st.tuples(names, values()), max_size=6))
    return "&".join(f"{name}={quote(value, safe='@')}" for name, value in pairs).encode(), kind


@pytest.mark.fault(148)
@pytest.mark.fault(123)
@seed(20261124)
@settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(data=st.data())
def test_no_request_makes_us_fail_and_every_answer_is_one_that_is_described(
    house: House, web: httpx.Client, data: st.DataObject
) -> None:
    sent = data.draw(requests(house))
    answer = web.request(
        sent.method,
        f"{house.base}{sent.path}" + (f"?{sent.query}" if sent.query else ""),
        headers=sent.headers,
        content=sent.content,
    )
    assert answer.status_code in REFUSALS | described_statuses(sent), answer.text[:200]
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in answer.text


def test_whatever_was_stored_of_it_can_be_worked_off(house: House, web: httpx.Client) -> None:
    secret = HOOKS["POSTMARK_WEBHOOK_SECRET"]
    for body in ({}, [], {"RecordType": "Bounce"}, {"RecordType": 7, "Metadata": []}, [[[]]] * 50, None, "x"):
        answer = web.post(f"{house.base}/hooks/postmark/{secret}", json=body)
        assert answer.status_code in {200, 400}
    digest(house.store, stop=Event())
    assert web.get(f"{house.base}/healthz").text == "ok\n"


def described_statuses(sent: Sent) -> set[int]:
    method = "get" if sent.method == "HEAD" else sent.method.lower()
    return {int(status) for status in resolved(paths()[sent.template].get(method, {})).get("responses", {})}
