"""Delivery by the protocol, on both databases: nobody twice, nobody silently lost, every doubt named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from threading import Event, current_thread
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from emails.delivery import Answer, AnswerClass, Recipient, Request
from emails.edition import Mailing
from pipeline.deliver import Sending
from pipeline.pacing import Pace
from pipeline.patience import StopReason
from pipeline.settings import Doubt
from pipeline.store import Counts, Store, open_store, tables
from pipeline.store.audience import People
from pipeline.store.editions import Edition
from pipeline.store.ledger import LostLease
from tests import builders
from tests.builders import NOW
from tests.scripted import Script, ScriptedEsp, lost_after


class FakeClock:
    """Waiting takes no time, but time passes."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def wait(self, seconds: float, stop: Event) -> bool:
        self.passed += seconds
        return stop.is_set()


@pytest.fixture
def store(storage: str) -> Iterator[Store]:
    opened = open_store(storage, now=NOW)
    yield opened
    opened.close()


def recipients(people: People) -> list[Recipient]:
    return [
        Recipient(
            delivery_id=p.delivery_id,
            address=p.address,
            name=p.name,
            unsubscribe_url=f"https://brief.stillepost.example/u/{p.subscriber_id}",
            message_id=f"<{p.delivery_id}@stillepost.example>",
        )
        for p in people
    ]


class Desk:
    """One edition, and as many runs on it as a test wants."""

    def __init__(self, store: Store, esp: Any, *, people: int = 25, **pace: object) -> None:
        self.store, self.esp, self.clock = store, esp, FakeClock()
        self.edition: Edition = builders.edition(store, people=people)
        store.editions.freeze(self.edition, provider=esp.capabilities.name, now=NOW)
        values = {"batch_size": 10, "canary": 5, "concurrency": 2, "patience": 600.0}
        self.pace = Pace(**{**values, **pace})  # type: ignore[arg-type]
        self.stop = Event()

    def sending(self) -> Sending:
        epoch = self.store.installations.new_epoch()
        return Sending(
            ledger=self.store.ledger(self.edition.id, epoch=epoch, provider=self.esp.capabilities.name),
            esp=self.esp,
            mailing=self.edition.mailing,
            address_to=recipients,  # type: ignore[arg-type]
            clock=self.clock,
            pace=self.pace,
            stop=self.stop,
        )

    def run(self) -> Sending:
        sending = self.sending()
        sending.run()
        return sending

    def counts(self) -> Counts:
        return self.store.check_sum(self.edition.id)

    def once_each(self) -> bool:
        return set(self.esp.truth.values()) == {1}


def desk(store: Store, script: Script = lambda _n, _r: None, **options: object) -> Desk:
    keyed = bool(options.pop("keyed", True))
    return Desk(store, ScriptedEsp(script, keyed=keyed), **options)  # type: ignore[arg-type]


def desk_that_loses(store: Store, calls: set[int], **options: object) -> Desk:
    holder: list[ScriptedEsp] = []
    made = desk(store, lost_after(holder, calls), **options)
    holder.append(made.esp)
    return made


def test_everyone_gets_one_copy(store: Store) -> None:
    at = desk(store)
    assert at.run().stopped is StopReason.NONE
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert len(at.esp.truth) == 25
    assert at.once_each()


def test_the_first_batch_is_small_and_the_others_are_full(store: Store) -> None:
    at = desk(store)
    at.run()
    assert sorted(len(call.recipients) for call in at.esp.calls) == [5, 10, 10]


def test_a_second_run_sends_nothing(store: Store) -> None:
    at = desk(store)
    at.run()
    at.run()
    assert len(at.esp.calls) == 3


def test_keys_are_derived_and_safe_for_every_provider(store: Store) -> None:
    at = desk(store)
    at.run()
    keys = [call.key for call in at.esp.calls]
    assert len(set(keys)) == 3
    for key in keys:
        assert key.startswith("wb1-inst2345-2026-11-29-")
        assert len(key) <= 255
        assert all(c.isalnum() or c in "._-" for c in key)


@pytest.mark.fault(47)
def test_a_lost_answer_is_asked_for_again_with_the_same_key_and_bytes(store: Store) -> None:
    at = desk_that_loses(store, {1, 3})
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert at.once_each()
    repeated = [call for call in at.esp.calls if call.key == at.esp.calls[0].key]
    assert len(repeated) == 2
    assert repeated[0].body == repeated[1].body


