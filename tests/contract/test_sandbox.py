"""The sandbox: a keyed provider by the same promises as the real one, and an inbox page that works."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from emails.delivery import AnswerClass, Esp
from emails.edition import Letter
from emails.esp import make_esp
from emails.sandbox import SandboxRecord, serve_in_thread
from tests.fault_esp import FaultServer, says
from tests.mailings import letter, mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"
AUTH = {"authorization": "Bearer any"}


@dataclass
class Sandbox:
    url: str
    record: SandboxRecord
    path: Path
    esp: Esp
    client: httpx.Client

    def send(
        self, count: int = 3, *, key: str = KEY, edition: str = "2026-11-29", text: Letter | None = None
    ) -> Any:
        """Send to `count` people through our own adapter."""
        return self.esp.submit(self.esp.build(mailing(edition=edition, text=text), people(count), key), 10)

    def post(self, messages: object, *, path: str = "/emails/batch", **headers: str) -> httpx.Response:
        return self.client.post(path, json=messages, headers={**AUTH, **headers})

    def counts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/counts").json()
        return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    path = tmp_path / "box" / "sandbox.db"
    with SandboxRecord(path) as record, serve_in_thread(record) as server:
        esp = make_esp("sandbox", base_url=server.url, env={}, outbox_folder=tmp_path)
        with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
            yield Sandbox(server.url, record, path, esp, client)
        esp.close()


def message(number: int = 0, **changes: object) -> dict[str, Any]:
    return {
        "from": "Brief <brief@voorbeeld.example>",
        "to": [f"lezer{number}@voorbeeld.example"],
        "subject": "Vraag",
        "html": "<p>hoi</p>",
        "text": "hoi",
        **changes,
    }


# As a provider


def test_our_adapter_and_the_sandbox_agree(sandbox: Sandbox) -> None:
    answer = sandbox.send(100)
    assert answer.kind is AnswerClass.ACCEPTED
    kept = {line.delivery: line.id for line in sandbox.record.page(limit=200)}
    assert {receipt.delivery_id: receipt.provider_id for receipt in answer.receipts} == kept
    assert sandbox.counts() == {
        "calls": 1,
        "messages": 100,
        "recipients": 100,
        "editions": {"2026-11-29": 100},
    }


@pytest.mark.fault(47)
def test_the_same_call_again_gives_the_same_ids_and_keeps_nothing_new(sandbox: Sandbox) -> None:
    first, second = sandbox.send(), sandbox.send()
    assert first.receipts == second.receipts
    assert sandbox.counts()["messages"] == 3


@pytest.mark.fault(62)
def test_the_same_key_with_another_body_is_held(sandbox: Sandbox) -> None:
    sandbox.send()
    answer = sandbox.send(text=letter(filler="changed"))
    assert (answer.kind, answer.http_status, answer.in_doubt) == (AnswerClass.HOLD, 409, True)
    assert sandbox.counts()["messages"] == 3


def test_without_a_key_everything_is_new(sandbox: Sandbox) -> None:
    ids = [sandbox.post([message()]).json()["data"][0]["id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert sandbox.counts()["messages"] == 2


@pytest.mark.fault(63)
def test_a_second_call_while_the_key_is_at_work_is_busy(sandbox: Sandbox) -> None:
    """Another program holds the record's write lock, so the first call stays at work."""
    blocker = sqlite3.connect(sandbox.path, isolation_level=None)
    blocker.execute("begin immediate")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sandbox.send)
        time.sleep(0.5)  # until the first call has arrived
        busy = wait_for(lambda: answer if (answer := quick(sandbox)).kind is AnswerClass.BUSY else None)
        blocker.execute("rollback")
        blocker.close()
        assert first.result(10).kind is AnswerClass.ACCEPTED
    assert busy.http_status == 409
    assert sandbox.send().kind is AnswerClass.ACCEPTED
    assert sandbox.counts()["messages"] == 3


def quick(sandbox: Sandbox) -> Any:
    return sandbox.esp.submit(sandbox.esp.build(mailing(), people(3), KEY), 0.5)


