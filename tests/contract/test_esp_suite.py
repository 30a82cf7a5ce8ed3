"""What every provider over HTTP must do, asked of each in its own dialect.

A provider joins by having a file in `tests/dialects`; what it cannot do is said there, and these tests then
check that the capability says so too.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emails.delivery import (
    Answer,
    AnswerClass,
    Capabilities,
    DeliveryState,
    Esp,
    Found,
    Recipient,
    Request,
    Sought,
)
from emails.edition import MERGE_MARK, UNSUBSCRIBE_URL, Letter, Mailbox, Mailing
from emails.esp import EspSettingsError, make_esp, provider_names
from emails.esp.settings import MissingSecret
from tests.dialects import FakeDialect, Message, Trouble, dialect, dialect_names
from tests.fault_esp import FaultServer, says
from tests.fault_provider import FaultProvider
from tests.mailings import letter, mailing, people

KEY = "wb1-inst-1-2026-11-29-1-0123456789abcdef01234567"
DEADLINE = 10.0
NOT_HTTP = {"outbox", "smtp"}
ONE_AT_A_TIME = {"mailersend"}
"""Providers that take one message a call: their own file asks the questions that make sense for one."""
SAME_AS = {"sandbox": "resend"}
"""Providers that speak another one's dialect."""

AWKWARD = Letter(
    subject='Wat "houd" je \\ vast? {{x}} %recipient.x% [[var:x]] -naam- 🍂',
    html="<html><head><style>p{margin:0}@media print{p{margin:1px}}</style></head><body>"
    '<p>Eén "vraag" \\ \\" \u2028 🍂 {{params.x}} {% if x %}ja{% endif %} %recipient.unsub% [[var:x]] '
    "{{{ pm:unsubscribe }}} {{unsubscribe}} *|X|* $x ${x} %%x%% &lt;b&gt; &amp;amp; 'x' {0} %s</p>"
    f'<a href="{UNSUBSCRIBE_URL}">uit</a><a href="{UNSUBSCRIBE_URL}/preferences">minder</a></body></html>',
    text='Eén "vraag"\n\t\\ \\" \u2028 🍂 {{params.x}} {% if x %}ja{% endif %} %recipient.unsub% [[var:x]]\n'
    "{{{ pm:unsubscribe }}} {{unsubscribe}} *|X|* $x ${x} %%x%% <b> &amp; 'x' {0} %s\n.\n"
    f"Afmelden: {UNSUBSCRIBE_URL}\nVoorkeuren:\n{UNSUBSCRIBE_URL}/preferences\n",
    language="nl",
)


def test_every_provider_has_a_dialect() -> None:
    assert set(provider_names()) - NOT_HTTP - set(SAME_AS) <= set(dialect_names())


@dataclass(frozen=True)
class Bench:
    """A provider, its fake, and what is sent between them."""

    fake: FakeDialect
    provider: FaultProvider
    esp: Esp

    @property
    def can(self) -> Capabilities:
        return self.esp.capabilities

    def send(
        self, sent: Mailing | None = None, recipients: list[Recipient] | None = None, key: str = KEY
    ) -> Answer:
        return self.esp.submit(self.build(sent, recipients, key), DEADLINE)

    def build(
        self, sent: Mailing | None = None, recipients: list[Recipient] | None = None, key: str = KEY
    ) -> Request:
        return self.esp.build(sent or mailing(), people(3) if recipients is None else recipients, key)

    def took(self) -> dict[str, Message]:
        """Every message taken, by address; each only once."""
        taken = self.provider.truth.messages()
        assert len({each.address for each in taken}) == len(taken)
        return {each.address: each.message for each in taken}

    def find(
        self, recipients: list[Recipient] | None = None, *, edition: str = "2026-11-29", key: str = KEY
    ) -> Found:
        sought = Sought(
            installation="inst-1",
            edition=edition,
            key=key,
            since=datetime.now(UTC) - timedelta(minutes=1),
            recipients=people(3) if recipients is None else recipients,
        )
        return self.esp.find(sought, DEADLINE)


@pytest.fixture(params=[n for n in dialect_names() if n in provider_names() and n not in ONE_AT_A_TIME])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with at_work(request.param) as made:
        yield made


@contextmanager
def at_work(name: str) -> Iterator[Bench]:
    fake = dialect(name)
    with FaultProvider(fake) as provider:
        esp = adapter(fake, provider.url)
        yield Bench(fake, provider, esp)
        esp.close()