@pytest.mark.fault(48)
def test_without_keys_a_lost_answer_is_never_repeated(store: Store) -> None:
    at = desk_that_loses(store, {2}, keyed=False)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=15, unconfirmed=10)
    assert at.once_each()


@pytest.mark.fault(48)
def test_without_keys_no_new_batch_leaves_while_one_is_in_doubt(store: Store) -> None:
    at = desk_that_loses(store, {1}, keyed=False, doubt=Doubt.ASK)
    sending = at.run()
    assert sending.stopped is StopReason.HELD
    assert at.counts() == Counts(frozen=25, pending=20, uncertain=5)
    assert len(at.esp.calls) == 1


def test_at_least_once_sends_a_doubt_again_and_says_so(store: Store) -> None:
    at = desk_that_loses(store, {1}, keyed=False, doubt=Doubt.AT_LEAST_ONCE)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert sorted(at.esp.truth.values()) == [1] * 20 + [2] * 5


@pytest.mark.fault(64)
def test_an_old_key_is_not_trusted(store: Store) -> None:
    at = desk_that_loses(store, {1}, patience=0.0)
    assert at.run().stopped is StopReason.UNAVAILABLE
    assert at.counts().uncertain == 5
    at.clock.passed += 24 * 3600
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=20, unconfirmed=5)
    assert at.once_each()


@pytest.mark.fault(52)
def test_429_is_waited_out(store: Store) -> None:
    busy = Answer(kind=AnswerClass.NOT_SENT, http_status=429, retry_after=30.0, error="slow down")
    at = desk(store, lambda n, _r: busy if n in (1, 2, 4) else None)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert at.once_each()
    assert at.clock.passed >= 90


@pytest.mark.fault(45)
def test_a_provider_that_is_away_loses_nothing(store: Store) -> None:
    away = Answer(kind=AnswerClass.NOT_SENT, error="connection refused")
    at = desk(store, lambda n, _r: away if n < 6 else None, patience=3.0)
    sending = at.run()
    assert sending.stopped is StopReason.UNAVAILABLE
    assert "connection refused" in sending.why
    assert at.counts() == Counts(frozen=25, pending=25)
    for _ in range(6):
        at.clock.passed += 600
        at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert at.once_each()


@pytest.mark.fault(55)
def test_a_wrong_key_stops_after_the_first_small_batch(store: Store) -> None:
    hold = Answer(kind=AnswerClass.HOLD, http_status=401, error="the key is not valid")
    at = desk(store, lambda _n, _r: hold)
    sending = at.run()
    assert (sending.stopped, sending.why) == (StopReason.HELD, "the key is not valid")
    assert len(at.esp.calls) == 1
    assert at.counts() == Counts(frozen=25, pending=25)


@pytest.mark.fault(57)
def test_one_bad_address_costs_its_neighbours_one_request_and_no_second_copy(store: Store) -> None:
    bad = "reader12@example.org"
    refuse = Answer(kind=AnswerClass.REFUSED, http_status=422, error="invalid address")
    at = desk(store, lambda _n, r: refuse if any(p.address == bad for p in r.recipients) else None)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=24, refused=1)
    assert at.once_each()
    tries = [sum(p.address == "reader11@example.org" for p in call.recipients) for call in at.esp.calls]
    assert sum(tries) == 2


def test_a_provider_that_refuses_all_of_the_canary_holds_the_edition(store: Store) -> None:
    refuse = Answer(kind=AnswerClass.REFUSED, http_status=422, error="no such sender")
    at = desk(store, lambda _n, _r: refuse)
    sending = at.run()
    assert sending.stopped is StopReason.HELD
    assert at.counts() == Counts(frozen=25, refused=5, pending=20)


@pytest.mark.fault(58)
def test_each_row_has_its_own_answer(store: Store) -> None:
    at = desk(store)
    bad = "reader7@example.org"
    at.esp._script = lambda _n, r: at.esp.accept(r, refused=[bad])
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=24, refused=1)
    assert bad not in at.esp.truth


@pytest.mark.fault(80)
def test_who_leaves_before_their_batch_is_skipped(store: Store) -> None:
    at = desk(store)

    def leave(number: int, _request: Request) -> None:
        person = store.subscribers.by_key("reader25@example.org")
        assert person is not None
        if number == 1:
            store.subscribers.unsubscribe(person.id, at=NOW, how="one-click")

    at.esp._script = leave
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=24, skipped=1)
    assert "reader25@example.org" not in at.esp.truth


