"""A whole edition over SMTP, one person a conversation, against a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.patience import StopReason
from pipeline.store import Counts, Store, open_store
from tests.builders import NOW
from tests.contract.test_deliver import Desk
from tests.contract.test_esp_smtp import speaking_to
from tests.smtp_server import CUT, MailServer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/weekbrief.db", now=NOW)
    yield opened
    opened.close()


def test_a_refusal_a_lost_answer_and_a_delay_touch_one_person_each(store: Store) -> None:
    steps = [{}, {"RCPT": "550 5.1.1 no"}, {}, {"after": CUT}, {"MAIL": "451 later"}]
    with MailServer(steps) as server:
        esp = speaking_to(server.port)
        at = Desk(store, esp, people=45)
        done = at.run()
        esp.close()
    assert done.stopped is StopReason.NONE, done.why
    assert at.counts() == Counts(frozen=45, accepted=43, refused=1, unconfirmed=1)
    got = [taken.recipients[0] for taken in server.taken]
    assert len(got) == len(set(got)) == 44


def test_a_server_that_refuses_the_first_five_is_not_asked_for_the_others(store: Store) -> None:
    with MailServer([{"RCPT": "550 5.1.1 no"}] * 45) as server:
        esp = speaking_to(server.port)
        at = Desk(store, esp, people=45)
        done = at.run()
        esp.close()
    assert done.stopped is StopReason.HELD
    assert at.counts() == Counts(frozen=45, refused=5, pending=40)
