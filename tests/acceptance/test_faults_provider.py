"""A provider's faults, from `run` to the provider's own log (`faults.md` 3.3), on both databases."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pipeline.report import Exit, Outcome, Report
from pipeline.store import Counts
from pipeline.week import settle_doubts
from tests.acceptance.faulty import DAY, WEEK, Faulty, at_answer, faulty
from tests.dialects import dialect
from tests.fault_esp import FaultServer, says
from tests.fault_provider import FaultProvider

PEOPLE = 25
"""Five in the canary, then two batches of ten."""
EVERYONE = Counts(frozen=PEOPLE, accepted=PEOPLE)


@pytest.fixture
def keyed(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage, concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        yield letter


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Faulty]:
    """As `keyed`, on SQLite: for faults that end at the network, where the database makes no difference."""
    with faulty(tmp_path / "brief", f"sqlite:///{tmp_path / 'weekbrief.db'}", concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        yield letter


@pytest.fixture
def searched(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    """Without keys; its records can be searched, and settle in 15 minutes."""
    with faulty(tmp_path / "brief", storage, speaks="postmark") as letter:
        letter.subscribe(PEOPLE)
        yield letter


@pytest.fixture
def mute(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    """Without keys and without a search."""
    with faulty(tmp_path / "brief", storage, speaks="ses") as letter:
        letter.subscribe(PEOPLE)
        yield letter


def everyone_once(letter: Faulty, report: Report) -> None:
    assert (report.outcome, report.exit_code) == (Outcome.SENT, Exit.DONE), report
    assert letter.counts() == EVERYONE
    assert letter.once_each(PEOPLE)


def keys(letter: Faulty) -> list[str | None]:
    return [seen.key for seen in letter.provider.truth.requests()]


def resume(letter: Faulty) -> None:
    with letter.store() as store:
        edition = store.editions.find(DAY)
        assert edition is not None
        assert store.editions.resume(edition, who="Marijke", now=letter.clock.now())


# Nothing left


@pytest.mark.fault(44)
def test_a_name_that_does_not_resolve_loses_nothing(quick: Faulty) -> None:
    quick.write(base_url="https://no-such-provider.invalid")
    report = quick.run()
    assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, Exit.UNAVAILABLE)
    assert report.counts == Counts(frozen=PEOPLE, pending=PEOPLE)
    quick.write(base_url=quick.provider.url)
    everyone_once(quick, quick.run())


@pytest.mark.fault(45)
def test_a_refused_connection_loses_nothing(quick: Faulty) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    quick.write(base_url=f"http://127.0.0.1:{port}")
    report = quick.run()
    assert (report.exit_code, report.counts.pending) == (Exit.UNAVAILABLE, PEOPLE)
    quick.write(base_url=quick.provider.url)
    everyone_once(quick, quick.run())


@pytest.mark.fault(45)
def test_a_certificate_nobody_vouches_for_holds_the_edition(quick: Faulty, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no test certificate can be made")
    key, pem = tmp_path / "key", tmp_path / "pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with FaultServer([says(200, {"data": []})], tls=context) as server:
        quick.write(base_url=server.url)
        report = quick.run()
        assert server.received == []
    assert (report.outcome, report.exit_code) == (Outcome.HELD, Exit.HELD)
    assert "certificate" in " ".join(report.notes)
    assert quick.counts() == Counts(frozen=PEOPLE, pending=PEOPLE)
    quick.write(base_url=quick.provider.url)
    assert quick.run().outcome is Outcome.HELD, "a person is needed"
    resume(quick)
    everyone_once(quick, quick.run())


# No answer


@pytest.mark.parametrize(
    "step",
    [
        pytest.param({"cut": "before"}, marks=pytest.mark.fault(46)),
        pytest.param({"cut": "before", "reset": True}, marks=pytest.mark.fault(46)),
        pytest.param({"cut": "after"}, marks=pytest.mark.fault(47)),
        pytest.param({"cut": "middle"}, marks=pytest.mark.fault(60)),
        pytest.param({"status": 500, "record": False}, marks=pytest.mark.fault(54)),
        pytest.param({"status": 500, "record": True}, marks=pytest.mark.fault(54)),
        pytest.param({"status": 502, "body": "<html>", "record": True}, marks=pytest.mark.fault(54)),
        pytest.param({"status": 504, "record": True}, marks=pytest.mark.fault(54)),
        pytest.param({"status": 200, "body": "<html>Log in</html>"}, marks=pytest.mark.fault(60)),
        pytest.param({"status": 200, "body": '{"data": [{"id', "record": True}, marks=pytest.mark.fault(60)),
    ],
    ids=lambda step: "-".join(str(value)[:12] for value in step.values()),
)
def test_with_keys_a_doubt_is_asked_again_and_nobody_gets_it_twice(quick: Faulty, step: Any) -> None:
    quick.provider.play([step, {}, step])
    everyone_once(quick, quick.run())
    asked = keys(quick)
    assert asked[0] == asked[1]
    assert asked[2] == asked[3]
    assert len(set(asked)) == 3, "a key for each batch, none for a try"


@pytest.mark.fault(46)
@pytest.mark.fault(54)
@pytest.mark.parametrize("step", [{"cut": "before"}, {"status": 500}, {"status": 200, "body": "<html>"}])
def test_without_keys_a_doubt_is_never_repeated_and_is_listed(mute: Faulty, step: Any) -> None:
    mute.provider.play([{}, step])
    report = mute.run()
    assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, Exit.PARTIAL)
    assert mute.counts() == Counts(frozen=PEOPLE, accepted=15, unconfirmed=10)
    assert mute.once_each(15)
    with mute.store() as store:
        listed = {doubt.address for doubt in store.doubts.listed()}
    assert listed == {f"reader{n}@example.org" for n in range(1, 26)} - set(mute.copies())


@pytest.mark.fault(47)
def test_without_keys_the_records_prove_that_it_was_taken(searched: Faulty) -> None:
    searched.provider.play([{}, {"cut": "after"}])
    report = searched.run()
    assert (report.exit_code, report.counts.uncertain) == (Exit.PARTIAL, 10)
    assert report.counts.pending == 10, "nothing new leaves while one is in doubt"
    searched.clock.jump(minutes=16)
    everyone_once(searched, searched.run())


@pytest.mark.fault(48)
def test_with_keys_asking_ends_before_the_key_does(keyed: Faulty) -> None:
    keyed.provider.play([{"cut": "after", "times": 0}])
    for _ in range(5):
        report = keyed.run()
        assert report.counts.uncertain == 5
        assert report.counts.pending == PEOPLE - 5
        keyed.clock.jump(hours=5)
    asked = keyed.provider.truth.requests()
    assert len({seen.key for seen in asked}) == len({seen.body_sha256 for seen in asked}) == 1
    keyed.provider.play([])
    with keyed.week() as week:
        settled = settle_doubts(week, DAY, stop=Event())
    assert settled.counts == Counts(frozen=PEOPLE, pending=PEOPLE - 5, unconfirmed=5)
    assert len(keyed.provider.truth.requests()) == len(asked), "the key was not used after its life"
    assert keyed.once_each(5)


@pytest.mark.fault(48)
def test_without_keys_a_provider_that_swallows_answers_gets_one_attempt(mute: Faulty) -> None:
    mute.provider.play([{"cut": "after", "times": 0}])
    report = mute.run()
    assert report.exit_code == Exit.PARTIAL
    assert len(mute.provider.truth.requests()) == 1
    assert mute.counts() == Counts(frozen=PEOPLE, pending=PEOPLE - 5, unconfirmed=5)
    assert "answers keep getting lost" in " ".join(report.notes)
    mute.provider.play([])
    assert mute.run().counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 5, unconfirmed=5)
    assert mute.once_each(PEOPLE)


@pytest.mark.fault(49)
def test_a_dripping_answer_ends_at_the_deadline(quick: Faulty) -> None:
    quick.write(timeout=1)
    quick.provider.play([{"drip": 0.05}])
    before = quick.clock.monotonic() - quick.clock.jumped
    everyone_once(quick, quick.run())
    assert quick.clock.monotonic() - quick.clock.jumped - before < 4


@pytest.mark.fault(50)
def test_a_huge_answer_is_cut_and_asked_again(quick: Faulty) -> None:
    quick.provider.play([{"status": 200, "body": "x" * 5_000_000, "record": True}])
    everyone_once(quick, quick.run())


@pytest.mark.fault(51)
def test_a_compressed_bomb_as_answer_is_cut_and_asked_again(quick: Faulty) -> None:
    with FaultServer([says(200, _bomb(), {"Content-Encoding": "gzip"})]) as server:
        quick.write(base_url=server.url, patience=1)
        report = quick.run()
    assert (report.counts.uncertain, report.counts.accepted) == (5, 0)
    quick.write(base_url=quick.provider.url, patience=60)
    everyone_once(quick, quick.run())


def _bomb() -> bytes:
    press = zlib.compressobj(9, wbits=31)
    return b"".join(press.compress(bytes(1_000_000)) for _ in range(100)) + press.flush()


# Too fast, too much, not allowed


@pytest.mark.fault(52)
@pytest.mark.parametrize("wait", ["7", "date", "soon", "31536000", "-3", None])
def test_429_is_waited_out_whatever_it_says(quick: Faulty, wait: str | None) -> None:
    said = format_datetime(datetime(2026, 11, 29, 7, 6, tzinfo=UTC), usegmt=True) if wait == "date" else wait
    limit = {"trouble": "rate_limit", "headers": {}}
    if said is None:
        limit |= {"status": 429, "body": {"name": "rate_limit_exceeded", "message": "slow"}, "trouble": None}
    else:
        limit |= {
            "status": 429,
            "body": {"name": "rate_limit_exceeded", "message": "slow"},
            "headers": {"Retry-After": said},
            "trouble": None,
        }
    quick.write(patience=3600)
    quick.provider.play([limit, {}, limit])
    report = quick.run()
    while report.exit_code == Exit.UNAVAILABLE:
        assert quick.clock.jumped < 3 * 3600, "the wait is capped"
        quick.clock.jump(minutes=10)
        report = quick.run()
    everyone_once(quick, report)


@pytest.mark.fault(53)
def test_429_for_an_hour_shows_where_it_stands_and_then_goes_on(keyed: Faulty) -> None:
    keyed.provider.play([{}, {"trouble": "rate_limit", "times": 0}])
    for _ in range(4):
        report = keyed.run()
        assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, Exit.UNAVAILABLE)
        assert report.counts == Counts(frozen=PEOPLE, accepted=5, pending=PEOPLE - 5)
        assert report.notes, "it says why"
        keyed.clock.jump(minutes=15)
    keyed.provider.play([])
    everyone_once(keyed, keyed.run())


@pytest.mark.fault(53)
def test_an_edition_that_is_kept_too_long_is_held_and_says_how_to_go_on(quick: Faulty) -> None:
    quick.provider.play([{}, {"trouble": "rate_limit", "times": 0}])
    quick.run()
    quick.clock.jump(hours=25)
    report = quick.run()
    assert (report.outcome, report.exit_code) == (Outcome.HELD, Exit.HELD)
    assert f"weekbrief resume {DAY}" in " ".join(report.notes)


@pytest.mark.fault(55)
@pytest.mark.parametrize("trouble", ["wrong_key", "unverified"])
def test_a_key_or_domain_that_is_refused_holds_after_one_small_batch(quick: Faulty, trouble: str) -> None:
    quick.provider.play([{"trouble": trouble, "times": 0}])
    report = quick.run()
    assert (report.outcome, report.exit_code) == (Outcome.HELD, Exit.HELD)
    assert len(quick.provider.truth.requests()) == 1
    assert quick.counts() == Counts(frozen=PEOPLE, pending=PEOPLE)
    assert not any(secret in str(report) for secret in quick.provider.secrets.values())
    quick.provider.play([])
    resume(quick)
    everyone_once(quick, quick.run())


@pytest.mark.fault(55)
def test_suspended_in_mid_edition_costs_one_batch(keyed: Faulty) -> None:
    keyed.provider.play([{}, {}, {"trouble": "wrong_key", "times": 0}])
    report = keyed.run()
    assert (report.outcome, report.counts) == (Outcome.HELD, Counts(frozen=PEOPLE, accepted=15, pending=10))
    assert len(keyed.provider.truth.requests()) == 3


@pytest.mark.fault(56)
def test_a_quota_in_mid_edition_holds_with_the_number_left_and_resumes(keyed: Faulty) -> None:
    keyed.provider.play([{}, {}, {"trouble": "quota", "times": 0}])
    report = keyed.run()
    assert (report.outcome, report.exit_code) == (Outcome.HELD, Exit.HELD)
    assert report.counts == Counts(frozen=PEOPLE, accepted=15, pending=10)
    assert "quota" in " ".join(report.notes)
    assert keyed.run().outcome is Outcome.HELD
    assert len(keyed.provider.truth.requests()) == 3
    keyed.provider.play([])
    resume(keyed)
    everyone_once(keyed, keyed.run())


# Some of them


@pytest.mark.fault(57)
def test_one_bad_address_costs_its_neighbours_one_call_and_no_second_copy(keyed: Faulty) -> None:
    bad = "reader12@example.org"
    keyed.provider.play({"bad_addresses": [bad]})
    report = keyed.run()
    assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, Exit.PARTIAL)
    assert keyed.counts() == Counts(frozen=PEOPLE, accepted=PEOPLE - 1, refused=1)
    assert keyed.once_each(PEOPLE - 1)
    assert bad not in keyed.copies()
    calls = len(keyed.provider.truth.requests())
    assert calls == 3 + 10, "three batches, and each of the ten once more alone"


@pytest.mark.fault(58)
def test_each_message_has_its_own_answer(searched: Faulty) -> None:
    searched.provider.play({"bad_addresses": ["reader3@example.org", "reader18@example.org"]})
    report = searched.run()
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 2, refused=2)
    assert searched.once_each(PEOPLE - 2)
    assert len(searched.provider.truth.requests()) == 3, "nobody is tried again blindly"


@pytest.mark.fault(59)
@pytest.mark.parametrize("how", ["fewer", "more", "reversed"])
def test_an_answer_about_others_than_were_asked_costs_nobody_anything(searched: Faulty, how: str) -> None:
    """Postmark's answer names addresses: reversed ones find their people, other numbers are no evidence."""
    searched.provider.play([{"mangle": how}])
    report = searched.run()
    assert report.outcome is Outcome.SENT, report
    assert searched.once_each(PEOPLE)
    ids = {each.address: each.provider_id for each in searched.provider.truth.messages()}
    with searched.store() as store:
        edition = store.editions.find(DAY)
        assert edition is not None
        for line in store.doubts.audit(edition.id):
            assert line.provider_id in (None, ids[line.address])
            assert how != "reversed" or line.provider_id