class Waiting(ScriptedEsp):
    """Answers the second call only when the request for the last people is built, and `meanwhile` is done."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(keyed=False)
        self._last_built = Event()
        self._meanwhile = meanwhile
        self.clock = FakeClock()

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        request = super().build(mailing, recipients, key)
        if recipients[-1].address == "reader25@example.org":
            self._last_built.set()
        return request

    def submit(self, request: Request, deadline: float) -> Answer:
        answer = super().submit(request, deadline)
        self.clock.passed += 0.05
        if len(self.calls) == 2:
            assert self._last_built.wait(60), "nothing was built while the provider was waited for"
            self._meanwhile()
        return answer


@pytest.mark.fault(80)
def test_without_keys_the_next_request_is_built_meanwhile_and_who_leaves_then_gets_nothing(
    store: Store,
) -> None:
    def leave() -> None:
        person = store.subscribers.by_key("reader25@example.org")
        assert person is not None
        store.subscribers.unsubscribe(person.id, at=NOW, how="one-click")

    at = Desk(store, Waiting(leave))
    at.esp.clock = at.clock
    assert at.run().stopped is StopReason.NONE
    assert "reader25@example.org" not in at.esp.truth
    assert at.once_each()
    assert at.counts() == Counts(frozen=25, accepted=24, skipped=1)


def test_nothing_is_built_in_a_thread_of_its_own_where_answers_come_at_once(store: Store) -> None:
    class Noting(ScriptedEsp):
        def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
            builders_at_work.add(current_thread().name)
            return super().build(mailing, recipients, key)

    builders_at_work: set[str] = set()
    at = Desk(store, Noting(keyed=False))
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert builders_at_work == {current_thread().name}


@pytest.mark.fault(80)
def test_who_changes_among_numbers_with_gaps_costs_nobody_else_a_letter(store: Store) -> None:
    """Ordinals are the subscribers' numbers: those between two may be anybody's, or nobody's."""
    builders.subscribe(store, 40, prefix="gone")
    with store.engine.begin() as connection:
        connection.execute(delete(tables.consent).where(tables.consent.c.subscriber_id % 3 != 1))
        connection.execute(delete(tables.subscriber).where(tables.subscriber.c.id % 3 != 1))
    at = desk(store, people=10)

    def change(_number: int, _request: Request) -> None:
        with store.engine.begin() as connection:
            person = tables.delivery.c
            waiting = select(func.max(person.ordinal)).where(person.state == "pending").scalar_subquery()
            connection.execute(
                update(tables.delivery)
                .where(person.ordinal == waiting)
                .values(state="skipped", reason="test")
            )

    at.esp._script = change
    at.run()
    counts = at.counts()
    assert counts.frozen == 14 + 10
    assert counts.accepted + counts.skipped == counts.frozen
    assert counts.skipped >= 2
    assert at.once_each()
    assert len(at.esp.truth) == counts.accepted


@pytest.mark.fault(85)
@pytest.mark.parametrize("erased", [range(1, 6), (1,), (5,)], ids=["all of a batch", "its first", "its last"])
def test_who_was_erased_does_not_keep_a_released_batch_open(store: Store, erased: Sequence[int]) -> None:
    at = desk_that_loses(store, {1}, keyed=False)
    at.run()
    with store.engine.begin() as connection:
        connection.execute(
            update(tables.delivery)
            .where(tables.delivery.c.ordinal.in_(erased))
            .values(address=None, address_key=None, name="")
        )
    batches = {doubt.batch for doubt in store.doubts.listed(edition_id=at.edition.id)}
    store.doubts.release(list(batches), who="Marijke", reason="they have nothing", now=NOW)
    at.run()
    gone = len(erased)
    assert at.counts() == Counts(frozen=25, accepted=25 - gone, skipped=gone)


@pytest.mark.fault(83)
def test_who_joins_meanwhile_is_not_in_this_edition(store: Store) -> None:
    at = desk(store)
    at.esp._script = lambda n, _r: builders.subscribe(store, 2, prefix="late") if n == 1 else None
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)


@pytest.mark.fault(62)
def test_same_key_other_payload_holds_and_stays_in_doubt(store: Store) -> None:
    changed = Answer(kind=AnswerClass.HOLD, in_doubt=True, http_status=409, error="other payload")
    at = desk(store, lambda n, _r: changed if n == 2 else None, concurrency=1)
    assert at.run().stopped is StopReason.HELD
    assert at.counts() == Counts(frozen=25, accepted=5, uncertain=10, pending=10)


