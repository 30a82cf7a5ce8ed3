"""People who come, go and change while an edition is being sent (`faults.md` 3.5), on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import select

from emails.delivery import AnswerClass
from emails.events import Event as Told
from emails.events import EventKind
from pipeline.housekeeping import tidy
from pipeline.report import Outcome
from pipeline.store import Counts, tables
from pipeline.store.events import Report
from pipeline.week import run_due
from subscribers.addresses import normalise
from subscribers.suppression import SuppressionReason
from tests import builders
from tests.acceptance.faulty import DAY, DUE, Faulty, at_answer, faulty

PEOPLE = 25
SECRET_KEY = b"a key that the database does not hold"


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage, concurrency=1) as made:
        made.subscribe(PEOPLE)
        yield made


def number(letter: Faulty, address: str) -> int:
    with letter.store() as store:
        person = store.subscribers.by_key(address)
        assert person is not None
        return person.id


def leave(letter: Faulty, address: str) -> None:
    who = number(letter, address)
    with letter.store() as store:
        assert store.subscribers.unsubscribe(who, at=letter.clock.now(), how="one-click")


def next_week(letter: Faulty) -> Counts:
    letter.add_post("volgende", "2026-10-04", "Een volgende post")
    letter.clock.jump(days=7)
    report = letter.run()
    assert report.edition == "2026-12-06"
    return report.counts


def rows(letter: Faulty) -> dict[int, Any]:
    """The edition's people, by their place in it."""
    with letter.store() as store, store.engine.connect() as connection:
        found = connection.execute(select(tables.delivery).where(tables.delivery.c.edition_id == 1))
        return {row.ordinal: row for row in found}