@pytest.mark.fault(61)
def test_a_redirect_is_not_followed_and_leaks_nothing(quick: Faulty) -> None:
    with FaultServer([says(200, {"data": []})]) as elsewhere:
        moved = {"status": 307, "headers": {"Location": f"{elsewhere.url}/emails/batch"}}
        quick.provider.play([moved])
        report = quick.run()
        assert elsewhere.connections == 0
    assert (report.outcome, report.counts.uncertain) == (Outcome.HELD, 5)
    quick.provider.play([])
    resume(quick)
    everyone_once(quick, quick.run())


@pytest.mark.fault(62)
def test_same_key_other_payload_holds_and_makes_no_new_key(keyed: Faulty) -> None:
    keyed.provider.play([{}, {"trouble": "changed", "times": 0}])
    assert keyed.run().outcome is Outcome.HELD
    resume(keyed)
    assert keyed.run().outcome is Outcome.HELD
    assert keyed.counts() == Counts(frozen=PEOPLE, accepted=5, uncertain=10, pending=10)
    assert len(set(keys(keyed))) == 2


@pytest.mark.fault(63)
def test_a_key_in_progress_is_waited_for(quick: Faulty) -> None:
    quick.provider.play([{}, {"trouble": "running", "times": 3}])
    everyone_once(quick, quick.run())
    assert len(set(keys(quick)[1:5])) == 1


