"""`weekbrief suppressions` and `weekbrief sync`: the real commands, a provider that is asked over HTTP, both
databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from pipeline.events import digest
from pipeline.store import Counts, tables
from pipeline.store.incoming import KEPT_FOR, MAX_TRIES, Raw
from subscribers.suppression import SuppressionReason
from tests import webhooks
from tests.acceptance.faulty import NOW, Faulty, faulty
from tests.fault_esp import FaultServer, says

PEOPLE = 12
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage, speaks="postmark", concurrency=1) as made:
        made.subscribe(PEOPLE)
        with made.store() as store, store.engine.begin() as connection:
            connection.execute(update(tables.subscriber).values(confirmed_at=LONG_AGO))
        yield made


def lines(letter: Faulty, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = letter.ask("suppressions", *words)
    return found


def added(letter: Faulty, *words: str) -> dict[str, Any]:
    return lines(letter, *words)[0]


def suppression(letter: Faulty, address: str) -> SuppressionReason | None:
    with letter.store() as store:
        return store.subscribers.suppression(address)


def test_who_is_suppressed_by_hand_gets_no_letter(letter: Faulty) -> None:
    done = added(
        letter, "add", "Reader3@EXAMPLE.org", "reader5@example.org", "nonsense", "--source", "a phone call"
    )
    assert (done["read"], done["new"], [bad["row"] for bad in done["bad"]]) == (2, 2, [3])
    shown = lines(letter, "list")
    assert [(each["address"], each["reason"], each["source"]) for each in shown] == [
        ("reader3@example.org", "manual", "a phone call"),
        ("reader5@example.org", "manual", "a phone call"),
    ]
    assert all(each["since"] for each in shown)
    assert lines(letter, "list", "--reason", "complaint") == []
    report = letter.run()
    assert report.counts == Counts(frozen=PEOPLE - 2, accepted=PEOPLE - 2)


def test_adding_twice_changes_nothing_and_a_stronger_reason_takes_over(letter: Faulty) -> None:
    who = "reader3@example.org"
    assert added(letter, "add", who, "--reason", "unsubscribed")["new"] == 1
    assert added(letter, "add", who, "--reason", "unsubscribed")["new"] == 0
    assert added(letter, "add", who, "--reason", "complaint")["new"] == 1
    assert added(letter, "add", who, "--reason", "hard_bounce")["new"] == 0
    assert suppression(letter, who) is SuppressionReason.COMPLAINT


def test_removing_is_noted_with_who_and_why(letter: Faulty) -> None:
    added(letter, "add", "reader3@example.org", "--reason", "hard_bounce")
    words = ("suppressions", "remove", "READER3@example.org", "--by", "Marijke", "--reason", "a new mailbox")
    assert letter.weekbrief(*words).returncode == 0
    assert suppression(letter, "reader3@example.org") is None
    assert letter.weekbrief(*words).returncode == 2
    with letter.store() as store, store.engine.connect() as connection:
        decisions = connection.execute(select(tables.decision)).all()
    assert [(row.who, row.what, row.reason) for row in decisions] == [
        ("Marijke", "lift suppression", "a new mailbox")
    ]
    assert letter.weekbrief("suppressions", "remove", "reader3@example.org").returncode == 2, (
        "without a reason"
    )


@pytest.mark.parametrize("between", [",", ";"])
def test_a_file_with_a_head_is_taken_in(letter: Faulty, between: str) -> None:
    rows = [
        "\ufeffEmail,Reason,Since",
        "reader3@example.org,complaint,2024-05-01",
        '"reader4@example.org",,',
        "reader5@example.org,no such reason,",
        "not an address,complaint,",
    ]
    file = letter.path / "old.csv"
    file.write_text("\n".join(row.replace(",", between) for row in rows), "utf-8")
    done = added(letter, "import", str(file), "--reason", "hard_bounce", "--source", "our old system")
    assert (done["read"], done["new"], len(done["bad"])) == (3, 3, 1)
    shown = {each["address"]: each for each in lines(letter, "list")}
    assert shown["reader3@example.org"]["reason"] == "complaint"
    assert shown["reader3@example.org"]["since"].startswith("2024-05-01")
    assert shown["reader4@example.org"]["reason"] == shown["reader5@example.org"]["reason"] == "hard_bounce"
    assert {each["source"] for each in shown.values()} == {"our old system"}
    assert added(letter, "import", str(file))["new"] == 2, "by hand is stronger than a bounce"


def test_a_file_with_an_address_a_line_is_taken_in(letter: Faulty) -> None:
    file = letter.path / "list.txt"
    file.write_text("reader1@example.org\n\nreader2@example.org\n", "utf-8")
    assert added(letter, "import", str(file))["new"] == 2
    assert letter.weekbrief("suppressions", "import").returncode == 2
    assert letter.weekbrief("suppressions", "import", str(file), "--from-provider").returncode == 2


def entry(address: str, reason: str, origin: str = "Recipient") -> dict[str, str]:
    at = "2026-11-29T08:58:33-05:00"
    return {"EmailAddress": address, "SuppressionReason": reason, "Origin": origin, "CreatedAt": at}


ENTRIES = [
    entry("READER3@example.org", "HardBounce"),
    entry("reader4@example.org", "SpamComplaint"),
    entry("reader5@example.org", "ManualSuppression"),
    entry("stranger@example.org", "HardBounce"),
    entry("not an address", "HardBounce"),
]


def test_sync_acts_on_what_the_provider_tells_and_moves_on(letter: Faulty) -> None:
    with FaultServer([says(200, {"Suppressions": ENTRIES})]) as server:
        letter.write(base_url=server.url)
        (done,) = letter.ask("sync")
        assert (done["provider"], done["told"], done["error"]) == ("postmark", 5, None)
        assert (done["new"], done["suppressed"], done["foreign"]) == (4, 2, 1)
        (again,) = letter.ask("sync")
        assert (again["new"], again["repeated"]) == (0, 4)
        days = [call.line.split("fromdate=")[1].split()[0] for call in server.received]
    assert days[1] > days[0], "the second time it asks from where it ended"
    assert suppression(letter, "reader3@example.org") is SuppressionReason.HARD_BOUNCE
    assert suppression(letter, "reader4@example.org") is SuppressionReason.COMPLAINT
    assert suppression(letter, "reader5@example.org") is SuppressionReason.UNSUBSCRIBED
    assert suppression(letter, "stranger@example.org") is None, "we keep no list of strangers"
    with letter.store() as store:
        left = store.subscribers.by_key("reader5@example.org")
        assert left is not None
        assert left.state == "unsubscribed"
        with store.engine.connect() as connection:
            events = connection.execute(select(tables.event)).all()
    assert "@" not in str([tuple(row) for row in events])


def test_a_sync_that_fails_loses_nothing(letter: Faulty) -> None:
    with FaultServer([says(500, b"oops"), says(200, {"Suppressions": ENTRIES})]) as server:
        letter.write(base_url=server.url)
        done = letter.weekbrief("sync")
        assert done.returncode == 5
        assert "HTTP 500" in done.stderr
        (again,) = letter.ask("sync")
    assert again["suppressed"] == 2


def test_a_provider_that_cannot_be_asked_is_told_with_its_line(tmp_path: Path) -> None:
    with faulty(tmp_path / "brief", f"sqlite:///{tmp_path / 'w.db'}", speaks="resend") as letter:
        for words in (("sync",), ("suppressions", "import", "--from-provider")):
            done = letter.weekbrief(*words)
            assert done.returncode == 2
            assert "schedule.yaml" in done.stderr
            assert "cannot be asked" in done.stderr


def test_the_provider_s_whole_list_can_be_taken_over(letter: Faulty) -> None:
    with FaultServer([says(200, {"Suppressions": ENTRIES})]) as server:
        letter.write(base_url=server.url)
        done = added(letter, "import", "--from-provider")
        assert "fromdate=1999-12-31" in server.received[0].line
    assert (done["read"], done["new"]) == (4, 4)
    shown = {each["address"]: (each["reason"], each["source"]) for each in lines(letter, "list")}
    assert shown["stranger@example.org"] == ("hard_bounce", "postmark's list")
    assert shown["reader5@example.org"] == ("unsubscribed", "postmark's list")


def test_run_reads_reports_that_wait(letter: Faulty) -> None:
    """Without `serve`: another process took them in, and cron's `run` reads them."""
    letter.ask("run", "--now", NOW)
    with letter.store() as store:
        with store.engine.connect() as connection:
            row = connection.execute(select(tables.delivery).where(tables.delivery.c.ordinal == 3)).one()
        about = webhooks.About(installation=store.installation.id, delivery=row.delivery_id)
        call = webhooks.providers()["postmark"].call("complaint", about)
        store.incoming.keep([Raw(provider="postmark", received_at=datetime.now(UTC), body=call.body)])
    assert letter.ask("status")["reports"] == {"waiting": 1, "unreadable": 0}
    letter.ask("run", "--now", NOW)
    assert suppression(letter, "reader3@example.org") is SuppressionReason.COMPLAINT
    said = letter.ask("status")
    assert (said["reported"], said["reports"]) == ({"complaint": 1}, {"waiting": 0, "unreadable": 0})
    assert "1 complaint" in letter.weekbrief("status").stdout
    audited = {line["address"]: line["reports"] for line in letter.ask("audit", "2026-W48")}
    (report,) = audited.pop("reader3@example.org")
    assert (report["kind"], report["at"]) == ("complaint", "2026-11-29T07:30:00+00:00")
    assert set(map(len, audited.values())) == {0}
    shown = letter.weekbrief("audit", "2026-W48", "--address", "reader3@example.org").stdout
    assert "complaint" in shown


