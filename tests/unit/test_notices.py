"""The letters beside the weekly one: what they say, and to whom they go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from emails.delivery import Answer, AnswerClass, Recipient, Request
from emails.edition import Mailing
from emails.notices import draft_ready, run_report, welcome
from emails.words import words
from pipeline.notices import NotAnswered, Notices
from pipeline.report import Outcome, Report
from pipeline.store.counting import Counts
from subscribers.subscriber import Subscriber, SubscriberState
from tests.letters import CONFIRM, DAY, EXAMPLE, NEWSLETTER, NOTICES, QUESTION, UNSUBSCRIBE

ANNA = Subscriber(
    id=7,
    address="anna@lezer.example",
    address_key="anna@lezer.example",
    name="Anna",
    language="en",
    state=SubscriberState.ACTIVE,
    confirm_round=2,
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
)


class Provider:
    """Keeps what it was handed, and answers as told."""

    def __init__(self, kind: AnswerClass = AnswerClass.ACCEPTED) -> None:
        self.kind = kind
        self.sent: list[tuple[Mailing, Recipient]] = []

    def build(self, mailing: Mailing, recipients: list[Recipient], key: str) -> Request:
        self.sent.append((mailing, recipients[0]))
        return Request(method="POST", url="https://provider.example", headers={}, body=b"", key=key)

    def submit(self, request: Request, deadline: float) -> Answer:
        return Answer(kind=self.kind, error="the provider is closed")


def notices(provider: Provider) -> Notices:
    return Notices(NEWSLETTER, provider, installation="i1", deadline=5)  # type: ignore[arg-type]  # a part of one


def plain(text: str) -> str:
    return " ".join(text.split())


def test_a_welcome_says_what_comes_and_when() -> None:
    said = plain(welcome(NEWSLETTER, "nl", first=DAY, unsubscribe_url=UNSUBSCRIBE).text)
    assert "De eerste brief komt op zondag 29 november 2026. De brief komt elke week" in said
    assert UNSUBSCRIBE in said


def test_a_draft_shows_question_and_example_and_the_commands() -> None:
    made = draft_ready(
        NEWSLETTER,
        day=DAY,
        title="Het aanrecht",
        question=QUESTION,
        example=EXAMPLE,
        remarks=("length: long",),
    )
    said = plain(made.text)
    for part in (QUESTION, plain(EXAMPLE), "weekbrief approve 2026-11-29", "- length: long"):
        assert part in said
    assert 'lang="en" dir="ltr"' in made.html, "our own sentences are English in a Dutch letter"


def test_a_report_adds_up_and_names_only_what_there_is() -> None:
    counts = {"frozen": 25, "accepted": 22, "refused": 1, "pending": 1, "submitted": 1}
    said = plain(run_report(NEWSLETTER, day=DAY, verdict="partial", counts=counts).text)
    assert "25 ontvangers Aangenomen: 22 Geweigerd: 1 Nog te doen: 2" in said
    assert "Onzeker" not in said
    one = plain(run_report(NEWSLETTER, day=DAY, verdict="sent", counts={"frozen": 1, "accepted": 1}).text)
    assert "1 ontvanger " in one


@pytest.mark.standard("L-06")
@pytest.mark.parametrize("kind", NOTICES)
def test_a_reader_who_is_called_u_is_called_u_everywhere(kind: str) -> None:
    formal = NOTICES[kind](replace(NEWSLETTER, address_form="u", sign_off=""), "nl").text.split("2. ")[0]
    own = plain(formal).replace(plain(QUESTION), "").replace(plain(EXAMPLE), "")
    spoken = {word.strip(".,?!:“”") for word in own.split()}
    assert not spoken & {"je", "jij", "jouw", "Je", "jou"}
    assert spoken & {"u", "U", "uw", "zich"}


def test_each_goes_to_the_right_person_once_per_cause() -> None:
    provider = Provider()
    sender = notices(provider)
    sender.welcome(ANNA, first=DAY, unsubscribe_url=UNSUBSCRIBE)
    sender.data_link(ANNA, CONFIRM, request="1")
    sender.address_change(ANNA, "nieuw@lezer.example", CONFIRM, request="3")
    sender.draft_ready(DAY, title="De tas", question=QUESTION, example=EXAMPLE, remarks=("length: long",))
    sender.draft_held(DAY, ("the key is wrong",))
    counts = Counts(frozen=3, accepted=3)
    sender.run_report(Report(outcome=Outcome.SENT, edition="2026-11-29", question=QUESTION, counts=counts))
    sender.run_report(Report(outcome=Outcome.NOTHING_DUE))
    to = [recipient.address for _, recipient in provider.sent]
    us = "marijke@stillewateren.example"
    assert to == ["anna@lezer.example", "anna@lezer.example", "nieuw@lezer.example", us, us, us]
    assert all(mailing.notice for mailing, _ in provider.sent)
    ids = [recipient.message_id for _, recipient in provider.sent]
    assert len(set(ids)) == len(ids)
    languages = [mailing.letter.language for mailing, _ in provider.sent]
    assert languages == ["en", "en", "en", "nl", "nl", "nl"]
    assert words("nl").say("report.sent", day="29 november 2026") in provider.sent[-1][0].letter.text


def test_a_reader_whose_language_has_no_words_is_written_to_in_the_newsletters() -> None:
    provider = Provider()
    notices(provider).data_link(replace(ANNA, language="fi"), CONFIRM, request="1")
    assert [mailing.letter.language for mailing, _ in provider.sent] == ["nl"]


def test_a_provider_that_says_no_is_told() -> None:
    with pytest.raises(NotAnswered, match="closed"):
        notices(Provider(AnswerClass.NOT_SENT)).data_link(ANNA, CONFIRM, request="1")