def wait_for(find: Any, seconds: float = 20) -> Any:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if found := find():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def test_many_at_once_with_one_key_are_one_call(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox.send(), range(16)))
    assert {answer.kind for answer in answers} <= {AnswerClass.ACCEPTED, AnswerClass.BUSY}
    assert AnswerClass.ACCEPTED in {answer.kind for answer in answers}
    assert sandbox.counts()["messages"] == 3


@pytest.mark.fault(57)
def test_one_bad_address_refuses_the_whole_call(sandbox: Sandbox) -> None:
    response = sandbox.post([message(0), message(1, to=["no address"]), message(2)])
    assert (response.status_code, response.json()["name"]) == (422, "validation_error")
    assert sandbox.counts()["messages"] == 0


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ([message(n) for n in range(101)], 422, "validation_error"),
        ([], 422, "validation_error"),
        ({"not": "a list"}, 422, "validation_error"),
        (["text"], 422, "validation_error"),
        ([message(**{"from": ""})], 422, "missing_required_field"),
        ([message(subject=None)], 422, "missing_required_field"),
        ([message(subject=["x"])], 422, "validation_error"),
        ([message(html="", text="")], 422, "missing_required_field"),
        ([message(html=3)], 422, "validation_error"),
        ([message(headers={"Bad Name": "x"})], 422, "validation_error"),
        ([message(headers={"X": 3})], 422, "validation_error"),
        ([message(to=[f"a{n}@b.example" for n in range(51)])], 422, "validation_error"),
        ([message(to=7)], 422, "validation_error"),
    ],
)
def test_what_is_no_call_is_refused_in_the_providers_words(
    sandbox: Sandbox, body: object, status: int, name: str
) -> None:
    response = sandbox.post(body)
    assert (response.status_code, response.json()["name"]) == (status, name)
    assert set(response.json()) == {"statusCode", "name", "message"}
    assert sandbox.counts()["calls"] == 0


def test_a_body_that_is_no_json_is_refused(sandbox: Sandbox) -> None:
    for body in (b"", b"{", b"[" * 50_000):
        assert sandbox.client.post("/emails/batch", content=body, headers=AUTH).status_code == 400


def test_a_key_of_a_wrong_length_is_refused(sandbox: Sandbox) -> None:
    response = sandbox.post([message()], **{"idempotency-key": "k" * 257})
    assert (response.status_code, response.json()["name"]) == (400, "invalid_idempotency_key")


def test_one_message_alone(sandbox: Sandbox) -> None:
    message_id = sandbox.post(message(), path="/emails").json()["id"]
    found = sandbox.client.get(f"/emails/{message_id}", headers=AUTH).json()
    assert (found["id"], found["to"], found["last_event"]) == (
        message_id,
        ["lezer0@voorbeeld.example"],
        "delivered",
    )
    assert sandbox.client.get("/emails/none", headers=AUTH).status_code == 404


@pytest.mark.fault(55)
def test_a_wrong_api_key_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    with SandboxRecord(tmp_path / "s.db") as record, serve_in_thread(record, api_key="right") as server:
        for env, kind in (({}, AnswerClass.HOLD), ({"SANDBOX_API_KEY": "right"}, AnswerClass.ACCEPTED)):
            esp = make_esp("sandbox", base_url=server.url, env=env, outbox_folder=tmp_path)
            assert esp.submit(esp.build(mailing(), people(1), KEY), 10).kind is kind
            esp.close()
        assert httpx.post(f"{server.url}/emails/batch", json=[message()], trust_env=False).status_code == 401
        assert record.counts().messages == 1


# The JSON view


def test_messages_are_paged_and_each_appears_once(sandbox: Sandbox) -> None:
    sandbox.send(25)
    seen, before = [], ""
    for _ in range(10):
        page = sandbox.client.get(f"/messages?limit=7{before}").json()
        seen += page["data"]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert sorted(each["to"] for each in seen) == sorted(person.address for person in people(25))
    assert set(seen[0]) == {"id", "to", "subject", "received_at", "edition", "delivery"}


def test_messages_are_found_by_edition_and_words(sandbox: Sandbox) -> None:
    sandbox.send(3)
    sandbox.send(2, key="other", edition="2026-12-06")
    assert len(sandbox.client.get("/messages?edition=2026-12-06").json()["data"]) == 2
    assert len(sandbox.client.get("/messages?q=lezer1+VAST").json()["data"]) == 2
    assert sandbox.client.get("/messages", params={"q": "%"}).json()["data"] == []


