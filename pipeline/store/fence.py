"""The fence: a small file beside the database that remembers how far sending got.

A database that was restored from a backup does not know what it sent after the backup was made. The fence
does: it is written after each intent and before the request, so in ordinary life the database is never
behind it. It also knows its own inode: a copied or restored folder has another one. What it notices is
never repaired by itself; a person says `weekbrief release --confirm`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

SLOT_BYTES = 512
"""One disk sector: a write of one is not torn by a power cut on ordinary disks."""

NAME = "sending.fence"
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What the fence remembers."""

    installation: str
    ledger_seq: int
    inode: int


class Fence:
    """The fence file of one state folder. Thread-safe; one synced write each time `raise_to` moves it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._lock = Lock()
        self._highest = -1
        self._place: int | None = None

    def read(self) -> Mark | None:
        """The newest whole mark, or None when nothing was ever sent from here."""
        return max(filter(None, self._marks()), key=lambda mark: mark.ledger_seq, default=None)

    def problem(self, *, installation: str, ledger_seq: int) -> str | None:
        """Why nothing may be sent from this database, in words for a person; None when all is well."""
        mark = self.read()
        if mark is None:
            return None
        if mark.installation != installation:
            return (
                f"letters were sent from this folder by another database (installation {mark.installation}, "
                f"this one is {installation}): point `storage:` back to it"
            )
        if mark.ledger_seq > ledger_seq:
            return (
                f"this database ends at step {ledger_seq}, but sending got to step {mark.ledger_seq}: "
                "it is older than what was sent from it, as after restoring a backup"
            )
        if mark.inode != self._path.stat().st_ino:
            return "this folder is a copy or was restored: its original may be sending too"
        return None

    def begin(self, *, installation: str) -> None:
        """Stand from the first day on: a copy of the folder is one before anything was sent, too."""
        if not self._path.exists():
            self.raise_to(installation=installation, ledger_seq=0)

    def raise_to(self, *, installation: str, ledger_seq: int) -> None:
        """Remember, synced, that sending got this far. Never moves back."""
        with self._lock:
            if ledger_seq <= self._highest:
                return
            self._write(installation, ledger_seq)
            self._highest = ledger_seq

    def adopt(self, *, installation: str, ledger_seq: int) -> None:
        """Start anew from this database: a person has said that it is the right one."""
        with self._lock:
            self._path.unlink(missing_ok=True)
            self._place = None
            self._write(installation, ledger_seq)
            self._highest = ledger_seq

    def _marks(self) -> tuple[Mark | None, Mark | None]:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None, None
        return _parse(content[:SLOT_BYTES]), _parse(content[SLOT_BYTES:])

    def _older_place(self) -> int:
        first, second = self._marks()
        return 0 if first is None or (second is not None and first.ledger_seq < second.ledger_seq) else 1

    def _write(self, installation: str, ledger_seq: int) -> None:
        """Into the older of two places, so that one whole mark always stands."""
        handle, new = self._opened()
        try:
            inode = os.fstat(handle).st_ino
            mark = Mark(installation=installation, ledger_seq=ledger_seq, inode=inode)
            self._place = self._older_place() if self._place is None else 1 - self._place
            os.pwrite(handle, _slot(mark), self._place * SLOT_BYTES)
            os.fdatasync(handle)
        finally:
            os.close(handle)
        if new:
            _sync_folder(self._path.parent)

    def _opened(self) -> tuple[int, bool]:
        """The file, ready to be written, and whether it was made for that."""
        try:
            return os.open(self._path, os.O_RDWR), False
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), True


def machine_fingerprint() -> str | None:
    """A hash that tells this machine from another; None where the system has no name of its own."""
    try:
        name = _MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return hashlib.sha256(b"weekbrief machine\0" + name.encode()).hexdigest() if name else None


def _slot(mark: Mark) -> bytes:
    values = {"inode": mark.inode, "installation": mark.installation, "ledger_seq": mark.ledger_seq}
    text = json.dumps(values, sort_keys=True)
    line = f"{text}\t{_digest(text)}\n".encode()
    return line.ljust(SLOT_BYTES, b" ")


def _parse(slot: bytes) -> Mark | None:
    text, _, digest = slot.decode("utf-8", "replace").strip().partition("\t")
    if not text or digest != _digest(text):
        return None
    return Mark(**json.loads(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