@pytest.mark.fault(63)
def test_a_key_in_progress_is_asked_again(store: Store) -> None:
    busy = Answer(kind=AnswerClass.BUSY, http_status=409, error="in progress")
    at = desk(store, lambda n, _r: busy if n in (1, 2) else None)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert len({call.key for call in at.esp.calls[:3]}) == 1


def test_not_sent_on_a_second_try_does_not_end_the_doubt(store: Store) -> None:
    """The connection is refused on the retry: that says nothing of the first try."""
    holder: list[ScriptedEsp] = []
    lose = lost_after(holder, {1})
    refused = Answer(kind=AnswerClass.NOT_SENT, error="connection refused")
    at = desk(store, lambda n, r: refused if n == 2 else lose(n, r))
    holder.append(at.esp)
    at.run()
    assert len({call.key for call in at.esp.calls[:3]}) == 1
    assert at.once_each()


@pytest.mark.fault(117)
def test_a_hold_stops_the_next_claim(store: Store) -> None:
    at = desk(store, concurrency=1)
    at.esp._script = lambda n, _r: store.editions.hold(at.edition, reason="paused by Bo") if n == 2 else None
    sending = at.run()
    assert (sending.stopped, sending.why) == (StopReason.ASKED, "paused by Bo")
    assert at.counts() == Counts(frozen=25, accepted=15, pending=10)


@pytest.mark.fault(17)
def test_a_signal_lets_what_is_in_flight_end(store: Store) -> None:
    at = desk(store, concurrency=1)
    at.esp._script = lambda n, _r: at.stop.set() if n == 2 else None
    assert at.run().stopped is StopReason.ASKED
    assert at.counts() == Counts(frozen=25, accepted=15, pending=10)


def test_a_sender_that_lost_its_lease_can_finish_nothing(store: Store) -> None:
    at = desk(store, concurrency=1)
    at.esp._script = lambda n, _r: store.installations.new_epoch() and None if n == 2 else None
    with pytest.raises(LostLease):
        at.run()
    at.esp._script = lambda _n, _r: None
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert at.once_each()


@pytest.mark.fault(16)
def test_a_batch_that_kills_every_run_is_set_aside(store: Store) -> None:
    at = desk(store, concurrency=1)

    class Death(BaseException):
        """What SIGKILL looks like from inside."""

    def die(number: int, _request: Request) -> Answer | None:
        raise Death

    at.esp._script = die
    for _ in range(3):
        with pytest.raises(Death):
            at.run()
    sending = at.run()
    assert sending.stopped is StopReason.HELD
    assert "3 runs died" in sending.why
    assert len(at.esp.calls) == 3
    at.esp._script = lambda _n, _r: None
    assert store.editions.resume(at.edition, who="Marijke", now=NOW)
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)


@pytest.mark.fault(82)
def test_a_departure_between_tries_does_not_change_the_bytes(store: Store) -> None:
    at = desk_that_loses(store, {1}, patience=0.0)
    at.run()
    person = store.subscribers.by_key("reader1@example.org")
    assert person is not None
    store.subscribers.unsubscribe(person.id, at=NOW, how="page")
    at.clock.passed += 120
    at.run()
    assert at.counts() == Counts(frozen=25, accepted=25)
    assert at.esp.calls[0].body == at.esp.calls[1].body


def test_a_request_that_no_longer_builds_to_the_same_bytes_is_not_sent(store: Store) -> None:
    at = desk_that_loses(store, {1}, patience=0.0)
    at.run()
    with store.engine.begin() as connection:
        connection.execute(
            update(tables.delivery).where(tables.delivery.c.ordinal == 1).values(address="x@y.org")
        )
    at.clock.passed += 120
    sending = at.run()
    assert sending.stopped is StopReason.HELD
    assert "same bytes" in sending.why
    assert len(at.esp.calls) == 1


def test_every_attempt_is_kept(store: Store) -> None:
    at = desk_that_loses(store, {1})
    at.run()
    with store.engine.connect() as connection:
        rows = connection.execute(
            select(tables.attempt.c.batch_id, tables.attempt.c.n, tables.attempt.c.kind).order_by(
                tables.attempt.c.id
            )
        ).all()
    assert [tuple(row) for row in rows][:2] == [(1, 1, "uncertain"), (1, 2, "accepted")]
    assert len(rows) == 4
