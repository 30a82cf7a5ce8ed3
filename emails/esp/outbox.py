"""The outbox: one .eml file per recipient in a folder, for trying things or for another program to send.

Keyed by nature: a file is named after its delivery, so a batch that comes again finds its files there and
writes nothing. A file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from emails.delivery import (
    Answer,
    AnswerClass,
    Capabilities,
    DeliveryState,
    Found,
    Receipt,
    Recipient,
    Request,
    Sought,
)
from emails.edition import Mailing
from emails.esp.settings import EspSettings
from emails.message import build_message

CAPABILITIES = Capabilities(
    name="outbox",
    max_batch=500,
    max_bytes=50_000_000,
    key_life=timedelta(days=36_500),
    eight_bit_local_part=False,
    notes=("Writes .eml files; nobody is mailed.",),
)


class Outbox:
    """An `Esp` that writes to `folder`, which is made when the first batch comes."""

    def __init__(
        self,
        folder: Path,
        capabilities: Capabilities = CAPABILITIES,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._capabilities = capabilities
        self._clock = clock

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def build(self, mailing: Mailing, recipients: Sequence[Recipient], key: str) -> Request:
        """All messages in one body, each under its file's name, still without a Date.

        Raises `emails.message.HeaderError`.
        """
        letters = [
            (file_name(person.delivery_id), build_message(mailing, person, date=None))
            for person in recipients
        ]
        return Request(
            method="WRITE",
            url="outbox:",
            headers={},
            body=_packed(letters),
            key=key,
            recipients=tuple(recipients),
        )

    def submit(self, request: Request, deadline: float) -> Answer:
        """Write what is not there yet, within `deadline` seconds. Never raises for what the disk did."""
        ends = time.monotonic() + deadline
        written = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, letter in _unpacked(request.body):
                if time.monotonic() > ends:
                    return _stopped(written, f"not all files were written within {deadline:g} s")
                if not self._write(name, letter):
                    return Answer(
                        kind=AnswerClass.HOLD,
                        in_doubt=True,
                        error=f"{name} is in the outbox with another content; nothing was overwritten",
                    )
                written += 1
            _sync_folder(self._folder)
        except OSError as error:
            return _stopped(written, f"the outbox folder cannot be written: {error.strerror or error}")
        return _accepted(request)

    def find(self, sought: Sought, deadline: float) -> Found:
        """The files that are there."""
        there = {
            person.delivery_id: file_name(person.delivery_id)
            for person in sought.recipients
            if (self._folder / file_name(person.delivery_id)).exists()
        }
        return Found(taken=there)

    def close(self) -> None:
        """Nothing is open between batches."""

    def _write(self, name: str, letter: bytes) -> bool:
        """True when the file now holds `letter`; False when it was there with another content.

        The Date is when the message is written (RFC 5322 3.6.1) and stands first, apart from the letter.
        """
        path = self._folder / name
        if path.exists():
            return path.read_bytes().partition(b"\r\n")[2] == letter
        rising = self._folder / f".{name}.part"
        with rising.open("wb") as file:
            file.write(f"Date: {format_datetime(self._clock())}\r\n".encode() + letter)
            file.flush()
            os.fsync(file.fileno())
        rising.replace(path)
        return True


def make(settings: EspSettings) -> Outbox:
    """The outbox in the operator's folder. Raises `emails.esp.settings.EspSettingsError`."""
    return Outbox(settings.outbox_folder, settings.limited(CAPABILITIES))


def file_name(delivery_id: str) -> str:
    """The file of one delivery. Ids of other characters than ours get a name that is as unique."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,120}", delivery_id):
        return f"{delivery_id}.eml"
    return f"{hashlib.sha256(delivery_id.encode()).hexdigest()}.eml"


def _accepted(request: Request) -> Answer:
    return Answer(
        kind=AnswerClass.ACCEPTED,
        receipts=tuple(
            Receipt(
                delivery_id=person.delivery_id,
                state=DeliveryState.ACCEPTED,
                provider_id=file_name(person.delivery_id),
            )
            for person in request.recipients
        ),
    )


def _stopped(written: int, error: str) -> Answer:
    """Before the first file nothing happened; after it a repeat has to finish the batch."""
    return Answer(kind=AnswerClass.UNCERTAIN if written else AnswerClass.NOT_SENT, error=error)


def _packed(letters: Sequence[tuple[str, bytes]]) -> bytes:
    """A line of JSON with names and lengths, then the letters one after the other."""
    index = json.dumps([[name, len(letter)] for name, letter in letters])
    return b"".join([index.encode(), b"\n", *(letter for _, letter in letters)])


def _unpacked(body: bytes) -> Iterator[tuple[str, bytes]]:
    index, _, rest = body.partition(b"\n")
    start = 0
    for name, length in json.loads(index):
        yield name, rest[start : start + length]
        start += length


def _sync_folder(folder: Path) -> None:
    """New names in a folder are durable only once the folder itself is synced (fsync(2))."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