def adapter(fake: FakeDialect, url: str | None = None, **changed: Any) -> Esp:
    settings = {"base_url": url, "env": dict(fake.secrets), "outbox_folder": Path("unused"), **changed}
    return make_esp(fake.name, **settings)


def ids_of(answer: Answer) -> dict[str, str | None]:
    if answer.provider_id:
        return {person.delivery_id: answer.provider_id for person in people(3)}
    assert all(receipt.state is DeliveryState.ACCEPTED for receipt in answer.receipts)
    return {receipt.delivery_id: receipt.provider_id for receipt in answer.receipts}


# What arrives


@pytest.mark.standard("H-08")
def test_everyone_gets_their_own_message_with_their_own_link(bench: Bench) -> None:
    answer = bench.send()
    assert answer.kind is AnswerClass.ACCEPTED, answer
    took = bench.took()
    assert set(took) == {person.address for person in people(3)}
    for person in people(3):
        message = took[person.address]
        assert message.visible == (person.address,)
        assert f'href="{person.unsubscribe_url}"' in message.html
        assert f"Afmelden: {person.unsubscribe_url}" in message.text
        if bench.fake.own_unsubscribe:
            assert message.headers["List-Unsubscribe"] == f"<{person.unsubscribe_url}>"
            assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        if bench.fake.custom_headers:
            assert message.headers["List-ID"] == "Weekbrief <weekbrief.voorbeeld.example>"
            assert message.headers["Content-Language"] == "nl"
            assert message.headers["Feedback-ID"] == "2026-11-29:nl:weekbrief:voorbeeld"


def test_what_a_provider_cannot_keep_is_said(bench: Bench) -> None:
    if not bench.fake.own_unsubscribe:
        assert bench.can.own_list_unsubscribe == "no"
    if bench.can.own_list_unsubscribe != "yes":
        assert any("List-Unsubscribe" in note for note in bench.can.notes)
    if not bench.fake.tracking_flag:
        assert any("racking" in note for note in bench.can.notes)
    if not bench.fake.custom_headers:
        assert any("header" in note for note in bench.can.notes)


def test_awkward_text_arrives_as_it_was_written(bench: Bench) -> None:
    """Nothing in a post is taken for the provider's merge syntax, and nothing is lost in escaping."""
    assert bench.send(mailing(text=AWKWARD)).kind is AnswerClass.ACCEPTED
    took = bench.took()
    read = bench.fake.as_read
    for person in people(3):
        message = took[person.address]
        assert read(message.subject) == read(AWKWARD.subject)
        assert read(message.html) == read(AWKWARD.html.replace(UNSUBSCRIBE_URL, person.unsubscribe_url))
        assert read(message.text) == read(AWKWARD.text.replace(UNSUBSCRIBE_URL, person.unsubscribe_url))
        assert MERGE_MARK not in json.dumps([message.subject, message.html, message.text])


@pytest.mark.parametrize("name", ["Gerrit", 'De "Brief", wekelijks', "Loslaten & zo, één keer", ""])
def test_sender_and_reply_address_arrive(bench: Bench, name: str) -> None:
    news = replace(
        mailing().newsletter,
        sender=Mailbox(address="brief@voorbeeld.example", name=name),
        reply_to=Mailbox(address="gerrit@voorbeeld.example", name=name),
    )
    bench.send(replace(mailing(), newsletter=news))
    for message in bench.took().values():
        assert message.sender == (f"{name} <brief@voorbeeld.example>" if name else "brief@voorbeeld.example")
        assert message.reply_to in (f"{name} <gerrit@voorbeeld.example>", "gerrit@voorbeeld.example")


def test_without_a_reply_address_there_is_none(bench: Bench) -> None:
    bench.send(replace(mailing(), newsletter=replace(mailing().newsletter, reply_to=None)))
    assert {message.reply_to for message in bench.took().values()} == {""}


def test_no_message_asks_to_be_tracked(bench: Bench) -> None:
    bench.send()
    assert {message.tracking for message in bench.took().values()} == {
        False if bench.fake.tracking_flag else None
    }