@pytest.mark.fault(79)
@pytest.mark.parametrize("reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT])
def test_a_bounce_or_complaint_between_batches_keeps_out_of_later_ones(
    letter: Faulty, reason: SuppressionReason
) -> None:
    """Someone of the canary and someone still waiting: neither gets anything more, now or next week."""

    def bounce() -> None:
        with letter.store() as store:
            for who in ("reader2@example.org", "reader20@example.org"):
                assert store.subscribers.suppress(who, reason, source="provider", at=letter.clock.now())

    report = letter.run(**at_answer(1, bounce))
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader20@example.org" not in letter.copies()
    assert [row.reason for row in rows(letter).values() if row.state == "skipped"] == ["suppressed"]
    assert next_week(letter) == Counts(frozen=PEOPLE - 2, accepted=PEOPLE - 2)
    assert letter.copies()["reader2@example.org"] == 1


@pytest.mark.fault(80)
def test_who_leaves_between_building_and_intent_is_not_mailed(letter: Faulty) -> None:
    """The request is built with them in it; the transaction of the intent finds that they have left."""
    built: list[int] = []
    with letter.week() as week:
        made = week.esp()
        real = made.build

        def build(mailing: Any, recipients: Any, key: str) -> Any:
            request = real(mailing, recipients, key)
            if not built and any(person.address == "reader12@example.org" for person in recipients):
                built.append(len(recipients))
                leave(letter, "reader12@example.org")
            return request

        made.build = build
        report = run_due(_with(week, made), stop=Event())
    assert built == [10]
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader12@example.org" not in letter.copies()
    assert letter.once_each(PEOPLE - 1)


def _with(week: Any, esp: Any) -> Any:
    return replace(week, esp=lambda: esp)


@pytest.mark.fault(81)
def test_who_leaves_after_the_intent_gets_this_letter_and_no_other(letter: Faulty) -> None:
    with letter.week() as week:
        real = week.fence.raise_to

        def fence(*, installation: str, ledger_seq: int) -> None:
            real(installation=installation, ledger_seq=ledger_seq)
            if ledger_seq == 2:
                leave(letter, "reader12@example.org")

        week.fence.raise_to = fence
        report = run_due(week, stop=Event())
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert letter.once_each(PEOPLE)
    assert next_week(letter).frozen == PEOPLE - 1
    assert letter.copies()["reader12@example.org"] == 1
    with letter.store() as store:
        added = store.subscribers.add_confirmed(
            normalise("reader12@example.org"), name="", language="nl", consent=builders.imported()
        )
    assert added == "suppressed", "no import brings them back"


@pytest.mark.fault(82)
def test_who_leaves_between_two_tries_does_not_change_the_bytes(letter: Faulty) -> None:
    letter.write(patience=1)
    letter.provider.play([{}, {"cut": "before", "times": 0}])
    assert letter.run().counts.uncertain == 10
    leave(letter, "reader12@example.org")
    letter.provider.play([])
    letter.clock.jump(minutes=5)
    assert letter.run().counts == Counts(frozen=PEOPLE, accepted=PEOPLE)
    second = [seen for seen in letter.provider.truth.requests()[1:] if seen.key]
    tries = [seen for seen in second if seen.key == second[0].key]
    assert len(tries) > 1
    assert len({seen.body_sha256 for seen in tries}) == 1
    assert letter.once_each(PEOPLE)
    assert next_week(letter).frozen == PEOPLE - 1


@pytest.mark.fault(83)
def test_who_signs_up_or_confirms_in_mid_edition_is_not_in_it(letter: Faulty) -> None:
    with letter.store() as store:
        waiting = store.subscribers.request(
            normalise("wacht@example.org"), name="", language="nl", consent=builders.imported()
        )
        assert waiting is not None

    def join() -> None:
        letter.subscribe(3, prefix="late")
        with letter.store() as store:
            assert store.subscribers.confirm(waiting.id, at=letter.clock.now(), how="page")

    report = letter.run(**at_answer(1, join))
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert letter.once_each(PEOPLE)
    assert next_week(letter).frozen == PEOPLE + 4


@pytest.mark.fault(84)
@pytest.mark.parametrize("place", [2, 20], ids=["already sent to", "still waiting"])
def test_a_changed_address_is_used_from_the_next_edition_on(letter: Faulty, place: int) -> None:
    old, new = f"reader{place}@example.org", "verhuisd@example.org"

    def move() -> None:
        who = number(letter, old)
        with letter.store() as store:
            now = letter.clock.now()
            change = store.preferences.ask_move(who, normalise(new), at=now)
            assert change is not None
            assert store.preferences.move(change.id, at=now, wording="Ja", page="")

    assert letter.run(**at_answer(1, move)).counts == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert letter.copies()[old] == 1
    assert new not in letter.copies()
    assert next_week(letter) == Counts(frozen=PEOPLE, accepted=PEOPLE)
    assert letter.copies()[old] == letter.copies()[new] == 1


@pytest.mark.fault(84)
def test_who_moves_to_an_address_that_is_subscribed_gets_one_copy_from_then_on(letter: Faulty) -> None:
    """Both are in this edition; the one who still waits as the old address is left out at once."""
    old, new = "reader20@example.org", "reader2@example.org"

    def move() -> None:
        who = number(letter, old)
        with letter.store() as store:
            now = letter.clock.now()
            change = store.preferences.ask_move(who, normalise(new), at=now)
            assert change is not None
            assert store.preferences.move(change.id, at=now, wording="Ja", page="")

    report = letter.run(**at_answer(1, move))
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert old not in letter.copies()
    assert letter.copies()[new] == 1
    assert next_week(letter).frozen == PEOPLE - 1
    assert old not in letter.copies()
    assert letter.copies()[new] == 2


@pytest.mark.standard("U-06")
@pytest.mark.fault(80)
def test_who_leaves_while_the_edition_is_being_sent_is_not_mailed(letter: Faulty) -> None:
    report = letter.run(**at_answer(1, lambda: leave(letter, "reader20@example.org")))
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader20@example.org" not in letter.copies()


def erase(letter: Faulty, address: str) -> str:
    """Forget someone; gives the keyed hash that stays."""
    shadow = blake2b(address.encode(), key=SECRET_KEY, digest_size=16).hexdigest()
    who = number(letter, address)
    with letter.store() as store:
        assert store.subscribers.erase(who, shadow=shadow, at=letter.clock.now())
        assert not store.subscribers.erase(who, shadow=shadow, at=letter.clock.now())
        assert store.subscribers.suppression(shadow) is SuppressionReason.ERASED
    return shadow


def left_of(letter: Faulty, address: str) -> list[str]:
    """Tables in which the address can still be found, in whatever column."""
    with letter.store() as store, store.engine.connect() as connection:
        return [
            table.name
            for table in tables.metadata.sorted_tables
            if any(address in str(row) for row in connection.execute(select(table)))
        ]


@pytest.mark.fault(85)
def test_an_erasure_in_mid_edition(letter: Faulty) -> None:
    """One who has it, and one who waits: both are forgotten, the sums stand, the second is not mailed."""

    def forget() -> None:
        erase(letter, "reader2@example.org")
        erase(letter, "reader20@example.org")

    report = letter.run(**at_answer(1, forget))
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader20@example.org" not in letter.copies()
    people = rows(letter)
    assert [(people[n].state, people[n].address, people[n].name) for n in (2, 20)] == [
        ("accepted", None, ""),
        ("skipped", None, ""),
    ]
    assert people[20].reason == "erased"
    assert people[2].provider_id, "what the provider said stays as proof"
    assert left_of(letter, "reader2@") == left_of(letter, "reader20@") == []
    assert next_week(letter).frozen == PEOPLE - 2


@pytest.mark.fault(85)
def test_an_erasure_while_the_letter_is_in_doubt(letter: Faulty) -> None:
    """Without the address the batch could not be asked for again, so nine others would never be sure: it goes
    when the doubt is settled."""
    letter.write(patience=1)
    letter.provider.play([{}, {"cut": "after", "times": 0}])
    assert letter.run().counts.uncertain == 10
    erase(letter, "reader12@example.org")
    assert left_of(letter, "reader12@") == ["delivery"]
    letter.provider.play([])
    letter.clock.jump(minutes=5)
    report = letter.run()
    assert (report.outcome, report.counts) == (Outcome.SENT, Counts(frozen=PEOPLE, accepted=PEOPLE))
    assert left_of(letter, "reader12@") == []
    assert letter.once_each(PEOPLE)


@pytest.mark.fault(85)
@pytest.mark.fault(73)
def test_an_erasure_of_one_whose_letter_was_reported_while_the_batch_is_in_doubt(letter: Faulty) -> None:
    """A report has shown that this one was sent to; for the nine others the same bytes must be built."""
    letter.write(patience=1)
    letter.provider.play([{}, {"cut": "after", "times": 0}])
    assert letter.run().counts.uncertain == 10
    with letter.store() as store:
        delivered = Told(
            provider="resend",
            key="e1",
            kind=EventKind.DELIVERED,
            delivery_id=rows(letter)[12].delivery_id,
            occurred_at=letter.clock.now(),
        )
        told = Report(event=delivered, received_at=letter.clock.now(), signed=True)
        assert store.events.take([told]).proven == 1
    erase(letter, "reader12@example.org")
    letter.provider.play([])
    letter.clock.jump(minutes=5)
    report = letter.run()
    assert (report.outcome, report.counts) == (Outcome.SENT, Counts(frozen=PEOPLE, accepted=PEOPLE))
    assert left_of(letter, "reader12@") == []
    assert letter.once_each(PEOPLE)


@pytest.mark.fault(85)
def test_an_erasure_while_in_doubt_ends_with_the_doubt_also_where_the_edition_is_cancelled(
    letter: Faulty,
) -> None:
    letter.write(patience=1)
    letter.provider.play([{}, {"cut": "after", "times": 0}])
    assert letter.run().counts.uncertain == 10
    erase(letter, "reader12@example.org")
    with letter.week() as week:
        assert week.store.editions.cancel(week.store.editions.find(DAY), who="Marijke", now=DUE)  # type: ignore[arg-type]
        tidy(week, stop=Event())
        assert left_of(letter, "reader12@") == ["delivery"], "nobody has decided about the doubt"
        [batch] = {doubt.batch for doubt in week.store.doubts.listed()}
        assert week.store.doubts.write_off([batch], who="Marijke", reason="old", now=DUE) == 10
        letter.clock.jump(hours=2)
        tidy(week, stop=Event())
    assert left_of(letter, "reader12@") == []
    assert len(letter.copies()) == 15


@pytest.mark.fault(85)
def test_an_erasure_between_building_and_intent(letter: Faulty) -> None:
    with letter.week() as week:
        made = week.esp()
        real, done = made.build, []

        def build(mailing: Any, recipients: Any, key: str) -> Any:
            request = real(mailing, recipients, key)
            if not done and any(person.address == "reader12@example.org" for person in recipients):
                done.append(erase(letter, "reader12@example.org"))
            return request

        made.build = build
        report = run_due(_with(week, made), stop=Event())
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, skipped=1)
    assert "reader12@example.org" not in letter.copies()
    assert left_of(letter, "reader12@") == []


@pytest.mark.fault(85)
def test_what_an_audit_shows_of_someone_erased(letter: Faulty) -> None:
    letter.run()
    erase(letter, "reader3@example.org")
    with letter.store() as store:
        edition = store.editions.find(DAY)
        assert edition is not None
        lines = list(store.doubts.audit(edition.id))
        assert store.check_sum(edition.id).accepted == PEOPLE
    assert [line.state for line in lines if line.address == "(erased)"] == ["accepted"]
    assert AnswerClass.ACCEPTED in {attempt["kind"] for attempt in lines[2].attempts}
