"""What the sandbox keeps: every accepted call, durable before it is answered.

A call is one transaction, synced to disk (SQLite, `synchronous=FULL`): a killed process leaves whole calls
and nothing else. The body of a call is kept once, compressed; a row per message points into it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

_SCHEMA = """
create table if not exists call (
    id integer primary key,
    key text unique,
    body_sha256 text not null,
    body blob not null,
    received_at text not null
);
create table if not exists message (
    number integer primary key,
    id text not null unique,
    call integer not null references call (id),
    position integer not null,
    recipient text not null,
    subject text not null,
    edition text not null,
    delivery text not null,
    received_at text not null
);
create index if not exists message_call on message (call);
create index if not exists message_edition on message (edition, number);
create index if not exists message_recipient on message (recipient);
"""


class ChangedBody(Exception):
    """A key came back with another body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message in a list."""

    number: int
    """Counts up in the order of arrival."""
    id: str
    to: str
    subject: str
    edition: str
    delivery: str
    received_at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One message, whole."""

    line: Line
    message: Mapping[str, Any]
    """As it came over the wire: from, to, subject, html, text, headers, tags."""
    key: str | None
    """Idempotency key of the call that brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    calls: int
    messages: int
    recipients: int
    """Different addresses."""
    editions: Mapping[str, int]
    """Messages by edition, the newest edition first."""


class SandboxRecord:
    """The sandbox's memory in one SQLite file. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises OSError and `sqlite3.DatabaseError` when that does not work."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise

    def __enter__(self) -> SandboxRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def accept(self, messages: Sequence[Mapping[str, Any]], body: bytes, key: str | None) -> list[str]:
        """Keep the messages of one call and give their ids, in order.

        A known key with the same `body` gives the ids of the first time and keeps nothing new; with
        another body it raises `ChangedBody`.
        """
        digest = hashlib.sha256(body).hexdigest()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._db.execute("begin immediate")
            try:
                known = self._known(key, digest)
                ids = self._keep(messages, body, digest, key, now) if known is None else known
                self._db.execute("commit")
            except BaseException:
                self._db.execute("rollback")
                raise
        return ids

    def page(
        self, *, limit: int = 100, before: int | None = None, edition: str = "", words: str = ""
    ) -> list[Line]:
        """The newest first, older than number `before`; `words` are sought in address and subject."""
        where, values = ["1"], []
        for condition, value in (("number < ?", before), ("edition = ?", edition or None)):
            if value is not None:
                where.append(condition)
                values.append(value)
        for word in words.split():
            where.append("(recipient || ' ' || subject) like ? escape '\\'")
            values.append(f"%{_literal(word)}%")
        rows = self._all(
            f"select * from message where {' and '.join(where)} order by number desc limit ?",  # noqa: S608
            (*values, limit),
        )
        return [_line(row) for row in rows]

    def find(self, message_id: str) -> Stored | None:
        """The message with this id, or None."""
        rows = self._all(
            "select message.*, call.key, call.body from message join call on call.id = message.call"
            " where message.id = ?",
            (message_id,),
        )
        if not rows:
            return None
        sent = json.loads(zlib.decompress(rows[0]["body"]))
        message = sent[rows[0]["position"]] if isinstance(sent, list) else sent
        return Stored(line=_line(rows[0]), message=message, key=rows[0]["key"])

    def counts(self) -> Counts:
        """How much has arrived."""
        totals = self._all(
            "select (select count(*) from call) as calls, count(*) as messages,"
            " count(distinct recipient) as recipients from message"
        )[0]
        editions = self._all(
            "select edition, count(*) as messages from message group by edition order by edition desc"
        )
        return Counts(
            calls=totals["calls"],
            messages=totals["messages"],
            recipients=totals["recipients"],
            editions={row["edition"]: row["messages"] for row in editions},
        )

    def newest(self) -> int:
        """Number of the newest message, 0 when there is none."""
        return int(self._all("select coalesce(max(number), 0) as newest from message")[0]["newest"])

    def _known(self, key: str | None, digest: str) -> list[str] | None:
        if key is None:
            return None
        call = self._db.execute("select id, body_sha256 from call where key = ?", (key,)).fetchone()
        if call is None:
            return None
        if call["body_sha256"] != digest:
            raise ChangedBody
        rows = self._db.execute("select id from message where call = ? order by position", (call["id"],))
        return [row["id"] for row in rows]

    def _keep(
        self, messages: Sequence[Mapping[str, Any]], body: bytes, digest: str, key: str | None, now: str
    ) -> list[str]:
        call = self._db.execute(
            "insert into call (key, body_sha256, body, received_at) values (?, ?, ?, ?)",
            (key, digest, zlib.compress(body, 1), now),
        ).lastrowid
        ids = [str(uuid.uuid4()) for _ in messages]
        self._db.executemany(
            "insert into message (id, call, position, recipient, subject, edition, delivery, received_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    message_id,
                    call,
                    position,
                    _recipients(message),
                    str(message.get("subject", "")),
                    _tag(message, "edition"),
                    _tag(message, "delivery"),
                    now,
                )
                for position, (message_id, message) in enumerate(zip(ids, messages, strict=True))
            ],
        )
        return ids

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def _line(row: sqlite3.Row) -> Line:
    return Line(
        number=row["number"],
        id=row["id"],
        to=row["recipient"],
        subject=row["subject"],
        edition=row["edition"],
        delivery=row["delivery"],
        received_at=row["received_at"],
    )


def _recipients(message: Mapping[str, Any]) -> str:
    to = message["to"]
    return to if isinstance(to, str) else ", ".join(to)


def _tag(message: Mapping[str, Any], name: str) -> str:
    for tag in message.get("tags") or ():
        if isinstance(tag, Mapping) and tag.get("name") == name:
            return str(tag.get("value", ""))
    return ""


def _literal(word: str) -> str:
    """`word` without a meaning to LIKE."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