def test_messages_tell_which_delivery_they_are(bench: Bench) -> None:
    bench.send()
    told = {"edition": "2026-11-29", "installation": "inst-1", "batch": KEY}
    for person in people(3):
        meta = bench.took()[person.address].meta
        for name in bench.fake.carries:
            expected = person.delivery_id if name == "delivery" else told[name]
            assert meta[name] == expected or (name == "batch" and meta[name] in short_forms(KEY)), name


def short_forms(key: str) -> set[str]:
    """A key may be cut down to its own hash where a provider has little room."""
    return {key, key.rsplit("-", 1)[1]}


def test_a_notice_has_no_list_headers(bench: Bench) -> None:
    assert bench.send(replace(mailing(), notice=True), people(1)).kind is AnswerClass.ACCEPTED
    (message,) = bench.took().values()
    assert not {name for name in message.headers if name.lower().startswith(("list-", "feedback-id"))}
    if bench.fake.custom_headers:
        assert message.headers["Auto-Submitted"] == "auto-generated"


def test_an_international_domain_goes_in_ascii(bench: Bench) -> None:
    person = replace(people(1)[0], address="lezer@straße.example")
    assert bench.send(recipients=[person]).kind is AnswerClass.ACCEPTED
    assert set(bench.took()) == {"lezer@xn--strae-oqa.example"}


ODD = [
    replace(people(1)[0], address="o'neil+tag@voorbeeld.example"),
    replace(people(2)[1], address="LEZER.x_y-z@Voorbeeld.example", name='"},{"to":["x@y.example"]'),
]


def test_odd_recipients_stay_inside_their_own_message(bench: Bench) -> None:
    assert bench.send(recipients=ODD).kind is AnswerClass.ACCEPTED
    assert set(bench.took()) == {person.address for person in ODD}


@pytest.mark.fault(57)
def test_an_address_that_cannot_be_written_harms_no_one_else(bench: Bench) -> None:
    """It is built all the same: the provider refuses it, and whoever splits the batch finds it."""
    hostile = [
        '"a\\"b"@voorbeeld.example',
        "x@y,z@voorbeeld.example",
        "jörg@voorbeeld.example",
        "a b@c.example",
    ]
    for address in hostile:
        bench.send(recipients=[people(1)[0], replace(people(2)[1], address=address)])
    allowed = {people(1)[0].address, *hostile}
    assert set(bench.provider.truth.copies()) <= allowed


# The request


def test_a_request_is_the_same_bytes_whenever_it_is_built(bench: Bench) -> None:
    again = adapter(bench.fake, bench.provider.url)
    built = [bench.build(), bench.build(), again.build(mailing(), people(3), KEY)]
    again.close()
    assert len({request.body for request in built}) == 1
    assert len({json.dumps(dict(request.headers)) for request in built}) == 1
    assert {request.key for request in built} == {KEY}
    assert tuple(built[0].recipients) == tuple(people(3))


def test_the_documented_limit_fits_in_one_call(bench: Bench) -> None:
    assert bench.can.max_batch <= bench.fake.max_batch
    assert bench.send(recipients=people(bench.can.max_batch)).kind is AnswerClass.ACCEPTED
    assert len(bench.took()) == bench.can.max_batch


def test_a_batch_size_above_the_limit_is_refused(bench: Bench) -> None:
    with pytest.raises(EspSettingsError, match=r"provider\.batch_size"):
        adapter(bench.fake, batch_size=bench.can.max_batch + 1)
    assert adapter(bench.fake, batch_size=1).capabilities.max_batch == 1


def test_a_link_that_needs_escaping_is_refused_before_anything_is_built(bench: Bench) -> None:
    person = replace(people(1)[0], unsubscribe_url='https://brief.voorbeeld.example/u/"><script>')
    with pytest.raises(ValueError, match="plain ASCII web address"):
        bench.build(recipients=[person])


def test_each_secret_is_asked_for_by_name(bench: Bench) -> None:
    for name in bench.fake.secrets:
        left = {each: value for each, value in bench.fake.secrets.items() if each != name}
        with pytest.raises(MissingSecret, match=name):
            adapter(bench.fake, env=left)


def test_the_default_address_is_the_providers_own(bench: Bench) -> None:
    request = adapter(bench.fake).build(mailing(), people(1), KEY)
    assert request.url.startswith("https://")


# Answers