# Keys, connections, records


@pytest.mark.fault(64)
def test_a_key_that_has_expired_is_not_used(keyed: Faulty) -> None:
    keyed.write(patience=1)
    keyed.provider.play([{"cut": "after", "times": 0}])
    assert keyed.run().counts.uncertain == 5
    keyed.provider.play([])
    keyed.clock.jump(hours=23, minutes=52)
    report = keyed.run()
    assert report.counts == Counts(frozen=PEOPLE, accepted=PEOPLE - 5, unconfirmed=5)
    assert keyed.once_each(PEOPLE), "they have it; we cannot know, and do not guess"


@pytest.mark.fault(65)
def test_a_connection_that_closes_under_us_is_a_doubt_and_no_free_try(mute: Faulty) -> None:
    """The second call goes out on the connection that the first one left open."""
    mute.provider.play([{}, {"cut": "before", "reset": True}])
    report = mute.run()
    assert report.counts == Counts(frozen=PEOPLE, accepted=15, unconfirmed=10)
    assert len(mute.provider.truth.requests()) == 3


@pytest.mark.fault(66)
@pytest.mark.parametrize("doubt", ["at_most_once", "ask"])
def test_records_that_know_nothing_yet_are_no_proof_of_absence(searched: Faulty, doubt: str) -> None:
    searched.write(doubt=doubt)
    searched.provider.play({"steps": [{}, {"cut": "after"}], "index_delay": 600.0})
    assert searched.run().counts.uncertain == 10
    searched.clock.jump(minutes=5)
    assert searched.run().counts.uncertain == 10, "five minutes are not enough for it to know"
    assert len(searched.provider.truth.requests("search")) == 1, "only the look before the first batch"
    searched.clock.jump(minutes=11)
    everyone_once(searched, searched.run())