def test_what_cannot_be_read_is_told_by_status_and_forgotten_after_a_month(letter: Faulty) -> None:
    letter.ask("run", "--now", NOW)
    with letter.store() as store:
        at = datetime.now(UTC)
        store.incoming.keep([Raw(provider="postmark", received_at=at, body=b"[7]")])
        for _ in range(MAX_TRIES):
            digest(store)
        assert store.incoming.forget_unreadable(before=at) == 0
    assert letter.ask("status")["reports"] == {"waiting": 0, "unreadable": 1}
    assert "cannot be read" in letter.weekbrief("status").stdout
    with letter.store() as store:
        assert store.incoming.forget_unreadable(before=at + KEPT_FOR) == 1
        assert store.incoming.unread() == (0, 0)


def test_by_another_secret_reports_are_not_read_and_the_provider_s_list_is_not_taken(letter: Faulty) -> None:
    """Nobody could tell then whether one of them was erased: the address would come back in clear."""
    letter.ask("run", "--now", NOW)
    with letter.store() as store:
        store.incoming.keep([Raw(provider="postmark", received_at=datetime.now(UTC), body=b"{}")])
    another = {"WEEKBRIEF_SECRET": "another-secret-that-nothing-was-signed-with"}
    for words in (("sync",), ("suppressions", "import", "--from-provider")):
        with FaultServer(
            [says(200, {"Suppressions": [entry("new@example.org", "HardBounce")]})] * 9
        ) as server:
            letter.write(base_url=server.url)
            done = letter.weekbrief(*words, **another)
        assert done.returncode == 2, done.stderr
        assert "WEEKBRIEF_SECRET" in done.stderr
    with letter.store() as store:
        assert store.incoming.unread() == (1, 0)
        assert list(store.suppressions.listed()) == []


OTHER_SECRET = {"WEEKBRIEF_SECRET": "another-secret-that-nothing-here-was-signed-with"}


@pytest.mark.parametrize(
    "words",
    [
        ("suppressions", "add", "reader2@example.org"),
        ("suppressions", "import", "LIST"),
        ("subscribers", "import", "LIST", "--confirmed", "--source", "old", "--date", "2026-01-01"),
    ],
    ids=["suppressions add", "suppressions import", "subscribers import"],
)
def test_with_another_secret_nobody_who_was_erased_comes_back(
    letter: Faulty, tmp_path: Path, words: Sequence[str]
) -> None:
    assert letter.weekbrief("subscribers", "erase", "reader2@example.org").returncode == 0
    file = tmp_path / "list.csv"
    file.write_text("email\nreader2@example.org\n", "utf-8")
    given = [str(file) if word == "LIST" else word for word in words]
    done = letter.weekbrief(*given, **OTHER_SECRET)
    assert done.returncode != 0
    assert "WEEKBRIEF_SECRET" in done.stderr
    with letter.store() as store:
        assert store.subscribers.by_key("reader2@example.org") is None
        assert not any("reader2" in each.address_key for each in store.suppressions.listed())
