"""The command line, end to end: what goes out, what is said, and which exit code."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from emails.sandbox import SandboxRecord
from tests.acceptance.newsletter import NOW, Folder, newsletter

KEYS = {"outcome", "edition", "week", "post", "question", "example", "counts", "seconds", "notes"}
COUNTS = {
    "frozen", "pending", "submitted", "accepted", "refused", "skipped", "uncertain", "unconfirmed"
}  # fmt: skip


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief") as folder:
        yield folder


def test_a_week_from_post_to_inbox(letter: Folder) -> None:
    letter.subscribe(250)
    said = letter.run()
    assert said["exit"] == 0
    assert set(said) - {"exit"} == KEYS
    assert set(said["counts"]) == COUNTS
    assert (said["outcome"], said["edition"], said["week"]) == ("sent", "2026-11-29", "2026-W48")
    assert said["question"] == "Wat draag jij nog met je mee dat je allang had kunnen neerzetten?"
    assert said["example"].startswith("Je komt thuis van je werk")
    assert said["counts"]["frozen"] == said["counts"]["accepted"] == 250
    assert letter.copies() == Counter({f"lezer{n}@example.org": 1 for n in range(1, 251)})


def test_a_second_run_sends_nothing(letter: Folder) -> None:
    letter.subscribe(3)
    letter.run()
    again = letter.run()
    assert (again["outcome"], again["exit"]) == ("nothing_due", 0)
    assert letter.record.counts().messages == 3


def test_nothing_is_due_on_another_day(letter: Folder) -> None:
    letter.subscribe(3)
    done = letter.weekbrief("run", "--now", "2026-12-01T12:00", "--json")
    assert json.loads(done.stdout)["outcome"] == "nothing_due"
    assert letter.record.counts().messages == 0


def test_when_every_post_was_sent_the_next_week_is_quiet(letter: Folder) -> None:
    letter.subscribe(3)
    letter.run()
    done = letter.weekbrief("run", "--now", "2026-12-06T08:05", "--json")
    said = json.loads(done.stdout)
    assert (said["outcome"], done.returncode) == ("nothing_to_send", 0)


def test_a_dry_run_tells_and_changes_nothing(letter: Folder) -> None:
    letter.subscribe(3)
    said = letter.run("--dry-run")
    assert (said["outcome"], said["exit"]) == ("dry_run", 0)
    assert said["counts"]["frozen"] == said["counts"]["pending"] == 3
    assert said["question"].startswith("Wat draag jij")
    assert letter.record.counts().messages == 0
    assert letter.run()["outcome"] == "sent"


def test_a_dry_run_in_an_empty_folder_makes_no_database(letter: Folder) -> None:
    assert letter.run("--dry-run")["outcome"] == "dry_run"
    assert not (letter.path / "var").exists()


def test_plan_says_what_goes_when_and_why(letter: Folder) -> None:
    done = letter.weekbrief("plan", "--weeks", "2", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["question"].startswith("Wat draag jij")
    assert first["why"].startswith("the oldest post not yet sent")
    assert (second["post"], second["why"]) == (None, "no post is left")
    assert not (letter.path / "var").exists()


def test_status_counts_add_up(letter: Folder) -> None:
    letter.subscribe(12)
    letter.run()
    said = json.loads(letter.weekbrief("status", "2026-W48", "--json").stdout)
    assert said["state"] == "finished"
    counts = said["counts"]
    assert counts["frozen"] == 12 == sum(counts.values()) - counts["frozen"]


def test_an_approval_is_waited_for(letter: Folder) -> None:
    file = letter.path / "schedule.yaml"
    text = file.read_text("utf-8").replace("provider:\n", "  approval: required\nprovider:\n")
    file.write_text(text, "utf-8")
    letter.subscribe(3)
    held = letter.run()
    assert (held["outcome"], held["exit"]) == ("held", 3)
    assert any("weekbrief approve 2026-11-29" in note for note in held["notes"])
    assert letter.weekbrief("approve", "2026-W48", "--by", "Marijke").returncode == 0
    assert letter.run()["outcome"] == "sent"
    assert letter.record.counts().messages == 3


def test_a_post_without_a_question_is_passed_over_and_said_so(letter: Folder) -> None:
    (letter.path / "posts" / "aankondiging.md").write_text(
        "---\ntitle: Even stil\ndate: 2026-08-01\nlanguage: nl\n---\nDeze week is het stil.\n",
        "utf-8",
    )
    letter.subscribe(2)
    said = letter.run()
    assert said["outcome"] == "sent"
    assert said["post"] == "De tas bij de deur"
    assert any("“Even stil” (aankondiging.md) was passed over" in note for note in said["notes"])


def test_only_posts_without_a_question_need_a_person(letter: Folder) -> None:
    (letter.path / "posts" / "de-tas.md").write_text(
        "---\ntitle: Leeg\ndate: 2026-08-01\n---\nNiets.\n", "utf-8"
    )
    letter.subscribe(2)
    said = letter.run()
    assert (said["outcome"], said["exit"]) == ("held", 3)
    assert any("front matter" in note for note in said["notes"])


def test_an_unreadable_post_is_named_and_keeps_nothing_back(letter: Folder) -> None:
    (letter.path / "posts" / "kapot.md").write_bytes(b"---\ntitle: [\n---\nx\n")
    letter.subscribe(2)
    said = letter.run()
    assert said["outcome"] == "sent"
    assert any("kapot.md" in note for note in said["notes"])


@pytest.mark.parametrize("name", ["missing", "broken"])
def test_a_missing_or_broken_schedule_is_one_clear_message(letter: Folder, name: str) -> None:
    file = letter.path / "schedule.yaml"
    if name == "missing":
        file.unlink()
        expected = "there is no such file"
    else:
        file.write_text(file.read_text("utf-8").replace("on: sunday", "on: sundya"), "utf-8")
        expected = "did you mean 'sunday'"
    done = letter.weekbrief("run")
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not (letter.path / "var").exists()


def test_without_a_secret_nothing_is_sent_and_the_mend_is_said(letter: Folder) -> None:
    letter.subscribe(1)
    done = letter.weekbrief("run", "--now", NOW, WEEKBRIEF_SECRET="")
    assert done.returncode == 2
    assert "WEEKBRIEF_SECRET" in done.stderr
    assert letter.record.counts().messages == 0


@pytest.mark.fault(45)
def test_a_provider_that_is_down_loses_nothing(letter: Folder) -> None:
    letter.subscribe(3)
    file = letter.path / "schedule.yaml"
    up = file.read_text("utf-8")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{closed.getsockname()[1]}"
        file.write_text(re.sub(r"base_url: \S+", f"base_url: {away}\n  patience: 2", up), "utf-8")
        said = letter.run()
    assert (said["outcome"], said["exit"]) == ("partial", 5)
    assert said["counts"]["pending"] == 3
    file.write_text(up, "utf-8")
    assert letter.run()["outcome"] == "sent"
    assert set(letter.copies().values()) == {1}


@pytest.mark.fault(55)
def test_a_wrong_key_holds_the_edition_and_names_no_secret(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief", api_key="the-right-key") as letter:
        letter.subscribe(30)
        done = letter.weekbrief("-vv", "run", "--now", NOW, "--json", SANDBOX_API_KEY="a-wrong-key")
        said = json.loads(done.stdout)
        assert (said["outcome"], done.returncode) == ("held", 3)
        assert said["counts"]["pending"] == said["counts"]["frozen"] == 30
        assert "a-wrong-key" not in done.stdout + done.stderr
        assert letter.record.counts().messages == 0
        assert letter.run(SANDBOX_API_KEY="the-right-key")["outcome"] == "held"
        assert letter.weekbrief("resume", "2026-W48", "--by", "Marijke").returncode == 0
        assert letter.run(SANDBOX_API_KEY="the-right-key")["outcome"] == "sent"
        assert set(letter.copies().values()) == {1}


def test_a_provider_without_its_key_is_one_clear_message(letter: Folder) -> None:
    file = letter.path / "schedule.yaml"
    file.write_text(file.read_text("utf-8").replace("name: sandbox", "name: resend"), "utf-8")
    done = letter.weekbrief("run", "--now", NOW)
    assert done.returncode == 2
    assert "schedule.yaml:15: provider.name: RESEND_API_KEY is not set" in done.stderr


@pytest.mark.fault(17)
def test_sigterm_lets_the_batch_in_flight_end(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief", batch_size=5) as letter:
        letter.subscribe(400)
        process = letter.start("run", "--now", NOW, "--json")
        while letter.record.counts().messages < 20:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        said = json.loads(out)
        assert process.returncode == 0, err
        assert said["counts"]["uncertain"] == said["counts"]["submitted"] == 0
        assert said["counts"]["accepted"] == letter.record.counts().messages
        assert letter.run()["outcome"] == "sent"
        assert letter.copies().total() == 400
        assert set(letter.copies().values()) == {1}


def test_a_second_run_beside_a_running_one_is_turned_away(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief", batch_size=5) as letter:
        letter.subscribe(600)
        schedule = letter.path / "schedule.yaml"
        # Slow enough for a second program to start meanwhile.
        schedule.write_text(schedule.read_text("utf-8").replace("  batch_size", "  rate: 20/s\n  batch_size"))
        process = letter.start("run", "--now", NOW, "--json")
        while letter.record.counts().messages < 10:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        second = letter.weekbrief("run", "--now", NOW)
        out, err = process.communicate(timeout=120)
        assert second.returncode == 6, second.stderr
        assert "another run" in second.stderr
        assert json.loads(out)["outcome"] == "sent", err
        assert set(letter.copies().values()) == {1}


@pytest.mark.fault(91)
def test_a_csv_with_bad_rows_keeps_the_good_ones(letter: Folder) -> None:
    file = letter.path / "lijst.csv"
    file.write_text("email,name,language\nanna@example.org,Anna,nl\ngeen-adres,Bob,nl\n,,\n", "utf-8")
    words = ("subscribers", "import", str(file), "--confirmed", "--source", "oud", "--date", "2024-05-01")
    done = letter.weekbrief(*words, "--json")
    said = json.loads(done.stdout)
    assert (said["added"], said["bad_rows"], done.returncode) == (1, 1, 4)
    assert "lijst.csv:3: email:" in done.stderr
    assert "geen-adres" not in done.stderr
    listed = [
        json.loads(line) for line in letter.weekbrief("subscribers", "list", "--json").stdout.splitlines()
    ]
    assert [(row["address"], row["state"]) for row in listed] == [("anna@example.org", "active")]


def test_consent_is_never_invented(letter: Folder) -> None:
    file = letter.path / "lijst.csv"
    file.write_text("email\nanna@example.org\n", "utf-8")
    done = letter.weekbrief("subscribers", "import", str(file), "--confirmed")
    assert done.returncode == 2
    assert "--source and --date" in done.stderr
    asked = letter.weekbrief("subscribers", "import", str(file))
    assert asked.returncode == 0, asked.stderr
    shown = json.loads(letter.weekbrief("subscribers", "show", "anna@example.org", "--json").stdout)
    assert shown["state"] == "pending"
    [line] = letter.record.page(limit=10)
    stored = letter.record.find(line.id)
    assert stored is not None
    headers = stored.message["headers"]
    assert "List-Unsubscribe" not in headers
    assert headers["Auto-Submitted"] == "auto-generated"
    assert "https://brief.stillepost.example/c/" in stored.message["text"]


def test_who_is_removed_stays_away(letter: Folder) -> None:
    letter.subscribe(2)
    assert letter.weekbrief("subscribers", "remove", "lezer1@example.org").returncode == 0
    letter.subscribe(2)
    assert letter.run()["counts"]["frozen"] == 1
    assert letter.copies() == Counter({"lezer2@example.org": 1})


def test_the_outbox_holds_one_file_for_each(letter: Folder) -> None:
    letter.subscribe(3)
    file = letter.path / "schedule.yaml"
    text = re.sub(r"  name: sandbox\n  base_url: .*\n", "  name: outbox\n", file.read_text("utf-8"))
    file.write_text(text, "utf-8")
    assert letter.run()["outcome"] == "sent"
    files = sorted((letter.path / "var" / "outbox").glob("*.eml"))
    assert len(files) == 3
    message = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Subject"]


def test_each_link_unsubscribes_exactly_its_owner(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with newsletter(tmp_path / "brief", url=f"http://127.0.0.1:{port}") as letter:
        letter.subscribe(20)
        letter.run()
        links = {}
        for line in letter.record.page(limit=50):
            stored = letter.record.find(line.id)
            assert stored is not None
            links[line.to] = stored.message["headers"]["List-Unsubscribe"].strip("<>")
        server = letter.start("serve", "--port", str(port))
        try:
            _wait_for(port)
            for address in ("lezer3@example.org", "lezer11@example.org"):
                assert _post(links[address], b"List-Unsubscribe=One-Click") == 200
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
        listed = letter.weekbrief("subscribers", "list", "--state", "unsubscribed", "--json").stdout
        gone = {json.loads(line)["address"] for line in listed.splitlines()}
        assert gone == {"lezer3@example.org", "lezer11@example.org"}


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the service did not start")


def _post(url: str, body: bytes) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request("POST", parts.path, body, {"Content-Type": "application/x-www-form-urlencoded"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_sandbox_without_an_address_is_brought_along(letter: Folder) -> None:
    letter.subscribe(3)
    file = letter.path / "schedule.yaml"
    file.write_text(re.sub(r"  base_url: .*\n", "", file.read_text("utf-8")), "utf-8")
    assert letter.run()["outcome"] == "sent"
    with SandboxRecord(letter.path / "var" / "sandbox" / "sandbox.db") as record:
        assert record.counts().messages == 3
    assert letter.record.counts().messages == 0
