"""The test kit's own provider: what all other tests believe it to be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emails.delivery import Answer, AnswerClass
from emails.esp import make_esp
from tests.dialects import dialect
from tests.fault_provider import FaultProvider, Script, Spawned, Step, spawn
from tests.mailings import mailing, people

DEADLINE = 5.0


@pytest.fixture
def provider() -> Iterator[FaultProvider]:
    with FaultProvider(dialect("resend")) as made:
        yield made


def send(provider: FaultProvider | Spawned, key: str = "k", count: int = 2) -> Answer:
    esp = make_esp("resend", base_url=provider.url, env=provider.secrets, outbox_folder=Path("unused"))
    try:
        return esp.submit(esp.build(mailing(), people(count), key), DEADLINE)
    finally:
        esp.close()


def test_a_script_with_a_wrong_word_is_refused() -> None:
    with pytest.raises(TypeError, match="cutt"):
        Script.of([{"cutt": "before"}])
    with pytest.raises(ValueError, match="cut: 'afterwards' is none of"):
        Step(cut="afterwards")


def test_steps_are_for_the_call_of_their_number(provider: FaultProvider) -> None:
    provider.play([{"status": 500, "times": 2}, {}, {"trouble": "rate_limit", "times": 0}])
    kinds = [send(provider, f"k{number}").kind for number in range(5)]
    assert kinds == [
        AnswerClass.UNCERTAIN,
        AnswerClass.UNCERTAIN,
        AnswerClass.ACCEPTED,
        AnswerClass.NOT_SENT,
        AnswerClass.NOT_SENT,
    ]
    assert [request.outcome for request in provider.truth.requests()] == [
        *["scripted"] * 2,
        "taken",
        *["scripted"] * 2,
    ]


def test_the_truth_knows_what_each_person_got(provider: FaultProvider) -> None:
    send(provider)
    first = provider.truth.messages()[0]
    person = people(1)[0]
    assert (first.address, first.delivery, first.edition, first.key) == (
        person.address,
        person.delivery_id,
        "2026-11-29",
        "k",
    )
    assert first.unsubscribe == person.unsubscribe_url
    assert person.unsubscribe_url in first.message.html
    assert provider.truth.copies("2026-12-06") == {}


def test_a_key_lives_as_long_as_the_script_says(provider: FaultProvider) -> None:
    now = [1000.0]
    provider.clock = lambda: now[0]
    provider.play({"key_life": 60})
    first, again = send(provider), send(provider)
    assert first.receipts == again.receipts
    now[0] += 61
    assert send(provider).receipts != first.receipts
    assert set(provider.truth.copies().values()) == {2}


@pytest.mark.parametrize("record", [True, False])
def test_recording_can_be_turned_round(provider: FaultProvider, record: bool) -> None:
    provider.play([{"status": 500, "record": True}] if record else [{"record": False}])
    answer = send(provider)
    assert answer.kind is (AnswerClass.UNCERTAIN if record else AnswerClass.ACCEPTED)
    assert len(provider.truth.messages()) == (2 if record else 0)


def test_a_running_key_is_told_so(provider: FaultProvider) -> None:
    provider.play([{"late": 0.5}])
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, provider)
        while not provider.truth.messages():
            pass
        assert send(provider).kind is AnswerClass.BUSY
        assert first.result().kind is AnswerClass.ACCEPTED
    assert set(provider.truth.copies().values()) == {1}


@pytest.fixture
def spawned(tmp_path: Path) -> Iterator[Spawned]:
    with spawn("resend", tmp_path / "truth.db", sender=tmp_path / "sender.pid") as made:
        yield made


def test_a_process_of_its_own_is_scripted_from_outside(spawned: Spawned) -> None:
    spawned.play([{"cut": "after"}])
    assert send(spawned).kind is AnswerClass.UNCERTAIN
    assert send(spawned).kind is AnswerClass.ACCEPTED
    assert set(spawned.truth.copies().values()) == {1}
    spawned.start_over()
    assert spawned.truth.messages() == []
    assert send(spawned).kind is AnswerClass.ACCEPTED


_SENDER = """
import sys
from pathlib import Path
from emails.esp import make_esp
from tests.mailings import mailing, people
env = {"RESEND_API_KEY": "re_canary_key"}
esp = make_esp("resend", base_url=sys.argv[1], env=env, outbox_folder=Path("unused"))
esp.submit(esp.build(mailing(), people(2), "k"), 5)
print("still here")
"""


@pytest.mark.fault(7)
@pytest.mark.fault(8)
@pytest.mark.parametrize(("when", "copies"), [("head", 0), ("recorded", 1)])
def test_it_kills_the_sender_when_told(spawned: Spawned, tmp_path: Path, when: str, copies: int) -> None:
    spawned.play([{"kill": when, "delay": 0.0}, {}])
    command = [
        "import os, pathlib, sys",
        f"pathlib.Path({str(tmp_path / 'sender.pid')!r}).write_text(str(os.getpid()))",
        _SENDER,
    ]
    sender = subprocess.run(
        [sys.executable, "-c", "\n".join(command), spawned.url],
        cwd=Path(__file__).parents[2],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (sender.returncode, sender.stdout) == (-signal.SIGKILL, "")
    assert sum(spawned.truth.copies().values()) == copies * 2
    assert send(spawned).kind is AnswerClass.ACCEPTED
    assert set(spawned.truth.copies().values()) == {1}


def test_the_command_says_where_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fault_provider", "--dialect", "postmark", "--until-stdin-closes"]
    ran = subprocess.run(
        [*command, "--truth", str(tmp_path / "t.db")],
        input="",
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=True,
    )
    assert json.loads(ran.stdout)["url"].startswith("http://127.0.0.1:")
