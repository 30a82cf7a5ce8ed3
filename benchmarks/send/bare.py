"""The bare durable sender: the least that could be called honest, to measure weekbrief against.

It reads people from SQLite, makes the same batches of the same payloads as weekbrief, signs a token a recipient,
keeps a row a recipient (who wants to say afterwards who got what must), posts with httpx, and makes one fully
synced commit before and one after each call. It has no consent check, no retry, no doubt, no lease, no freezing,
no configuration and no letter of its own.

There are two. The plain one signs with `hmac` and lets `json` write what differs by person; the letter itself is
spliced, as nobody would encode 20 kB again for each. With `--tuned` it is as quick as we know how to make it: `json`
writes nothing, and a keyed hash that is started once signs. That is the harder measure: what remains between it and
weekbrief is what weekbrief does more.
"""

from __future__ import annotations

import argparse
import hmac
import json
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

import httpx

Row = tuple[int, str]

SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY, first INTEGER, last INTEGER, state TEXT);
CREATE TABLE IF NOT EXISTS sent (id INTEGER PRIMARY KEY, batch INTEGER, state TEXT, provider_id TEXT);
"""


def send(
    people: Path, template: Path, url: str, *, style: str, batch: int, tuned: bool, limit: int | None
) -> None:
    """Send to everyone in `people` (a table `person(id, address)`), `batch` a call."""
    pieces = json.loads(template.read_text("utf-8"))
    makers = {"full": (partial(_full, signed=_plain_tokens), _full), "merge": (_plain_merge, _merge)}
    build = makers[style][tuned](pieces)
    database = sqlite3.connect(people, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA synchronous = full")
    database.executescript(SCHEMA)
    last, left = 0, limit or sys_maxsize
    with httpx.Client(timeout=60, trust_env=False) as client:
        while left and (chunk := _next(database, last, min(batch, left))):
            first, last = chunk[0][0], chunk[-1][0]
            left -= len(chunk)
            body = build(chunk)
            number = _before(database, first, last)
            answer = client.post(url + pieces["path"], content=body, headers=pieces["headers"])
            answer.raise_for_status()
            _after(database, number, first, last, answer.json(), chunk)
    database.close()


sys_maxsize = 2**63 - 1


def _next(database: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    query = "SELECT id, address FROM person WHERE id > ? ORDER BY id LIMIT ?"
    return database.execute(query, (after, limit)).fetchall()


def _before(database: sqlite3.Connection, first: int, last: int) -> int:
    database.execute("BEGIN IMMEDIATE")
    made = database.execute("INSERT INTO batch (first, last, state) VALUES (?, ?, 'sending')", (first, last))
    number = made.lastrowid or 0
    database.execute(
        "INSERT INTO sent (id, batch, state) SELECT id, ?, 'sending' FROM person WHERE id BETWEEN ? AND ?",
        (number, first, last),
    )
    database.execute("COMMIT")
    return number


def _after(
    database: sqlite3.Connection,
    number: int,
    first: int,
    last: int,
    answer: dict[str, object],
    chunk: Sequence[Row],
) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE batch SET state = 'sent' WHERE id = ?", (number,))
    data = answer.get("data")
    if isinstance(data, list):
        database.executemany(
            "UPDATE sent SET state = 'sent', provider_id = ? WHERE id = ?",
            [(item["id"], row[0]) for item, row in zip(data, chunk, strict=True)],
        )
    else:
        database.execute(
            "UPDATE sent SET state = 'sent', provider_id = ? WHERE id BETWEEN ? AND ?",
            (answer["id"], first, last),
        )
    database.execute("COMMIT")


def _plain_tokens(secret: bytes) -> Callable[[int], str]:
    def token(number: int) -> str:
        code = hmac.new(secret, b"%d" % number, "sha256").digest()[:18]
        return f"{urlsafe_b64encode(code).decode('ascii')}{number:x}"

    return token


def _plain_merge(pieces: dict[str, object]) -> Callable[[Sequence[Row]], bytes]:
    """One body for all, with the recipients' own values as JSON."""
    before, between, each, end = (str(piece) for piece in pieces["frame"])  # type: ignore[attr-defined]
    token = _plain_tokens(b"bare")

    def build(chunk: Sequence[Row]) -> bytes:
        values = {
            address: {
                "delivery": f"{number:032x}",
                "unsubscribe": f"{pieces['unsubscribe_base']}{token(number)}",
            }
            for number, address in chunk
        }
        inside = json.dumps(values, ensure_ascii=False, separators=(",", ":"))[1:-1]
        to = each.join([address for _, address in chunk])
        return f"{before}{inside}{between}{to}{end}".encode()

    return build


def _tokens(secret: bytes) -> Callable[[int], str]:
    keyed = blake2b(key=secret, digest_size=18)

    def token(number: int) -> str:
        code = keyed.copy()
        code.update(b"%d" % number)
        return f"{urlsafe_b64encode(code.digest()).decode('ascii')}{number:x}"

    return token


def _full(
    pieces: dict[str, object], *, signed: Callable[[bytes], Callable[[int], str]] = _tokens
) -> Callable[[Sequence[Row]], bytes]:
    """One message a recipient: `pieces["cut"]` alternates text and the name of what goes there."""
    texts = [piece.encode() for piece in pieces["cut"][::2]]  # type: ignore[index]
    names = pieces["cut"][1::2]  # type: ignore[index]
    token, base = signed(b"bare"), pieces["unsubscribe_base"]

    def build(chunk: Sequence[Row]) -> bytes:
        parts = []
        for number, address in chunk:
            values = {
                "address": address.encode(),
                "unsubscribe": f"{base}{token(number)}".encode(),
                "delivery": b"%032x" % number,
            }
            parts.append(b"," if parts else b"[")
            for text, name in zip(texts, names, strict=False):
                parts += (text, values[name])
            parts.append(texts[-1])
        parts.append(b"]")
        return b"".join(parts)

    return build


def _merge(pieces: dict[str, object]) -> Callable[[Sequence[Row]], bytes]:
    """One body for all: `pieces["frame"]` is what stands before the variables, between the variables and the
    recipients, between recipients, and at the end."""
    before, between, each, end = (str(piece) for piece in pieces["frame"])  # type: ignore[attr-defined]
    token, base = _tokens(b"bare"), pieces["unsubscribe_base"]

    def build(chunk: Sequence[Row]) -> bytes:
        values = ",".join(
            [
                f'"{address}":{{"delivery":"{number:032x}","unsubscribe":"{base}{token(number)}"}}'
                for number, address in chunk
            ]
        )
        to = each.join([address for _, address in chunk])
        return f"{before}{values}{between}{to}{end}".encode()

    return build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path)
    parser.add_argument("template", type=Path)
    parser.add_argument("url")
    parser.add_argument("--style", choices=("full", "merge"), required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    send(
        options.people,
        options.template,
        options.url,
        style=options.style,
        batch=options.batch,
        tuned=options.tuned,
        limit=options.limit,
    )


if __name__ == "__main__":
    main()