def test_every_message_gets_its_own_answer(bench: Bench) -> None:
    answer = bench.send()
    assert (answer.kind, answer.alarm, answer.error) == (AnswerClass.ACCEPTED, None, None)
    if bench.fake.ids_told:
        truth = {each.delivery: each.provider_id for each in bench.provider.truth.messages()}
        expected = {person.delivery_id: each for person, each in zip(people(3), truth.values(), strict=True)}
        assert ids_of(answer) == (truth if None not in truth else expected)


@pytest.mark.fault(58)
def test_one_bad_address(bench: Bench) -> None:
    """Taken in part: each person by their own answer. Refused whole: nothing is taken, and told so."""
    bad = people(3)[1]
    bench.provider.play({"bad_addresses": [bad.address]})
    answer = bench.send()
    if bench.fake.refuses_whole:
        assert (answer.kind, answer.in_doubt) == (AnswerClass.REFUSED, False)
        assert bench.took() == {}
    else:
        assert answer.kind is AnswerClass.ACCEPTED
        states = {receipt.delivery_id: receipt.state for receipt in answer.receipts}
        assert states == {
            person.delivery_id: DeliveryState.REFUSED if person == bad else DeliveryState.ACCEPTED
            for person in people(3)
        }
        assert all(receipt.reason for receipt in answer.receipts if receipt.state is DeliveryState.REFUSED)
        assert set(bench.took()) == {person.address for person in people(3) if person != bad}
    assert bad.address not in repr(replace(answer, receipts=())) + str(
        [each.reason for each in answer.receipts]
    )


def test_a_bad_address_alone(bench: Bench) -> None:
    bad = people(1)[0]
    bench.provider.play({"bad_addresses": [bad.address]})
    answer = bench.send(recipients=[bad])
    refused = [receipt.state for receipt in answer.receipts] == [DeliveryState.REFUSED]
    assert answer.kind is AnswerClass.REFUSED or (answer.kind is AnswerClass.ACCEPTED and refused)
    assert bench.took() == {}


MEANS = {
    Trouble.WRONG_KEY: (AnswerClass.HOLD, False),
    Trouble.UNVERIFIED: (AnswerClass.HOLD, False),
    Trouble.QUOTA: (AnswerClass.HOLD, False),
    Trouble.RATE_LIMIT: (AnswerClass.NOT_SENT, False),
    Trouble.CHANGED: (AnswerClass.HOLD, True),
    Trouble.RUNNING: (AnswerClass.BUSY, False),
    Trouble.BROKEN: (AnswerClass.UNCERTAIN, False),
}


@pytest.mark.fault(54)
@pytest.mark.fault(55)
@pytest.mark.fault(56)
@pytest.mark.fault(62)
@pytest.mark.fault(63)
@pytest.mark.parametrize("trouble", MEANS)
def test_the_providers_own_refusals(bench: Bench, trouble: Trouble) -> None:
    if bench.fake.trouble(trouble, [message_of_nobody()]) is None:
        pytest.skip(f"{bench.fake.name} has no answer for {trouble}")
    bench.provider.play([{"trouble": trouble}])
    answer = bench.send()
    assert (answer.kind, answer.in_doubt) == MEANS[trouble], answer
    assert answer.error
    assert bench.took() == {}


def message_of_nobody() -> Message:
    return Message(
        address="a@voorbeeld.example",
        visible=("a@voorbeeld.example",),
        sender="",
        reply_to="",
        subject="",
        html="",
        text="",
        headers={},
        meta={},
        tracking=None,
    )


@pytest.mark.fault(52)
def test_a_rate_limit_tells_how_long_to_wait(bench: Bench) -> None:
    bench.provider.play([{"trouble": Trouble.RATE_LIMIT}])
    answer = bench.send()
    if bench.fake.retry_after:
        assert answer.retry_after == 7.0
    else:
        assert answer.retry_after is None or answer.retry_after > 0
    assert bench.send().kind is AnswerClass.ACCEPTED


def test_a_wrong_secret_is_a_hold(bench: Bench) -> None:
    env = {name: value.replace("canary", "other") for name, value in bench.fake.secrets.items()}
    esp = adapter(bench.fake, bench.provider.url, env=env)
    answer = esp.submit(esp.build(mailing(), people(1), KEY), DEADLINE)
    esp.close()
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, False)
    assert bench.took() == {}


PORTAL = "<html><body>Welkom op ons wifi</body></html>"


