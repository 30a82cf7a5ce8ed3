"""The operator's verbs in the middle of an edition: their JSON, their exit codes, and what a second terminal
sees (`faults.md` 117 and 118)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select, update

from pipeline.store import Counts, tables
from pipeline.week import settle_doubts
from tests.acceptance.faulty import DAY, NOW, WEEK, Faulty, at_answer, eventually, faulty

PEOPLE = 25
RUN = ("run", "--now", NOW, "--json")
COUNTS = {
    "frozen", "pending", "submitted", "accepted", "refused", "skipped", "uncertain", "unconfirmed"
}  # fmt: skip


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage, concurrency=1) as made:
        made.subscribe(PEOPLE)
        yield made


@pytest.fixture
def doubtful(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    """Ten people in doubt at a provider without keys or search, who wait for a person (`doubt: ask`)."""
    with faulty(tmp_path / "brief", storage, speaks="ses", doubt="ask") as made:
        made.subscribe(PEOPLE)
        made.provider.play([{}, {"cut": "after"}])
        said = made.ask(*RUN, code=3)
        assert (said["outcome"], said["counts"]["uncertain"]) == ("held", 10)
        made.provider.play([])
        yield made


def decisions(letter: Faulty) -> list[tuple[str, str, str]]:
    with letter.store() as store, store.engine.connect() as connection:
        kept = tables.decision.c
        return [tuple(row) for row in connection.execute(select(kept.who, kept.what, kept.reason))]


@contextmanager
def in_mid_edition(letter: Faulty) -> Iterator[subprocess.Popen[str]]:
    """A run whose second batch is on the wire, slowly."""
    letter.provider.play([{}, {"late": 3.0}])
    with letter.running(*RUN) as process:
        eventually(lambda: len(letter.provider.truth.requests()) >= 2, process)
        yield process


@pytest.mark.fault(117)
def test_a_pause_lets_what_is_on_its_way_end_and_claims_nothing_more(letter: Faulty) -> None:
    with in_mid_edition(letter) as process:
        paused = letter.weekbrief("pause", WEEK, "--by", "Marijke")
        assert paused.returncode == 0, paused.stderr
        assert "is paused" in paused.stdout
        said = json.loads(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    assert said["counts"] == {**_zero(), "frozen": PEOPLE, "accepted": 15, "pending": 10}
    assert letter.sizes() == [5, 10]
    [status] = [letter.ask("status", WEEK)]
    assert (status["state"], status["reason"]) == ("held", "paused by Marijke")
    held = letter.ask(*RUN, code=3)
    assert held["outcome"] == "held"
    assert letter.sizes() == [5, 10]
    assert letter.weekbrief("resume", WEEK, "--by", "Marijke").returncode == 0
    assert letter.ask(*RUN)["outcome"] == "sent"
    assert letter.once_each(PEOPLE)
    assert [(who, what) for who, what, _why in decisions(letter)] == [
        ("Marijke", "pause"),
        ("Marijke", "resume"),
    ]


@pytest.mark.fault(117)
def test_a_cancel_keeps_what_was_sent_and_sends_no_more(letter: Faulty) -> None:
    with in_mid_edition(letter) as process:
        assert letter.weekbrief("cancel", WEEK, "--by", "Marijke").returncode == 0
        process.communicate(timeout=30)
    assert letter.counts() == Counts(frozen=PEOPLE, accepted=15, pending=10)
    status = letter.ask("status", WEEK)
    assert (status["state"], status["counts"]["accepted"]) == ("cancelled", 15)
    assert letter.ask(*RUN)["outcome"] == "nothing_due"
    for again in (("pause", WEEK), ("resume", WEEK), ("cancel", WEEK)):
        done = letter.weekbrief(*again)
        assert (done.returncode, "nothing to" in done.stdout) == (0, True), again
    assert letter.sizes() == [5, 10]
    assert len(letter.ask("audit", WEEK)) == PEOPLE


@pytest.mark.fault(117)
def test_a_pause_before_the_first_batch_and_between_two(letter: Faulty) -> None:
    """The commit of the pause is the last moment at which anything was claimed."""

    def pause() -> None:
        with letter.store() as store:
            edition = store.editions.find(WEEK)
            assert edition is not None
            assert store.editions.pause(edition, who="Marijke", now=letter.clock.now())

    report = letter.run(**at_answer(1, pause))
    assert (report.exit_code, letter.sizes()) == (0, [5])
    assert "paused by Marijke" in " ".join(report.notes)
    assert letter.run().exit_code == 3
    assert letter.sizes() == [5]


def test_a_second_terminal_sees_the_run(letter: Faulty) -> None:
    with in_mid_edition(letter) as process:
        seen = letter.ask("status")
        assert (seen["edition"], seen["week"], seen["state"]) == (DAY, WEEK, "sending")
        assert set(seen["counts"]) == COUNTS
        assert seen["counts"] == {**_zero(), "frozen": PEOPLE, "accepted": 5, "submitted": 10, "pending": 10}
        audited = letter.ask("audit", WEEK)
        assert [line["state"] for line in audited] == ["accepted"] * 5 + ["submitted"] * 10 + ["pending"] * 10
        second = letter.weekbrief("send", WEEK, "--json")
        assert (second.returncode, second.stdout) == (6, "")
        assert "another run" in second.stderr
        for verb in (("doubts", "check", WEEK), ("doubts", "release", WEEK, "--reason", "x")):
            assert letter.weekbrief(*verb).returncode == 6, "nobody decides about what is on its way"
        said = json.loads(process.communicate(timeout=30)[0])
    assert said["outcome"] == "sent"
    assert letter.ask("status", DAY)["state"] == "finished"


def _zero() -> dict[str, int]:
    return dict.fromkeys(COUNTS, 0)


# Doubts


@pytest.mark.fault(118)
def test_two_people_release_the_same_doubts_at_once(doubtful: Faulty) -> None:
    words = ("doubts", "release", WEEK, "--reason", "not in its log")
    pressed = [doubtful.start(*words, "--by", who) for who in ("Anna", "Bram", "Anna")]
    outs = [process.communicate(timeout=60) for process in pressed]
    codes = [process.returncode for process in pressed]
    assert set(codes) <= {0, 6}, outs
    assert codes.count(0) >= 1
    assert sum("10 people are sent to again" in out for out, _err in outs) == 1
    released = [each for each in decisions(doubtful) if each[1] == "release doubts"]
    assert len(released) == 1
    assert released[0][2] == "not in its log"
    assert doubtful.weekbrief("resume", WEEK).returncode == 0
    assert doubtful.ask(*RUN)["outcome"] == "sent"
    assert sorted(doubtful.copies().values()) == [1] * 15 + [2] * 10, "at most one more copy"


@pytest.mark.fault(118)
def test_a_release_is_done_once_however_often_it_is_pressed(doubtful: Faulty) -> None:
    words = ("doubts", "release", WEEK, "--by", "Anna", "--reason", "not in its log")
    assert "10 people" in doubtful.weekbrief(*words).stdout
    assert "0 people" in doubtful.weekbrief(*words).stdout
    assert [each for each in decisions(doubtful) if each[1] == "release doubts"] == [
        ("Anna", "release doubts", "not in its log")
    ]


def test_doubts_are_listed_by_address_and_written_off_by_name(doubtful: Faulty) -> None:
    listed = doubtful.ask("doubts", "list", WEEK)
    in_doubt = {line["address"] for line in listed}
    assert len(in_doubt) == 10
    assert set(listed[0]) == {
        "edition", "week", "batch", "address", "state", "provider", "since", "reason"
    }  # fmt: skip
    assert {(line["state"], line["provider"], line["edition"]) for line in listed} == {
        ("uncertain", "ses", DAY)
    }
    plain = doubtful.weekbrief("doubts")
    assert all(address in plain.stdout for address in in_doubt)
    assert doubtful.weekbrief("doubts", "write-off", WEEK).returncode == 2, "a reason is asked for"
    done = doubtful.weekbrief("doubts", "write-off", WEEK, "--by", "Anna", "--reason", "a day old")
    assert (done.returncode, "10 people are written off" in done.stdout) == (0, True), done.stderr
    assert {line["state"] for line in doubtful.ask("doubts", "list")} == {"unconfirmed"}
    assert ("Anna", "write off doubts", "a day old") in decisions(doubtful)
    assert doubtful.weekbrief("resume", WEEK).returncode == 0
    said = doubtful.ask(*RUN, code=4)
    assert said["counts"] == {**_zero(), "frozen": PEOPLE, "accepted": 15, "unconfirmed": 10}
    assert doubtful.once_each(PEOPLE)


@pytest.mark.fault(120)
def test_doubts_say_why_they_are_stuck_and_what_to_do(tmp_path: Path, storage: str) -> None:
    """A batch in doubt that no longer builds to the same bytes: nobody is mailed, and a person is told."""
    with faulty(tmp_path / "brief", storage, concurrency=1, patience=1) as letter:
        letter.subscribe(PEOPLE)
        letter.provider.play([{}, {"cut": "after", "times": 0}])
        assert letter.run().counts.uncertain == 10
        with letter.store() as store, store.engine.begin() as connection:
            in_doubt = tables.delivery.c.state == "submitted"
            connection.execute(update(tables.delivery).where(in_doubt).values(address="other@example.org"))
        asked = len(letter.provider.truth.requests())
        letter.provider.play([])
        letter.clock.jump(minutes=5)
        assert letter.run().outcome == "held"
        assert len(letter.provider.truth.requests()) == asked, "nothing was asked for again"
        told = letter.weekbrief("doubts")
        assert told.returncode == 0
        assert f"{DAY} is on hold: recipients 6 to 15 are in doubt, and their request" in told.stderr
        for words in ("provider's own log", "doubts release", "write-off", "resume", "doubts check WEEK"):
            assert words in told.stderr, words
        assert "weekbrief" not in told.stdout, "stdout is the list alone"


def test_a_check_asks_the_records_and_sends_to_nobody_new(tmp_path: Path, storage: str) -> None:
    with faulty(tmp_path / "brief", storage, concurrency=1, patience=1) as letter:
        letter.subscribe(PEOPLE)
        letter.provider.play([{}, {"cut": "after", "times": 0}])
        assert letter.ask("send", DAY, code=4)["counts"]["uncertain"] == 10
        letter.provider.play([])
        letter.write(patience=60)
        done = letter.weekbrief("doubts", "check", WEEK)
        assert done.returncode == 4, done.stderr
        assert letter.counts() == Counts(frozen=PEOPLE, accepted=15, pending=10)
        assert letter.weekbrief("doubts", "list").stdout == "Nobody is in doubt.\n"


def test_a_check_asks_although_the_edition_is_held(tmp_path: Path, storage: str) -> None:
    """`doubt: ask` holds the edition. What the records show later settles it; a person lifts the hold."""
    with faulty(tmp_path / "brief", storage, speaks="postmark", doubt="ask") as letter:
        letter.subscribe(PEOPLE)
        letter.provider.play({"steps": [{}, {"cut": "after"}], "index_delay": 3600.0})
        letter.run()
        letter.clock.jump(minutes=16)
        assert letter.run().outcome == "held"
        letter.clock.jump(hours=1)
        with letter.week() as week:
            report = settle_doubts(week, WEEK, stop=Event())
        assert report.counts == Counts(frozen=PEOPLE, accepted=15, pending=10)
        assert letter.sizes() == [5]
        assert letter.run().outcome == "held"
        assert letter.weekbrief("resume", WEEK).returncode == 0
        assert letter.run().outcome == "sent"
        assert letter.once_each(PEOPLE)


def test_what_is_not_there_is_a_clear_message(letter: Faulty) -> None:
    for words in (("pause", WEEK), ("doubts", "list", WEEK), ("audit", WEEK), ("status", "2026-W01")):
        done = letter.weekbrief(*words)
        assert (done.returncode, "no edition" in done.stderr) == (2, True), words
    assert letter.ask("status") == {"state": None, "counts": None}


# Proof


def test_an_audit_names_what_became_of_each(letter: Faulty) -> None:
    bad = "reader12@example.org"
    letter.provider.play({"bad_addresses": [bad]})
    assert letter.ask(*RUN, code=4)["counts"]["refused"] == 1
    lines = letter.ask("audit", WEEK)
    assert set(lines[0]) == {"address", "state", "reason", "batch", "provider_id", "attempts", "reports"}
    assert set(lines[0]["attempts"][0]) == {"n", "started", "ended", "kind", "http_status", "error"}
    ids = {each.address: each.provider_id for each in letter.provider.truth.messages()}
    assert {line["address"]: line["provider_id"] for line in lines if line["state"] == "accepted"} == ids
    [refused] = [line for line in lines if line["state"] == "refused"]
    assert (refused["address"], bool(refused["reason"])) == (bad, True)
    assert refused["attempts"][-1]["kind"] == "refused"
    one = letter.weekbrief("audit", WEEK, "--address", "Reader3@Example.org", "--json")
    assert json.loads(one.stdout)["address"] == "reader3@example.org"
    assert letter.weekbrief("audit", WEEK, "--address", "niemand@example.org").returncode == 1
    shown = letter.weekbrief("audit", WEEK, "--address", bad).stdout
    assert "refused" in shown
    assert "try 1" in shown


def test_send_by_hand_goes_early_once_and_says_the_same(letter: Faulty) -> None:
    """Weeks before its time, and again: the same JSON as `run`, and no second copy."""
    said = letter.ask("send", "2026-12-06")
    assert (said["outcome"], said["edition"], said["week"]) == ("sent", "2026-12-06", "2026-W49")
    assert said["counts"] == {**_zero(), "frozen": PEOPLE, "accepted": PEOPLE}
    again = letter.ask("send", "2026-W49")
    assert again["outcome"] == "sent"
    assert "already sent" in again["notes"]
    assert letter.once_each(PEOPLE)
    assert letter.weekbrief("send", "2026-12-07").returncode == 2, "no letter goes on that day"


# Pace


def test_a_daily_quota_goes_on_the_next_day_with_a_forecast(letter: Faulty) -> None:
    letter.write(per_day=12)
    first = letter.run()
    assert (first.outcome, first.exit_code) == ("partial", 0)
    assert first.counts == Counts(frozen=PEOPLE, accepted=12, pending=13)
    assert "13 are left; at this pace they are reached in 2 more days" in first.notes
    letter.clock.jump(hours=23)
    assert letter.run().counts.accepted == 12, "the day is not over"
    letter.clock.jump(hours=2)
    second = letter.run()
    assert second.counts.accepted == 24
    assert "1 are left; at this pace they are reached in 1 more days" in second.notes
    letter.clock.jump(hours=25)
    assert letter.run().outcome == "sent"
    assert letter.once_each(PEOPLE)


def test_with_a_quota_each_edition_has_an_order_of_its_own(letter: Faulty) -> None:
    """Who waited last week is not bound to wait again."""
    letter.write(per_day=12)
    for name, date in (("tweede", "2026-10-04"), ("derde", "2026-10-11")):
        letter.add_post(name, date, f"Post {name}")
    first: list[frozenset[str]] = []
    for day in (DAY, "2026-12-06", "2026-12-13"):
        report = letter.run()
        assert (report.edition, report.counts.accepted) == (day, 12)
        first.append(frozenset(letter.provider.truth.copies(day)))
        for _ in range(2):
            letter.clock.jump(hours=25)
            report = letter.run()
        assert report.outcome == "sent"
        letter.clock.jump(hours=7 * 24 - 50)
    assert len(set(first)) == 3
    assert frozenset.union(*first) != frozenset.intersection(*first)


def test_the_rate_holds_across_runs(letter: Faulty) -> None:
    """Two calls a second, in whatever run they are made: the gate's moment is kept in the database."""
    letter.write(rate="2/s")
    letter.subscribe(1)
    stopped = letter.weekbrief(*RUN, WEEKBRIEF_CRASH_AT="after outcome:2")
    assert stopped.returncode == -9
    with letter.store() as store, store.engine.connect() as connection:
        opens = connection.execute(select(tables.gate.c.opens)).scalar_one()
        last = connection.execute(select(tables.attempt.c.started_at)).scalars().all()[-1]
    assert 0.3 < (opens - last).total_seconds() < 0.7
    began = letter.clock.jumped
    letter.run()
    assert letter.once_each(PEOPLE)
    assert letter.clock.jumped > began or letter.clock.now() > opens


def test_a_limit_of_the_provider_is_remembered_by_the_next_run(letter: Faulty) -> None:
    """It says "in 7 seconds", the run ends, and the next one waits what is left of it before it calls."""
    letter.write(patience=1)
    letter.provider.play([{}, {"trouble": "rate_limit"}])
    assert letter.run().exit_code == 5
    at = letter.clock.now()
    assert letter.run().exit_code == 5
    assert len(letter.provider.truth.requests()) == 2, "nobody called before"
    letter.write(patience=60)
    assert letter.run().outcome == "sent"
    assert (letter.clock.now() - at).total_seconds() > 5
    assert letter.once_each(PEOPLE)
