"""What we send to Resend, checked against Resend's own specification."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from emails.delivery import Recipient, Request
from emails.edition import MERGE_MARK, Mailbox, Mailing
from emails.esp import make_esp
from emails.esp.base import room
from emails.merge import UnsafeMergeValue
from tests.mailings import letter, mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"


def build(sent: Mailing | None = None, recipients: list[Recipient] | None = None, key: str = KEY) -> Request:
    esp = make_esp("resend", env={"RESEND_API_KEY": "re_test"}, outbox_folder=Path("unused"))
    return esp.build(sent or mailing(), people(3) if recipients is None else recipients, key)


def messages_of(request: Request) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(request.body)
    return messages


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of the body of `POST /emails/batch`, references resolved."""
    path = Path(__file__).parents[2].parent / "shared" / "esp" / "specs" / "resend" / "resend.yaml"
    if not path.is_file():
        pytest.skip("Resend's specification is not here; it is not part of the project")
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    body = spec["paths"]["/emails/batch"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return dict(resolved(body, spec, ()))


def resolved(node: Any, spec: Any, seen: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [resolved(each, spec, seen) for each in node]
    if not isinstance(node, dict):
        return node
    ref = node.get("$ref")
    if ref is None:
        return {name: resolved(value, spec, seen) for name, value in node.items()}
    if ref in seen:
        return {}
    target = spec
    for part in ref.removeprefix("#/").split("/"):
        target = target[part]
    return resolved(target, spec, (*seen, ref))


HOSTILE = [
    Recipient(
        delivery_id='d"\\\n,{}',
        address="o'neil+tag@voorbeeld.example",
        name='"},{"to":["x@y.example"]',
        unsubscribe_url="https://brief.voorbeeld.example/u/a-b_c~d.e",
        message_id="<1@voorbeeld.example>",
    ),
    replace(people(1)[0], address="jörg@straße.example"),
    replace(people(1)[0], address='"a\\"b"@voorbeeld.example'),
]


@pytest.mark.parametrize("recipients", [people(1), people(100), HOSTILE], ids=["one", "full", "hostile"])
def test_the_body_is_valid_by_the_vendors_schema(schema: dict[str, Any], recipients: list[Recipient]) -> None:
    messages = messages_of(build(recipients=recipients))
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(messages)
    known = set(schema["items"]["properties"])
    assert all(set(message) <= known for message in messages)
    assert len(messages) == len(recipients)


def test_the_schema_check_can_fail(schema: dict[str, Any]) -> None:
    messages = messages_of(build())
    del messages[1]["from"]
    with pytest.raises(jsonschema.ValidationError, match="from"):
        jsonschema.Draft202012Validator(schema).validate(messages)


def test_the_request_is_a_post_with_its_key() -> None:
    request = build()
    assert (request.method, request.url) == ("POST", "https://api.resend.com/emails/batch")
    assert request.headers["idempotency-key"] == request.key == KEY
    assert request.headers["content-type"] == "application/json"
    assert tuple(request.recipients) == tuple(people(3))


@pytest.mark.standard("H-08")
def test_each_message_has_one_recipient_and_their_own_link() -> None:
    for message, person in zip(messages_of(build()), people(3), strict=True):
        assert message["to"] == [person.address]
        assert message["headers"]["List-Unsubscribe"] == f"<{person.unsubscribe_url}>"
        assert message["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message["headers"]["List-ID"] == "Weekbrief <weekbrief.voorbeeld.example>"
        assert f'href="{person.unsubscribe_url}"' in message["html"]
        assert f"Afmelden: {person.unsubscribe_url}\n" in message["text"]
        assert message["from"] == "Gerrit <brief@voorbeeld.example>"
        assert message["reply_to"] == "gerrit@voorbeeld.example"
        assert MERGE_MARK not in json.dumps(message)


def test_the_spliced_letter_is_the_letter() -> None:
    text = letter(subject='Wat "houd" je \\ vast? 🍂', filler="\u2028 🍂 </script> \x7f é")
    message = messages_of(build(mailing(text=text), people(1)))[0]
    url = people(1)[0].unsubscribe_url
    assert message["subject"] == text.subject
    assert message["html"] == re.sub(r"WBMERGE-unsubscribe-url-WBEND", url, text.html)
    assert message["text"] == re.sub(r"WBMERGE-unsubscribe-url-WBEND", url, text.text)


def test_tags_name_the_delivery_in_the_alphabet_tags_allow() -> None:
    sent = replace(mailing(), tags={"list name": "één", "edition": "not ours"})
    for message, person in zip(messages_of(build(sent, HOSTILE[:1])), HOSTILE[:1], strict=True):
        tags = {tag["name"]: tag["value"] for tag in message["tags"]}
        assert tags["installation"] == "inst-1"
        assert tags["edition"] == "2026-11-29"
        assert tags["batch"] == KEY
        assert len(tags["delivery"]) == len(person.delivery_id)
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,256}", word) for pair in tags.items() for word in pair)


def test_odd_recipients_stay_inside_their_own_fields() -> None:
    messages = messages_of(build(recipients=HOSTILE))
    assert [message["to"] for message in messages] == [[person.address] for person in HOSTILE]


def test_an_international_domain_goes_in_ascii() -> None:
    person = replace(people(1)[0], address="lezer@straße.example")
    assert messages_of(build(recipients=[person]))[0]["to"] == ["lezer@xn--strae-oqa.example"]


def test_a_link_that_needs_escaping_is_refused_before_anything_is_built() -> None:
    person = replace(people(1)[0], unsubscribe_url='https://brief.voorbeeld.example/u/"><script>')
    with pytest.raises(UnsafeMergeValue):
        build(recipients=[person])


def test_a_sender_name_with_special_characters_is_quoted() -> None:
    news = replace(
        mailing().newsletter, sender=Mailbox(address="b@voorbeeld.example", name='De "Brief", wekelijks')
    )
    message = messages_of(build(replace(mailing(), newsletter=news)))[0]
    assert message["from"] == '"De \\"Brief\\", wekelijks" <b@voorbeeld.example>'


_BUILD_ELSEWHERE = """
import hashlib
from tests.contract.test_esp_resend import build
print(hashlib.sha256(build().body).hexdigest())
"""


@pytest.mark.fault(103)
def test_the_body_is_the_same_bytes_on_every_build_in_every_process() -> None:
    here = {hashlib.sha256(build().body).hexdigest() for _ in range(3)}
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", _BUILD_ELSEWHERE],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        here.add(found.stdout.strip())
    assert len(here) == 1


def test_no_recipients_is_an_empty_batch() -> None:
    assert build(recipients=[]).body == b"[]"


def test_room_keeps_a_call_under_the_byte_bound() -> None:
    esp = make_esp("resend", env={"RESEND_API_KEY": "re_test"}, outbox_folder=Path("unused"))
    heavy = mailing(text=letter(filler="x" * 40_000))
    one = len(esp.build(heavy, people(1), KEY).body)
    count = room(esp.capabilities, one)
    assert 10 < count < esp.capabilities.max_batch
    assert len(esp.build(heavy, people(count), KEY).body) <= esp.capabilities.max_bytes * 1.01
    assert room(esp.capabilities, 10**9) == 1
    assert room(esp.capabilities, 1) == 100