@pytest.mark.fault(66)
def test_records_that_never_know_are_no_proof_either(searched: Faulty) -> None:
    """Postmark does not say that its listing is complete: what it does not hold stays in doubt."""
    searched.provider.play({"steps": [{}, {"cut": "after"}], "index_delay": 10**7})
    searched.run()
    searched.clock.jump(minutes=16)
    report = searched.run()
    assert report.counts == Counts(frozen=PEOPLE, accepted=15, unconfirmed=10)
    assert searched.once_each(PEOPLE)


@pytest.mark.fault(67)
def test_while_the_records_cannot_be_read_the_doubt_stays(searched: Faulty) -> None:
    down = [{}, {"cut": "after"}]
    searched.provider.play({"steps": down, "search": [{}, {"status": 500, "times": 0}]})
    searched.run()
    for _ in range(3):
        searched.clock.jump(hours=1)
        report = searched.run()
        assert (report.counts.uncertain, report.counts.unconfirmed) == (10, 0)
        assert report.exit_code == Exit.PARTIAL
    searched.provider.play([])
    everyone_once(searched, searched.run())


@pytest.mark.fault(68)
def test_another_provider_is_refused_while_doubts_are_open(mute: Faulty) -> None:
    mute.write(doubt="ask")
    mute.provider.play([{}, {"cut": "after"}])
    assert mute.run().outcome is Outcome.HELD
    with FaultProvider(dialect("resend")) as other:
        mute.more = other.secrets
        mute.write(name="resend", base_url=other.url)
        resume(mute)
        report = mute.run()
        assert (report.outcome, report.exit_code) == (Outcome.HELD, Exit.HELD)
        assert "weekbrief doubts" in " ".join(report.notes)
        assert "ses" in " ".join(report.notes)
        assert other.truth.requests() == []
        with mute.store() as store:
            edition = store.editions.find(WEEK)
            assert edition is not None
            batches = sorted({doubt.batch for doubt in store.doubts.listed()})
            store.doubts.write_off(batches, who="Marijke", reason="settled by hand", now=mute.clock.now())
        resume(mute)
        report = mute.run()
        assert report.counts == Counts(frozen=PEOPLE, accepted=15, unconfirmed=10)
        assert len(other.truth.copies()) == 10
        assert not set(other.truth.copies()) & set(mute.copies())