@pytest.mark.fault(46)
@pytest.mark.fault(47)
@pytest.mark.fault(60)
@pytest.mark.parametrize(
    "step",
    [
        {"status": 500, "body": "<h1>oops</h1>"},
        {"status": 502, "record": True},
        {"status": 504, "body": {"message": "too slow"}},
        {"status": 200, "body": PORTAL, "headers": {"Content-Type": "text/html"}},
        {"status": 200, "body": '{"trunca'},
        {"status": 200, "body": "[]"},
        {"status": 200, "body": "null"},
        {"status": 200, "body": '"Mailgun Magnificent API"'},
        {"status": 418, "body": "?"},
        {"cut": "before"},
        {"cut": "before", "reset": True},
        {"cut": "after"},
        {"cut": "after", "reset": True},
    ],
    ids=lambda step: "-".join(str(value)[:12] for value in step.values()),
)
def test_what_nobody_can_know_is_uncertain(bench: Bench, step: dict[str, Any]) -> None:
    bench.provider.play([step])
    answer = bench.send()
    assert answer.kind is AnswerClass.UNCERTAIN, answer
    assert len(bench.took()) == (3 if step.get("record") or step.get("cut") == "after" else 0)


def test_an_answer_cut_short_is_not_believed_to_be_whole(bench: Bench) -> None:
    bench.provider.play([{"cut": "middle"}])
    answer = bench.send()
    assert answer.kind is AnswerClass.UNCERTAIN
    assert not answer.receipts
    assert len(bench.took()) == 3


@pytest.mark.fault(61)
def test_a_redirect_is_not_followed(bench: Bench) -> None:
    with FaultServer([says(200, {})]) as elsewhere:
        bench.provider.play([{"status": 307, "headers": {"Location": f"{elsewhere.url}/x"}}])
        answer = bench.send()
        assert elsewhere.connections == 0
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)


@pytest.mark.fault(59)
@pytest.mark.parametrize("how", ["fewer", "more"])
def test_an_answer_about_other_messages_is_accepted_with_an_alarm(bench: Bench, how: str) -> None:
    if not bench.fake.id_per_message:
        pytest.skip(f"{bench.fake.name} names one id for the whole call")
    bench.provider.play([{"mangle": how}])
    answer = bench.send()
    assert answer.kind is AnswerClass.ACCEPTED
    assert answer.alarm
    truth = {each.delivery: each.provider_id for each in bench.provider.truth.messages()}
    assert {each.delivery_id: each.provider_id for each in answer.receipts}.items() <= truth.items()


@pytest.mark.fault(59)
def test_answers_in_another_order_are_matched_by_what_they_repeat(bench: Bench) -> None:
    if not bench.fake.echoes:
        pytest.skip(f"{bench.fake.name} repeats nothing that tells messages apart")
    bench.provider.play([{"mangle": "reversed"}])
    answer = bench.send()
    truth = {each.delivery: each.provider_id for each in bench.provider.truth.messages()}
    assert ids_of(answer) == truth


# The same key again


@pytest.mark.fault(47)
def test_the_same_key_again(bench: Bench) -> None:
    """Keyed: the first answer, nothing sent twice. Unkeyed: twice, which is why nobody asks again."""
    bench.provider.play([{"cut": "after"}])
    request = bench.build()
    assert bench.esp.submit(request, DEADLINE).kind is AnswerClass.UNCERTAIN
    again = bench.esp.submit(request, DEADLINE)
    copies = set(bench.provider.truth.copies().values())
    if bench.can.keyed:
        assert bench.fake.keyed
        assert again.kind is AnswerClass.ACCEPTED
        assert copies == {1}
        truth = {each.delivery: each.provider_id for each in bench.provider.truth.messages()}
        assert ids_of(again) == truth
        assert bench.can.key_life is not None
        assert bench.can.key_life.total_seconds() <= bench.fake.key_life
    elif bench.fake.keyed:
        assert copies == {1}
    else:
        assert copies == {2}


def test_the_same_key_with_another_body_is_a_hold(bench: Bench) -> None:
    if not bench.can.keyed:
        pytest.skip(f"{bench.fake.name} has no key that we rely on")
    bench.send()
    answer = bench.send(mailing(text=letter(subject="Iets anders")))
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)
    assert len(bench.took()) == 3


def test_another_key_is_another_batch(bench: Bench) -> None:
    assert bench.send().kind is AnswerClass.ACCEPTED
    other = KEY.replace("-1-0", "-2-f")
    assert bench.send(recipients=people(3, first=3), key=other).kind is AnswerClass.ACCEPTED
    assert len(bench.took()) == 6


