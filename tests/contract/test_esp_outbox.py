"""The outbox: one whole file per recipient, never a second."""

from __future__ import annotations

import email
import email.policy
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emails.delivery import AnswerClass, DeliveryState
from emails.esp.outbox import Outbox, file_name
from tests.mailings import letter, mailing, people

KEY = "wb1-inst-1-2026-11-29-1-abc"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "outbox"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.standard("H-05")
def test_each_recipient_gets_one_message_file(folder: Path) -> None:
    outbox = Outbox(folder, clock=lambda: datetime(2026, 11, 29, 8, 0, 3, tzinfo=UTC))
    answer = outbox.submit(outbox.build(mailing(), people(3), KEY), 10)
    assert answer.kind is AnswerClass.ACCEPTED
    assert [(r.delivery_id, r.state, r.provider_id) for r in answer.receipts] == [
        (person.delivery_id, DeliveryState.ACCEPTED, f"{person.delivery_id}.eml") for person in people(3)
    ]
    assert sorted(files(folder)) == ["d00000.eml", "d00001.eml", "d00002.eml"]
    for person in people(3):
        data = (folder / f"{person.delivery_id}.eml").read_bytes()
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert message["To"] == person.address
        assert message["List-Unsubscribe"] == f"<{person.unsubscribe_url}>"
        assert message["Date"] == "Sun, 29 Nov 2026 08:00:03 +0000"
        text = message.get_body(("plain",))
        assert text is not None
        assert person.unsubscribe_url in text.get_content()


def test_a_batch_that_comes_again_writes_nothing(folder: Path) -> None:
    outbox = Outbox(folder)
    request = outbox.build(mailing(), people(3), KEY)
    outbox.submit(request, 10)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = Outbox(folder).submit(outbox.build(mailing(), people(3), KEY), 10)
    assert again.kind is AnswerClass.ACCEPTED
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_batch_cut_short_is_finished_by_a_repeat(folder: Path) -> None:
    outbox = Outbox(folder)
    request = outbox.build(mailing(), people(3), KEY)
    outbox.submit(request, 10)
    whole = files(folder)
    (folder / "d00001.eml").unlink()
    (folder / ".d00001.eml.part").write_bytes(b"half a mess")
    assert outbox.submit(request, 10).kind is AnswerClass.ACCEPTED
    assert files(folder) == whole


def test_the_body_alone_says_all_there_is_to_write(folder: Path) -> None:
    """After a restart only the stored bytes are left."""
    outbox = Outbox(folder)
    request = outbox.build(mailing(), people(2), KEY)
    outbox.submit(replace(request, recipients=()), 10)
    assert len(files(folder)) == 2


@pytest.mark.fault(62)
def test_another_letter_under_the_same_delivery_is_held_and_not_written(folder: Path) -> None:
    outbox = Outbox(folder)
    outbox.submit(outbox.build(mailing(), people(2), KEY), 10)
    before = files(folder)
    other = mailing(text=letter(filler="changed"))
    answer = outbox.submit(outbox.build(other, people(2), KEY), 10)
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)
    assert files(folder) == before


def test_the_body_is_the_same_bytes_on_every_build(folder: Path) -> None:
    outbox = Outbox(folder)
    assert outbox.build(mailing(), people(3), KEY).body == outbox.build(mailing(), people(3), KEY).body


def test_a_folder_that_cannot_be_made_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    outbox = Outbox(tmp_path / "file" / "outbox")
    answer = outbox.submit(outbox.build(mailing(), people(1), KEY), 10)
    assert answer.kind is AnswerClass.NOT_SENT
    assert "outbox folder" in (answer.error or "")


@pytest.mark.fault(23)
def test_a_disk_that_fills_half_way_is_uncertain_and_leaves_no_half_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(folder)
    request = outbox.build(mailing(), people(3), KEY)
    synced, real = [], os.fsync

    def fills(handle: int) -> None:
        if len(synced) == 1:
            raise OSError(28, "No space left on device")
        synced.append(handle)
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fills)
        answer = outbox.submit(request, 10)
    assert answer.kind is AnswerClass.UNCERTAIN
    assert "No space left" in (answer.error or "")
    assert sorted(path.name for path in folder.glob("*.eml")) == ["d00000.eml"]
    assert outbox.submit(request, 10).kind is AnswerClass.ACCEPTED
    assert len(list(folder.glob("*.eml"))) == 3


def test_a_deadline_that_is_over_writes_nothing(folder: Path) -> None:
    outbox = Outbox(folder)
    assert outbox.submit(outbox.build(mailing(), people(2), KEY), -1).kind is AnswerClass.NOT_SENT
    assert files(folder) == {}


@pytest.mark.parametrize("delivery_id", ["../../etc/passwd", "a/b", ".hidden", "", "é", "x" * 200, "a\0b"])
def test_no_delivery_id_leads_out_of_the_folder(delivery_id: str) -> None:
    name = file_name(delivery_id)
    assert Path(name).name == name
    assert len(name) < 80
    assert not name.startswith(".")