def test_a_message_is_shown_as_it_came(sandbox: Sandbox) -> None:
    sandbox.send(2)
    wanted = json.loads(sandbox.esp.build(mailing(), people(2), KEY).body)[1]
    line = sandbox.client.get("/messages?q=lezer1@").json()["data"][0]
    found = sandbox.client.get(f"/messages/{line['id']}").json()
    assert (found["message"], found["key"]) == (wanted, KEY)
    assert sandbox.client.get("/messages/none").status_code == 404


@pytest.mark.parametrize("query", ["limit=x", "before=-1", "limit=%C2%B2", "before=" + "9" * 30])
def test_an_odd_page_is_refused(sandbox: Sandbox, query: str) -> None:
    assert sandbox.client.get(f"/messages?{query}").status_code == 422


# Durability

_SEND_FOR_EVER = """
import itertools, sys
from pathlib import Path
from emails.sandbox import SandboxRecord
record = SandboxRecord(Path(sys.argv[1]))
for n in itertools.count():
    body = b'[' + b','.join([b'{"to": "a@b.example", "subject": "%d"}' % n] * 20) + b']'
    ids = record.accept([{"to": "a@b.example", "subject": str(n)}] * 20, body, f"k{n}")
    print(n, *ids, flush=True)
"""


@pytest.mark.fault(8)
def test_a_killed_sandbox_keeps_what_it_answered_and_only_whole_calls(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    child = subprocess.Popen(
        [sys.executable, "-c", _SEND_FOR_EVER, str(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    answered = [child.stdout.readline().split() for _ in range(15)]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with SandboxRecord(path) as record:
        counts = record.counts()
        assert counts.messages == 20 * counts.calls
        for _, *ids in answered:
            assert all(record.find(message_id) for message_id in ids)


def test_the_record_is_fully_synced(sandbox: Sandbox) -> None:
    assert sandbox.record._db.execute("pragma synchronous").fetchone()[0] == 2
    assert sandbox.record._db.execute("pragma journal_mode").fetchone()[0] == "wal"


def test_the_record_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    for _ in range(2):
        with SandboxRecord(path) as record, serve_in_thread(record) as server:
            esp = make_esp("sandbox", base_url=server.url, env={}, outbox_folder=tmp_path)
            assert esp.submit(esp.build(mailing(), people(3), KEY), 10).kind is AnswerClass.ACCEPTED
            esp.close()
    with SandboxRecord(path) as record:
        assert record.counts().messages == 3


def test_stopping_frees_the_port_and_ends_the_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with SandboxRecord(tmp_path / "s.db") as record:
        server = serve_in_thread(record)
        port = int(server.url.rsplit(":", 1)[1])
        server.stop()
        serve_in_thread(record, port=port).stop()
        with serve_in_thread(record) as other, pytest.raises(OSError, match="in use"):
            serve_in_thread(record, port=int(other.url.rsplit(":", 1)[1]))
    wait_for(lambda: threading.active_count() <= before)


# The inbox page


def test_the_inbox_lists_and_shows_every_view(sandbox: Sandbox) -> None:
    assert "Nothing has come in yet" in sandbox.client.get("/").text
    sandbox.send(60)
    page = sandbox.client.get("/")
    assert page.text.count("<li>") == 50
    assert "Older" in page.text
    line = sandbox.client.get("/messages?q=lezer7@").json()["data"][0]
    link = people(8)[7].unsubscribe_url
    for view, shown in (
        ("letter", f"/letters/{line['id']}/frame"),
        ("text", f"Afmelden: {link}"),
        ("headers", "List-Unsubscribe=One-Click"),
        ("source", f"List-Unsubscribe: &lt;{link}&gt;"),
    ):
        assert shown in sandbox.client.get(f"/letters/{line['id']}?view={view}").text, view
    saved = sandbox.client.get(f"/letters/{line['id']}.eml")
    assert f"List-Unsubscribe: <{link}>\r\n" in saved.text
    assert sandbox.client.get("/letters/none").status_code == 404


@pytest.mark.fault(140)
def test_what_a_message_says_is_never_markup_of_the_page(sandbox: Sandbox) -> None:
    evil = '"><script>alert(1)</script>'
    sandbox.post(
        [message(subject=evil, text=evil, headers={"X-Evil": evil, "List-Unsubscribe": "<javascript:x>"})]
    )
    message_id = sandbox.client.get("/messages").json()["data"][0]["id"]
    for view in ("letter", "text", "headers", "source"):
        page = sandbox.client.get(f"/letters/{message_id}?view={view}&q={evil}&edition={evil}")
        assert "<script>alert" not in page.text
        assert "javascript:x" not in page.text.replace("&lt;javascript:x&gt;", "")
        assert "script-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.fault(152)
def test_a_page_elsewhere_that_points_its_name_here_reads_nothing(sandbox: Sandbox) -> None:
    sandbox.send(1)
    for host, status in (("evil.example", 400), ("localhost", 200), ("127.0.0.1:1", 200)):
        assert sandbox.client.get("/messages", headers={"host": host}).status_code == status


def test_pages_need_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    sandbox.send(1)
    message_id = sandbox.client.get("/messages").json()["data"][0]["id"]
    page = sandbox.client.get(f"/letters/{message_id}").text
    for name in ("inbox.css", "inbox.js", "icon.svg"):
        assert f"/static/{name}" in page
        assert sandbox.client.get(f"/static/{name}").status_code == 200
    assert sandbox.client.get("/static/app.py").status_code == 404
    assert sandbox.client.get("/static/..%2Fapp.py").status_code == 404


@pytest.mark.browser
def test_in_a_browser_letters_appear_links_work_and_scripts_do_not(sandbox: Sandbox) -> None:
    from tests.browser.chromium import chromium, executable

    if executable() is None:
        pytest.skip("no Chromium on this machine")
    with (
        FaultServer([says(200, b"<p>landed</p>", {"Content-Type": "text/html"})]) as web,
        chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(sandbox.url)
        html = (
            '<html><head></head><body><script>document.title = "ran"</script>'
            f'<a href="{web.url}/go">verder</a>'
            f'<img src="{web.url}/never" onerror="document.title = 1"></body></html>'
        )
        headers = {
            "List-Unsubscribe": f"<{web.url}/u/token>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        sandbox.post([message(html=html, headers=headers)])
        page.get_by_text("lezer0@voorbeeld.example").click(timeout=8000)
        letter_frame = page.frame_locator("iframe")
        with page.context.expect_page() as opened:
            letter_frame.get_by_text("verder").click()
        opened.value.wait_for_load_state()
        assert opened.value.url == f"{web.url}/go"
        with page.context.expect_page() as answered:
            page.get_by_role("button", name="Unsubscribe").click()
        answered.value.wait_for_load_state()
        assert "ran" not in page.title()
        assert problems == []
    posted = [request for request in web.received if request.line.startswith("POST")]
    assert [(request.line, request.body) for request in posted] == [
        ("POST /u/token HTTP/1.1", b"List-Unsubscribe=One-Click")
    ]


# The command


def test_the_command_runs_until_stopped(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [
            *(sys.executable, "-c", "from pipeline.cli.sandbox import command; command()"),
            *("--port", "0", "--folder", str(tmp_path / "box")),
        ],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    url = child.stderr.readline().split()[2]
    try:
        answer = wait_for(lambda: _tried(url))
        assert answer.json()["messages"] == 0
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)
        child.stderr.close()
    assert (tmp_path / "box" / "sandbox.db").is_file()


def _tried(url: str) -> httpx.Response | None:
    try:
        return httpx.get(f"{url}/counts", trust_env=False)
    except httpx.ConnectError:
        return None


def test_the_command_says_when_the_port_is_taken(sandbox: Sandbox, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pipeline.cli.sandbox import command

    result = CliRunner().invoke(command, ["--port", sandbox.url.rsplit(":", 1)[1], "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "choose another with --port" in result.output


def test_the_command_says_when_its_file_is_no_record(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from pipeline.cli.sandbox import command

    (tmp_path / "sandbox.db").write_text("a shopping list, and a long one at that" * 100)
    result = CliRunner().invoke(command, ["--port", "0", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "sandbox.db cannot be used" in result.output
    assert (tmp_path / "sandbox.db").read_text().startswith("a shopping list")