# Searching


@pytest.mark.fault(66)
def test_a_search_finds_what_was_taken_and_says_nothing_too_early(bench: Bench) -> None:
    if bench.can.search is None:
        found = bench.find()
        assert found.error
        assert not found.taken
        return
    bench.provider.play({"steps": [{"cut": "after"}], "index_delay": 3600})
    assert bench.send().kind is AnswerClass.UNCERTAIN
    assert (bench.find().taken, bench.find().error) == ({}, None)
    assert bench.can.search.settle > timedelta(0)
    bench.provider.play({})
    found = bench.find()
    assert found.error is None
    truth = {each.delivery: each.provider_id for each in bench.provider.truth.messages()}
    assert set(found.taken) == {person.delivery_id for person in people(3)}
    if "delivery" in bench.fake.carries and bench.fake.ids_told:
        assert all(found.taken[each] in (provider_id, None) for each, provider_id in truth.items() if each)


def test_a_search_finds_no_other_batch_and_nobody_else(bench: Bench) -> None:
    if bench.can.search is None:
        pytest.skip(f"{bench.fake.name} cannot be asked")
    bench.send()
    assert bench.find(key=KEY.replace("-1-0", "-2-f"), edition="2026-12-06").taken == {}
    only = people(4)[2:]
    assert set(bench.find(only).taken) == {"d00002"}


def test_a_search_reads_every_page(bench: Bench) -> None:
    if bench.can.search is None:
        pytest.skip(f"{bench.fake.name} cannot be asked")
    everyone = people(bench.can.max_batch)
    bench.send(recipients=everyone)
    found = bench.find(everyone)
    assert found.error is None
    assert set(found.taken) == {person.delivery_id for person in everyone}


@pytest.mark.fault(67)
@pytest.mark.parametrize(
    "step",
    [{"status": 500}, {"status": 200, "body": PORTAL}, {"status": 429}, {"cut": "before"}, {"status": 401}],
    ids=["500", "portal", "429", "cut", "401"],
)
def test_a_search_that_is_down_leaves_the_doubt(bench: Bench, step: dict[str, Any]) -> None:
    if bench.can.search is None:
        pytest.skip(f"{bench.fake.name} cannot be asked")
    bench.send()
    bench.provider.play({"search": [{**step, "times": 0}]})
    found = bench.find()
    assert found.error
    assert not found.taken


# Secrets and addresses


def test_no_secret_and_no_address_is_ever_shown(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [value for value in bench.fake.secrets.values() if "canary" in value]
    assert secrets
    echo = f"no such key: {' '.join(secrets)} for {people(1)[0].address}"
    shapes = [
        {"status": 401, "body": {"message": echo, "name": echo, "code": echo, "errors": [{"message": echo}]}},
        {"status": 400, "body": {"message": echo, "Message": echo, "ErrorCode": 300, "code": echo}},
        {"status": 500, "body": echo},
        {"trouble": Trouble.WRONG_KEY},
        {"cut": "before"},
    ]
    bench.provider.play({"steps": shapes, "search": shapes[:3]})
    request = bench.build()
    shown = [
        repr(bench.esp),
        repr(request),
        json.dumps(dict(request.headers)),
        request.url,
        request.body.decode(),
    ]
    answers = [bench.esp.submit(request, DEADLINE) for _ in range(len(shapes) + 1)]
    shown += [repr(answer) for answer in answers] + [repr(bench.find()), caplog.text, repr(bench.can)]
    assert not [secret for secret in secrets for text in shown if secret in text]
    assert not [answer for answer in answers if people(1)[0].address in repr(answer)]
    assert people(1)[0].address not in caplog.text


# Time


@pytest.mark.fault(49)
def test_a_dripping_answer_ends_at_the_deadline(bench: Bench) -> None:
    bench.provider.play([{"drip": 0.1}])
    began = time.monotonic()
    answer = bench.esp.submit(bench.build(), 0.5)
    assert time.monotonic() - began < 2
    assert answer.kind is AnswerClass.UNCERTAIN
    assert len(bench.took()) == 3


def test_notes_are_sentences(bench: Bench) -> None:
    check: Callable[[str], object] = re.compile(r"[A-Z\d].*[.)]", re.DOTALL).fullmatch
    assert all(check(note) for note in bench.can.notes), bench.can.notes
