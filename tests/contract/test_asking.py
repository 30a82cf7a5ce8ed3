"""Asking each provider for what it would have reported: real HTTP to a server that answers as its documents
say, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from emails.delivery import Esp
from emails.esp import make_esp, provider_names
from emails.events import Event, EventKind
from emails.events.asking import EVER, FIRST_TIME, OVERLAP, pull, puller
from tests.fault_esp import FaultServer, Received, Script, says
from tests.webhooks import About, providers

NOW = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
ENV = {
    "MAILGUN_API_KEY": "canary-key",
    "MAILGUN_DOMAIN": "mg.example.org",
    "POSTMARK_SERVER_TOKEN": "canary-key",
    "SENDGRID_API_KEY": "canary-key",
    "BREVO_API_KEY": "canary-key",
    "MAILJET_API_KEY": "canary-user",
    "MAILJET_SECRET_KEY": "canary-key",
    "SPARKPOST_API_KEY": "canary-key",
    "MAILERSEND_API_KEY": "canary-key",
    "AWS_ACCESS_KEY_ID": "AKIACANARY",
    "AWS_SECRET_ACCESS_KEY": "canary-key",
    "AWS_REGION": "eu-central-1",
    "RESEND_API_KEY": "canary-key",
    "LETTERMINT_TOKEN": "canary-key",
}


@contextmanager
def asked(name: str, tmp_path: Path, *scripts: Script) -> Iterator[tuple[Esp, FaultServer]]:
    with FaultServer(scripts) as server:
        esp = make_esp(name, base_url=server.url, env=ENV, outbox_folder=tmp_path)
        try:
            yield esp, server
        finally:
            esp.close()


def queries(server: FaultServer) -> list[tuple[str, dict[str, str]]]:
    """Path and query of each call, in order."""
    found = []
    for call in server.received:
        method, target, _ = call.line.split(" ")
        assert method == "GET"
        parts = urlsplit(target)
        found.append((parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}))
    return found


def told(events: Any) -> list[tuple[Any, ...]]:
    return [(event.kind, event.because, event.address, event.delivery_id) for event in events]


HARD, SPAM, LEFT = EventKind.HARD_BOUNCE, EventKind.COMPLAINT, EventKind.UNSUBSCRIBED
LISTED = EventKind.REJECTED


def test_mailgun_s_log_is_read_page_by_page_at_our_own_address(tmp_path: Path) -> None:
    mailgun, about = providers()["mailgun"], About()
    one, two = (
        mailgun.body(mailgun.words[kind], about)["event-data"] for kind in ("hard_bounce", "delivered")
    )
    elsewhere = "https://evil.example/v3/mg.example.org/events/W3siY=="
    pages = [
        {"items": [one], "paging": {"next": elsewhere}},
        {"items": [two], "paging": {"next": elsewhere}},
        {"items": []},
    ]
    with asked("mailgun", tmp_path, *(says(200, page) for page in pages)) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert pulled.error is None
    assert told(pulled.events) == [
        (HARD, None, None, about.delivery),
        (EventKind.DELIVERED, None, None, about.delivery),
    ]
    (path, query), second, _ = queries(server)
    assert path == "/v3/mg.example.org/events"
    assert query["begin"] == f"{(NOW - FIRST_TIME).timestamp():.0f}"
    assert second[0] == "/v3/mg.example.org/events/W3siY=="
    assert datetime.fromisoformat(pulled.cursor) == NOW - OVERLAP


def test_mailgun_s_lists_are_read_when_all_there_ever_was_is_asked_for(tmp_path: Path) -> None:
    def answer(wire: Any, request: Received) -> bool:
        target = urlsplit(request.line.split(" ")[1])
        first = "address" not in target.query
        if target.path.endswith("bounces") and first:
            following = "https://api.mailgun.net/v3/mg.example.org/bounces?page=next&address=a%40example.org&limit=1000"
            body: Any = {
                "items": [
                    {
                        "address": "a@example.org",
                        "error": "550",
                        "created_at": "Mon, 23 Nov 2026 10:00:00 UTC",
                    }
                ],
                "paging": {"next": following},
            }
        elif target.path.endswith("complaints") and first:
            body = {"items": [{"address": "b@example.org"}]}
        else:
            body = {"items": []}
        return bool(says(200, body)(wire, request))

    with asked("mailgun", tmp_path, answer) as (esp, _server):
        pulled = pull(esp, cursor=EVER.isoformat(), now=NOW, deadline=20)
    assert told(pulled.events) == [
        (LISTED, HARD, "a@example.org", None),
        (LISTED, SPAM, "b@example.org", None),
    ]
    assert pulled.events[0].occurred_at == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_sparkpost_s_events(tmp_path: Path) -> None:
    sparkpost, about = providers()["sparkpost"], About()
    inner = [
        sparkpost.body(sparkpost.words[kind], about)["msys"]["message_event"]
        for kind in ("hard_bounce", "delivered")
    ]
    pages = [
        {
            "results": inner[:1],
            "links": [{"rel": "next", "href": "/api/v1/events/message?cursor=WyIx&per_page=250"}],
        },
        {"results": inner[1:], "links": []},
    ]
    with asked("sparkpost", tmp_path, *(says(200, page) for page in pages)) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert [event.kind for event in pulled.events] == [HARD, EventKind.DELIVERED]
    (_, first), (_, second) = queries(server)
    assert (first["cursor"], second["cursor"]) == ("initial", "WyIx")
    assert first["from"] == "2026-11-20T06:00", "it keeps ten days"


def test_sendgrid_s_four_lists(tmp_path: Path) -> None:
    entry = {
        "created": 1_795_000_000,
        "email": "A@example.org",
        "reason": "550 <a@example.org> unknown",
        "status": "5.1.1",
    }
    scripts = [says(200, [entry] * 500), says(200, []), says(200, []), says(200, [entry]), says(200, [entry])]
    with asked("sendgrid", tmp_path, *scripts) as (esp, server):
        pulled = pull(esp, cursor=(NOW - timedelta(days=2)).isoformat(), now=NOW, deadline=20)
    assert told(pulled.events)[-2:] == [
        (LISTED, SPAM, "A@example.org", None),
        (LISTED, LEFT, "A@example.org", None),
    ]
    assert len({event.key for event in pulled.events}) == 3
    assert "@" not in pulled.events[0].detail
    paths = [path.rpartition("/")[2] for path, _ in queries(server)]
    assert paths == ["bounces", "bounces", "invalid_emails", "spam_reports", "unsubscribes"]
    assert queries(server)[1][1] == {
        "start_time": f"{(NOW - timedelta(days=2)).timestamp():.0f}",
        "limit": "500",
        "offset": "500",
    }


def test_postmark_s_suppressions(tmp_path: Path) -> None:
    entries = [
        {
            "EmailAddress": "a@example.org",
            "SuppressionReason": "HardBounce",
            "Origin": "Recipient",
            "CreatedAt": "2026-11-29T08:58:33-05:00",
        },
        {
            "EmailAddress": "b@example.org",
            "SuppressionReason": "SpamComplaint",
            "Origin": "Recipient",
            "CreatedAt": "2026-11-29T08:58:33-05:00",
        },
        {
            "EmailAddress": "c@example.org",
            "SuppressionReason": "ManualSuppression",
            "Origin": "Recipient",
            "CreatedAt": "2026-11-29",
        },
        {
            "EmailAddress": "d@example.org",
            "SuppressionReason": "ManualSuppression",
            "Origin": "Customer",
            "CreatedAt": "2026-11-29",
        },
    ]
    with asked("postmark", tmp_path, says(200, {"Suppressions": entries})) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert told(pulled.events) == [
        (LISTED, HARD, "a@example.org", None),
        (LISTED, SPAM, "b@example.org", None),
        (LISTED, LEFT, "c@example.org", None),
    ]
    assert pulled.events[0].occurred_at == datetime(2026, 11, 29, 13, 58, 33, tzinfo=UTC)
    assert queries(server) == [("/message-streams/broadcast/suppressions/dump", {"fromdate": "2026-10-30"})]
    assert server.received[0].headers["x-postmark-server-token"] == "canary-key"


def test_brevo_s_blocked_contacts(tmp_path: Path) -> None:
    def entry(code: str) -> dict[str, Any]:
        return {
            "email": f"{code.lower()}@example.org",
            "reason": {"code": code, "message": "x"},
            "blockedAt": "2026-11-20T10:00:00Z",
        }

    codes = ("hardBounce", "contactFlaggedAsSpam", "unsubscribedViaEmail", "adminBlocked")
    with asked("brevo", tmp_path, says(200, {"contacts": [entry(code) for code in codes], "count": 4})) as (
        esp,
        server,
    ):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert [event.because for event in pulled.events] == [HARD, SPAM, LEFT]
    assert queries(server)[0][1] == {
        "startDate": "2026-10-31",
        "endDate": "2026-11-30",
        "limit": "100",
        "offset": "0",
    }


def test_mailjet_s_messages_name_our_deliveries(tmp_path: Path) -> None:
    about = About()
    states = ("sent", "hardbounced", "softbounced", "spam", "blocked", "queued")
    rows = [
        {
            "ID": 100 + n,
            "Status": state,
            "CustomID": f"{about.edition}.{about.delivery}",
            "ArrivedAt": "2026-11-29T07:30:00Z",
        }
        for n, state in enumerate(states)
    ]
    rows.append({"ID": 7, "Status": "spam", "CustomID": "of another program"})
    with asked("mailjet", tmp_path, says(200, {"Count": len(rows), "Data": rows})) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert [event.kind for event in pulled.events] == [
        EventKind.DELIVERED,
        HARD,
        EventKind.SOFT_BOUNCE,
        SPAM,
        LISTED,
    ]
    assert {(event.edition, event.delivery_id) for event in pulled.events} == {
        (about.edition, about.delivery)
    }
    assert queries(server)[0][1]["ShowCustomID"] == "true"


def test_mailersend_s_lists_from_the_cursor_on(tmp_path: Path) -> None:
    new, old = (
        {"id": "x", "created_at": at, "reason": "550", "recipient": {"email": "a@example.org"}}
        for at in ("2026-11-29T10:00:00.000000Z", "2026-01-01T10:00:00.000000Z")
    )
    scripts = [says(200, {"data": [new, old]}), says(200, {"data": [old]}), says(200, {"data": [new]})]
    with asked("mailersend", tmp_path, *scripts) as (esp, server):
        pulled = pull(esp, cursor="2026-11-28T00:00:00+00:00", now=NOW, deadline=20)
    assert [event.because for event in pulled.events] == [HARD, LEFT]
    assert [path.rpartition("/")[2] for path, _ in queries(server)] == [
        "hard-bounces",
        "spam-complaints",
        "unsubscribes",
    ]


def test_ses_s_suppressed_destinations(tmp_path: Path) -> None:
    pages = [
        {
            "SuppressedDestinationSummaries": [
                {"EmailAddress": "a@example.org", "Reason": "BOUNCE", "LastUpdateTime": 1_795_000_000.5}
            ],
            "NextToken": "t+/=",
        },
        {
            "SuppressedDestinationSummaries": [
                {"EmailAddress": "b@example.org", "Reason": "COMPLAINT", "LastUpdateTime": 1_795_000_000}
            ]
        },
    ]
    with asked("ses", tmp_path, *(says(200, page) for page in pages)) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert told(pulled.events) == [
        (LISTED, HARD, "a@example.org", None),
        (LISTED, SPAM, "b@example.org", None),
    ]
    assert queries(server)[1][1]["NextToken"] == "t+/="
    assert server.received[0].headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIACANARY/")


ASKED = [name for name in provider_names() if puller(name)]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize(
    "script",
    [
        says(401, {"message": "canary-key is wrong for a@example.org"}),
        says(500, b"oops"),
        says(200, b"<html>log in</html>", {"Content-Type": "text/html"}),
        says(200, {"odd": 1}),
        says(200, [1]),
        says(302, b"", {"Location": "https://evil.example/"}),
    ],
    ids=["401", "500", "html", "odd", "list", "redirect"],
)
def test_what_is_no_answer_is_an_error_and_never_an_exception(
    name: str, script: Script, tmp_path: Path
) -> None:
    with asked(name, tmp_path, script) as (esp, _server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=20)
    assert pulled.error
    assert not pulled.cursor, "what was not told is asked for again"
    assert "canary" not in pulled.error
    assert "@" not in pulled.error


@pytest.mark.parametrize("name", ASKED)
def test_a_list_without_end_ends(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gives the same full page for ever."""
    from importlib import import_module

    module = import_module(f"emails.events.{name}")
    for holder in (module, import_module("emails.events.asking")):
        if hasattr(holder, "MAX_PAGES"):
            monkeypatch.setattr(holder, "MAX_PAGES", 3)
    if name == "postmark":
        pytest.skip("its list comes in one piece")
    full = [
        {
            "email": "a@example.org",
            "created": 1,
            "recipient": {"email": "a@example.org"},
            "reason": {"code": "hardBounce"},
        }
    ] * getattr(module, "_PAGE", 1)
    page: Any = {
        "items": full,
        "results": full,
        "contacts": full,
        "Data": full,
        "data": full,
        "SuppressedDestinationSummaries": full,
        "NextToken": "again",
        "paging": {"next": "https://x.example/abc"},
        "links": [{"rel": "next", "href": "/x?cursor=again"}],
    }
    body = full if name == "sendgrid" else page
    with asked(name, tmp_path, says(200, json.dumps(body).encode())) as (esp, server):
        pulled = pull(esp, cursor=None, now=NOW, deadline=60)
    assert "too long" in (pulled.error or "")
    assert pulled.cursor == ""
    assert len(server.received) <= 5


@pytest.mark.parametrize("name", ["resend", "lettermint", "outbox"])
def test_who_cannot_be_asked_says_so(name: str, tmp_path: Path) -> None:
    assert puller(name) is None
    with asked(name, tmp_path, says(200, {})) as (esp, server):
        assert "cannot be asked" in (pull(esp, cursor=None, now=NOW, deadline=5).error or "")
    assert server.received == []


def test_an_address_never_shows_in_a_repr() -> None:
    event = Event(provider="x", key="k", kind=HARD, address="a@example.org")
    assert "a@example.org" not in repr(event)
