"""A newsletter with many subscribers, and the same people for the bare sender. Run in a process of its own, so
that the memory it takes is not counted against anyone.

    python -m benchmarks.send.prepare people FOLDER NUMBER STORAGE
    python -m benchmarks.send.prepare template FOLDER full|merge
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from emails.delivery import Recipient
from emails.esp.mailgun import CAPABILITIES as MAILGUN
from emails.esp.mailgun import MailgunDialect
from emails.esp.resend import CAPABILITIES as RESEND
from emails.esp.resend import ResendDialect
from pipeline.store import open_store, tables
from pipeline.store.editions import mailing_from_json

JOINED = datetime(2026, 1, 5, 12, tzinfo=UTC)
CHUNK = 10_000

SCHEDULE = """\
newsletter:
  name: Stille post
  sender: Marijke <brief@stillepost.example>
  language: nl
  address: Dorpsstraat 1, Utrecht
  url: https://brief.stillepost.example
sources:
  - folder: posts
schedule:
  every: week
  on: sunday
  at: "08:00"
  timezone: Europe/Amsterdam
provider:
  name: {provider}
  base_url: {base_url}
  timeout: 60s
{more}storage: {storage}
"""

SAMPLES = Path(__file__).parents[2] / "pipeline" / "samples" / "posts"
QUESTION = "Wat draag jij nog met je mee dat je allang had kunnen neerzetten?"
LETTER = 3_500
"""Characters of the example that make a letter of 20 kB as the provider gets it, HTML and text together."""


def post() -> str:
    """A post with a long example, made of real ones: the running text of our samples."""
    paragraphs = [
        " ".join(block.split())
        for path in sorted(SAMPLES.glob("*.md"))
        for block in path.read_text("utf-8").partition("\n---\n")[2].split("\n\n")
        if block.strip()[:1].isalpha() and not set(block) & set('*_[<"\\?')
    ]
    chosen: list[str] = []
    while sum(map(len, chosen)) < LETTER:
        chosen.append(paragraphs.pop(0))
    example = "\n\n".join(chosen)
    front = {"title": "De tas bij de deur", "date": "2026-09-06", "question": QUESTION, "example": example}
    lines = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in front.items())
    return f"---\n{lines}---\nSoms dragen we meer dan we merken.\n\n{example}\n\n{QUESTION}\n"


def write_folder(folder: Path, *, provider: str, base_url: str, storage: str, more: str = "") -> None:
    """schedule.yaml and one post. `more` are further lines of `provider:`."""
    (folder / "posts").mkdir(parents=True, exist_ok=True)
    (folder / "posts" / "de-tas.md").write_text(post(), "utf-8")
    values = {"provider": provider, "base_url": base_url, "storage": storage, "more": more}
    (folder / "schedule.yaml").write_text(SCHEDULE.format(**values), "utf-8")


def fill(folder: Path, number: int, storage: str) -> None:
    """`number` active subscribers with their consent in `storage`, and the same people in `bare.db`."""
    store = open_store(storage, now=JOINED)
    with store.engine.begin() as connection:
        for people in _chunks(number):
            connection.execute(insert(tables.subscriber), list(map(_subscriber, people)))
            connection.execute(insert(tables.consent), list(map(_consent, people)))
    store.close()
    bare = folder / "bare.db"
    bare.unlink(missing_ok=True)
    with sqlite3.connect(bare) as database:
        database.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, address TEXT)")
        for people in _chunks(number):
            database.executemany("INSERT INTO person VALUES (?, ?)", ((n, _address(n)) for n in people))
    database.close()


def _chunks(number: int) -> Iterator[range]:
    for first in range(1, number + 1, CHUNK):
        yield range(first, min(first + CHUNK, number + 1))


def _address(number: int) -> str:
    """Spread over the alphabet, as real addresses are: an index meets them in no order."""
    return f"{number * 2_654_435_761 % 2**32:08x}.lezer{number}@mail{number % 97}.example.org"


def _subscriber(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "address": _address(number),
        "address_key": _address(number),
        "name": f"Lezer {number}",
        "language": "nl",
        "state": "active",
        "created_at": JOINED,
        "confirmed_at": JOINED,
    }


def _consent(number: int) -> dict[str, Any]:
    return {
        "subscriber_id": number,
        "kind": "imported",
        "wording": "",
        "source": "benchmark",
        "occurred_at": JOINED,
    }


_MARKS = {
    "address": "wbaddress@example.org",
    "unsubscribe": "https://unsubscribe.example",
    "delivery": "wbdelivery",
}


def template(folder: Path, style: str) -> dict[str, Any]:
    """The bytes that weekbrief sends, cut where recipients differ: for `bare`."""
    store = open_store(f"sqlite:///{folder / 'weekbrief.db'}", now=JOINED)
    with store.engine.begin() as connection:
        mailing = mailing_from_json(connection.execute(select(tables.edition.c.mailing)).scalar_one())
    store.close()
    someone = Recipient(
        delivery_id=_MARKS["delivery"],
        address=_MARKS["address"],
        name="",
        unsubscribe_url=_MARKS["unsubscribe"],
        message_id="<wb@example.org>",
    )
    if style == "full":
        dialect: Any = ResendDialect(base_url="", capabilities=RESEND)
        request = dialect.build(mailing, [someone], "wb1-benchmark")
        marks = {re.escape(mark): name for name, mark in _MARKS.items()}
        found = re.split(f"({'|'.join(marks)})", request.body.decode()[1:-1])
        cut = [marks.get(re.escape(piece), piece) if n % 2 else piece for n, piece in enumerate(found)]
        shape: dict[str, Any] = {"cut": cut}
    else:
        dialect = MailgunDialect(base_url="", domain="mg.example.org", capabilities=MAILGUN)
        request = dialect.build(mailing, [someone], "wb1-benchmark")
        shape = {"frame": _frame(request.body.decode())}
    return {
        **shape,
        "path": request.url,
        "headers": dict(request.headers),
        "unsubscribe_base": "https://brief.stillepost.example/u/",
    }


def _frame(body: str) -> list[str]:
    address = _MARKS["address"]
    variables = f'"{address}":{{"delivery":"{_MARKS["delivery"]}","unsubscribe":"{_MARKS["unsubscribe"]}"}}'
    before, rest = body.split(variables)
    between, end = rest.split(address)
    boundary = body.partition("\r\n")[0]
    each = f'\r\n{boundary}\r\nContent-Disposition: form-data; name="to"\r\n\r\n'
    if not between.endswith(each):
        raise SystemExit("Mailgun's body has another shape than this benchmark knows")
    return [before, between, each, end]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    people = commands.add_parser("people")
    people.add_argument("folder", type=Path)
    people.add_argument("number", type=int)
    people.add_argument("storage")
    cut = commands.add_parser("template")
    cut.add_argument("folder", type=Path)
    cut.add_argument("style", choices=("full", "merge"))
    options = parser.parse_args()
    if options.what == "people":
        fill(options.folder, options.number, options.storage)
    else:
        made = template(options.folder, options.style)
        (options.folder / f"{options.style}.json").write_text(json.dumps(made), "utf-8")


if __name__ == "__main__":
    main()