@pytest.mark.fault(68)
def test_without_doubts_the_rest_goes_by_another_provider(keyed: Faulty) -> None:
    keyed.provider.play([{}, {"trouble": "quota"}])
    assert keyed.run().outcome is Outcome.HELD
    with FaultProvider(dialect("postmark")) as other:
        keyed.more = other.secrets
        keyed.write(name="postmark", base_url=other.url)
        resume(keyed)
        report = keyed.run()
        assert (report.outcome, report.counts) == (Outcome.SENT, EVERYONE)
        both = [*keyed.copies(), *other.truth.copies()]
        assert len(both) == len(set(both)) == PEOPLE


@pytest.mark.fault(69)
def test_what_a_provider_drops_silently_stands_as_accepted_with_its_ids(keyed: Faulty) -> None:
    keyed.provider.play([{"times": 0, "record": False}])
    report = keyed.run()
    assert (report.outcome, report.counts) == (Outcome.SENT, EVERYONE)
    assert keyed.copies() == {}
    with keyed.store() as store:
        edition = store.editions.find(DAY)
        assert edition is not None
        lines = list(store.doubts.audit(edition.id))
    assert all(line.state == "accepted" and line.provider_id for line in lines)
    assert len(lines) == PEOPLE


@pytest.mark.fault(70)
def test_a_provider_in_sandbox_mode_is_noticed_by_the_first_answer(tmp_path: Path, storage: str) -> None:
    with faulty(tmp_path / "brief", storage, speaks="lettermint", concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        mode = [{"message_id": f"m{n}", "status": "pending", "sandbox": True} for n in range(5)]
        letter.provider.play([{"status": 202, "body": mode, "times": 0}])
        report = letter.run()
        assert (report.outcome, report.counts.pending) == (Outcome.HELD, PEOPLE)
        assert "sandbox mode" in " ".join(report.notes)
        letter.provider.play([])
        resume(letter)
        everyone_once(letter, letter.run())


def test_what_an_edition_tells_of_its_progress_adds_up(keyed: Faulty) -> None:
    seen: list[Counts] = []
    keyed.run(**at_answer(2, lambda: seen.append(keyed.counts())))
    assert seen == [Counts(frozen=PEOPLE, accepted=15, pending=10)]
