"""SMTP against another project's mail server: bytes, TLS, log-in, and who is in doubt after what."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emails.delivery import Answer, AnswerClass, DeliveryState, Recipient, Request, Sought
from emails.edition import UNSUBSCRIBE_URL, Mailing
from emails.esp import EspSettingsError, MissingSecret, make_esp
from emails.esp import smtp as adapter
from emails.esp.smtp import MAX_TRIES, MESSAGES_PER_CONNECTION, Server, Smtp, server_of
from emails.message import HeaderError, build_message
from pipeline.settings_fields import provider_address
from tests.contract.test_http_edge import certificates, served_with  # noqa: F401 - a fixture
from tests.mailings import letter, mailing, people
from tests.smtp_server import CUT, SILENCE, MailServer, RawServer, Step

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

DEADLINE = 10.0
NOW = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)
DATE = b"Date: Sun, 29 Nov 2026 07:00:00 +0000\r\n"
PERSON = people(1)[0]


def speaking_to(port: int, scheme: str = "smtp", **changed: Any) -> Smtp:
    context = changed.pop("context", None)
    server = server_of(f"{scheme}://127.0.0.1:{port}")
    return Smtp(replace(server, **changed), context=context, clock=lambda: NOW)


@contextmanager
def at_work(*steps: Step, **settings: Any) -> Iterator[tuple[Smtp, MailServer]]:
    with MailServer(steps, **settings) as server:
        esp = speaking_to(server.port)
        yield esp, server
        esp.close()


def request(esp: Smtp, person: Recipient = PERSON, sent: Mailing | None = None) -> Request:
    return esp.build(sent or mailing(), [person], "key")


def send(esp: Smtp, person: Recipient = PERSON, *, deadline: float = DEADLINE) -> Answer:
    return esp.submit(request(esp, person), deadline)


def everyone(esp: Smtp, count: int) -> list[Answer]:
    return [send(esp, person) for person in people(count)]


def told(answers: Sequence[Answer]) -> list[AnswerClass]:
    return [answer.kind for answer in answers]


A, R, N, H, U = (
    AnswerClass.ACCEPTED,
    AnswerClass.REFUSED,
    AnswerClass.NOT_SENT,
    AnswerClass.HOLD,
    AnswerClass.UNCERTAIN,
)


# What arrives

DOTS = "From me to you\n.\n..\n.hidden\nFrom the start\n\n.\nlaatste . punt.\n."


@pytest.mark.standard("M-07")
def test_what_leaves_the_socket_is_what_was_built() -> None:
    """Lines that begin with a dot or with "From " included."""
    text = replace(letter(), text=f"{DOTS}\nAfmelden: {UNSUBSCRIBE_URL}\n", html=f"<p>\n{DOTS}\n</p>\n")
    with at_work() as (esp, server):
        assert esp.submit(request(esp, sent=mailing(text=text)), DEADLINE).kind is A
    (taken,) = server.taken
    assert taken.content == DATE + build_message(mailing(text=text), PERSON, date=None)
    assert b"\r\n.\r\n" in taken.content or b"\n=2E" in taken.content
    assert b">From" not in taken.content


@pytest.mark.parametrize("body", [b".\r\n", b"..\r\n.\r\n.x\r\n", b"x\r\n\r\n.\r\n.\r\n"])
def test_dots_survive_the_way(body: bytes) -> None:
    with at_work() as (esp, server):
        raw = replace(request(esp), body=b"Subject: x\r\n\r\n" + body)
        assert esp.submit(raw, DEADLINE).kind is A
    assert server.taken[0].content == DATE + raw.body


@pytest.mark.standard("H-04")
def test_one_transaction_for_each_person_over_one_connection() -> None:
    with at_work() as (esp, server):
        assert told(everyone(esp, 5)) == [A] * 5
    assert [taken.recipients for taken in server.taken] == [(person.address,) for person in people(5)]
    assert {taken.sender for taken in server.taken} == {"brief@voorbeeld.example"}
    assert {taken.connection for taken in server.taken} == {1}
    for taken, person in zip(server.taken, people(5), strict=True):
        assert taken.content.count(b"\r\nTo: ") == 1
        assert f"\r\nTo: {person.address}\r\n".encode() in taken.content
        assert f"List-Unsubscribe: <{person.unsubscribe_url}>\r\n".encode() in taken.content
        assert not re.search(rb"^(Cc|Bcc):", taken.content, re.MULTILINE)


@pytest.mark.standard("D-04")
def test_a_connection_carries_so_many_messages_and_no_more() -> None:
    with at_work() as (esp, server):
        assert told(everyone(esp, MESSAGES_PER_CONNECTION + 1)) == [A] * (MESSAGES_PER_CONNECTION + 1)
    assert MESSAGES_PER_CONNECTION == 20
    assert [taken.connection for taken in server.taken] == [1] * MESSAGES_PER_CONNECTION + [2]


def test_the_servers_own_name_for_the_message_is_kept() -> None:
    with at_work({}, {"after": "250 done"}) as (esp, _):
        first, second = everyone(esp, 2)
    assert [first.receipts[0].provider_id, second.receipts[0].provider_id] == [
        "Q00001",
        people(2)[1].message_id,
    ]


def test_the_size_is_announced() -> None:
    with at_work() as (esp, server):
        send(esp)
    assert server.announced == [f"SIZE={len(server.taken[0].content)}"]


def test_an_international_domain_goes_in_ascii() -> None:
    with at_work() as (esp, server):
        assert send(esp, replace(PERSON, address="lezer@straße.example")).kind is A
    assert server.taken[0].recipients == ("lezer@xn--strae-oqa.example",)


@pytest.mark.fault(132)
@pytest.mark.parametrize(
    "address",
    ["a@b.example>\r\nRCPT TO:<x@y.example", "a b@c.example", "<a@b.example>", "jörg@voorbeeld.example"],
)
def test_an_address_that_is_more_than_one_cannot_be_built(address: str) -> None:
    with pytest.raises(HeaderError):
        request(speaking_to(25), replace(PERSON, address=address))


# The connection


def test_a_connection_the_server_closed_meanwhile_costs_nothing() -> None:
    with at_work() as (esp, server):
        assert send(esp).kind is A
        server.drop_connections()
        assert send(esp, people(2)[1]).kind is A
    assert [taken.connection for taken in server.taken] == [1, 2]


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MAX_IDLE", timedelta(0))
    with at_work() as (esp, server):
        assert told(everyone(esp, 2)) == [A, A]
    assert server.connections == 2


# TLS and log-in


def trusting(folder: Path, name: str = "right") -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / f"{name}.pem")


@pytest.mark.standard("D-01")
@pytest.mark.parametrize("way", ["smtps", "smtp+starttls"])
def test_a_good_certificate_is_taken(certificates: Path, way: str) -> None:  # noqa: F811
    context = served_with(certificates, "right")
    settings = {"tls": context} if way == "smtps" else {"starttls": context}
    with MailServer(login=("brief", "canary"), **settings) as server:
        esp = speaking_to(
            server.port, way, context=trusting(certificates), username="brief", password="canary"
        )
        assert told(everyone(esp, 3)) == [A] * 3
        esp.close()
    assert {(taken.encrypted, taken.user, taken.connection) for taken in server.taken} == {(True, "brief", 1)}


@pytest.mark.standard("D-01")
@pytest.mark.fault(44)
@pytest.mark.parametrize("way", ["smtps", "smtp+starttls"])
@pytest.mark.parametrize("trusted", ["wrong", None], ids=["another name", "nobody we know"])
def test_a_bad_certificate_is_a_hold_and_nothing_leaves(
    certificates: Path,  # noqa: F811
    way: str,
    trusted: str | None,
) -> None:
    context = served_with(certificates, "wrong" if trusted else "right")
    settings = {"tls": context} if way == "smtps" else {"starttls": context}
    with MailServer(**settings) as server:
        esp = speaking_to(server.port, way, context=trusting(certificates, trusted) if trusted else None)
        answer = send(esp)
    assert (answer.kind, answer.in_doubt) == (H, False)
    assert "certificate" in (answer.error or "")
    assert server.messages == 0


@pytest.mark.standard("D-01")
def test_a_server_without_starttls_gets_nothing() -> None:
    with MailServer() as server:
        esp = speaking_to(server.port, "smtp+starttls")
        answer = send(esp)
    assert answer.kind is H
    assert "STARTTLS" in (answer.error or "")
    assert server.messages == 0


def test_words_slipped_in_before_tls_do_not_count(certificates: Path) -> None:  # noqa: F811
    """A man in the middle adds an answer behind "ready for TLS"; under TLS it would be believed."""

    def script(sock: socket.socket) -> None:
        lines = sock.makefile("rb")
        sock.sendall(b"220 mail\r\n")
        lines.readline()
        sock.sendall(b"250-mail\r\n250 STARTTLS\r\n")
        lines.readline()
        sock.sendall(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
        lines.readline()

    with RawServer(script) as server:
        esp = speaking_to(server.port, "smtp+starttls", context=trusting(certificates))
        assert send(esp).kind is N


@pytest.mark.fault(54)
def test_a_wrong_password_is_a_hold_that_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with MailServer(login=("brief", "right")) as server:
        esp = speaking_to(server.port, username="brief", password="canary")
        answer = send(esp)
    assert (answer.kind, answer.in_doubt) == (H, False)
    assert "AUTH" in (answer.error or "")
    assert "canary" not in repr(answer) + repr(esp) + caplog.text + repr(server_of("smtp://127.0.0.1"))
    assert "canary" not in repr(Server(**{**_parts(), "password": "canary"}))


def _parts() -> dict[str, Any]:
    server = server_of("smtp://127.0.0.1:25")
    return {"host": server.host, "port": server.port, "security": server.security}


def test_a_server_that_only_knows_login_is_logged_in_to() -> None:
    said: list[bytes] = []

    def script(sock: socket.socket) -> None:
        lines = sock.makefile("rb")
        answers = [b"220 mail", b"250-mail\r\n250 AUTH LOGIN", b"334 VXNlcg==", b"334 UGFzcw==", b"535 no"]
        for answer in answers:
            sock.sendall(answer + b"\r\n")
            said.append(lines.readline())

    with RawServer(script) as server:
        assert send(speaking_to(server.port, username="brief", password="canary")).kind is H
    assert said[1:4] == [b"AUTH LOGIN\r\n", b"YnJpZWY=\r\n", b"Y2FuYXJ5\r\n"]


def test_log_in_where_none_is_offered_is_a_hold() -> None:
    def script(sock: socket.socket) -> None:
        lines = sock.makefile("rb")
        for answer in (b"220 mail", b"250 mail"):
            sock.sendall(answer + b"\r\n")
            lines.readline()

    with RawServer(script) as server:
        answer = send(speaking_to(server.port, username="brief", password="canary"))
    assert answer.kind is H
    assert "SMTP_USERNAME" in (answer.error or "")


# What the server says


@pytest.mark.fault(58)
@pytest.mark.parametrize("moment", ["RCPT", "message"])
def test_a_refused_person_costs_nobody_else_anything(moment: str) -> None:
    with at_work({}, {moment: "550 5.1.1 <lezer1@voorbeeld.example> no such user"}, {}) as (esp, server):
        answers = everyone(esp, 3)
    assert told(answers) == [A, R, A]
    stage = "RCPT TO" if moment == "RCPT" else "the message"
    assert answers[1].error == f"SMTP 550 to {stage}: 5.1.1 <<address>> no such user"
    assert [taken.recipients for taken in server.taken] == [(people(3)[0].address,), (people(3)[2].address,)]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ({"MAIL": "451 4.3.0 later"}, N),
        ({"MAIL": "550 5.1.8 sender unknown"}, H),
        ({"MAIL": "530 5.7.0 log in first"}, H),
        ({"MAIL": "552 5.3.4 too large"}, H),
        ({"RCPT": "451 4.7.1 too many, later"}, N),
        ({"RCPT": "452 4.3.1 disk full"}, N),
        ({"RCPT": "421 4.3.2 closing"}, N),
        ({"RCPT": "550 5.1.1 no such user"}, R),
        ({"RCPT": "553 bad name"}, R),
        ({"RCPT": "554 5.7.1 Relay access denied"}, H),
        ({"RCPT": "530 5.7.0 log in first"}, H),
        ({"RCPT": "550 5.4.5 Daily sending quota exceeded"}, H),
        ({"message": "451 4.3.0 later"}, N),
        ({"message": "421 4.3.2 closing"}, N),
        ({"message": "554 5.7.1 looks like spam"}, R),
        ({"message": "550 5.7.515 not authenticated"}, H),
        ({"MAIL": CUT}, N),
        ({"RCPT": CUT}, N),
        ({"message": CUT}, U),
        ({"after": CUT}, U),
        ({"message": "what?"}, U),
        ({"after": "354 go on"}, U),
    ],
    ids=str,
)
def test_who_is_in_doubt_after_what(step: Step, kind: AnswerClass) -> None:
    """The one before is accepted, the one after too: no answer speaks of anybody else."""
    with at_work({}, step, {}) as (esp, server):
        answers = everyone(esp, 3)
    assert told(answers) == [A, kind, A]
    assert not answers[1].in_doubt
    assert bool(answers[1].error)
    took = {taken.recipients[0] for taken in server.taken}
    assert (people(2)[1].address in took) == ("after" in step)


@pytest.mark.fault(49)
@pytest.mark.parametrize(("moment", "kind"), [("MAIL", N), ("RCPT", N), ("message", U), ("after", U)])
def test_silence_ends_at_the_deadline(moment: str, kind: AnswerClass) -> None:
    with at_work({moment: SILENCE}) as (esp, _):
        began = time.monotonic()
        assert send(esp, deadline=0.5).kind is kind
        assert time.monotonic() - began < 2


@pytest.mark.fault(49)
@pytest.mark.parametrize("line", [b"220-mail\r\n", b"2"], ids=["lines", "bytes"])
def test_a_greeting_that_never_ends_ends_at_the_deadline(line: bytes) -> None:
    def script(sock: socket.socket) -> None:
        for _ in range(100):
            sock.sendall(line)
            time.sleep(0.05)

    with RawServer(script) as server:
        began = time.monotonic()
        assert send(speaking_to(server.port), deadline=0.5).kind is N
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"", N),
        (b"421 busy\r\n", N),
        (b"554 5.7.1 not you\r\n", H),
        (b"HTTP/1.1 400 Bad Request\r\n", N),
        (b"2" * 10_000, N),
    ],
    ids=["none", "busy", "no", "another protocol", "no end"],
)
def test_greetings(greeting: bytes, kind: AnswerClass) -> None:
    with RawServer(lambda sock: sock.sendall(greeting)) as server:
        assert send(speaking_to(server.port)).kind is kind


@pytest.mark.fault(43)
def test_nobody_there_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = send(speaking_to(port))
    assert answer.kind is N
    assert "cannot be reached" in (answer.error or "")


def test_a_connection_that_breaks_in_the_middle_of_a_message_has_not_sent_it() -> None:
    """Without the final dot a server must not deliver (RFC 5321 4.1.1.4)."""

    def script(sock: socket.socket) -> None:
        lines = sock.makefile("rb")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for answer in (b"220 mail", b"250 mail", b"250 ok", b"250 ok"):
            sock.sendall(answer + b"\r\n")
            lines.readline()
        sock.sendall(b"354 go on\r\n")
        sock.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with RawServer(script) as server:
        esp = speaking_to(server.port)
        heavy = replace(request(esp), body=b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 10_000_000)
        assert esp.submit(heavy, DEADLINE).kind is N


# Put off


def test_a_mailbox_that_is_put_off_again_and_again_holds_nobody_up() -> None:
    later = {"RCPT": "450 4.2.0 greylisted"}
    with at_work(later, later, later, {}) as (esp, server):
        answers = [send(esp) for _ in range(MAX_TRIES)]
        assert told(answers) == [N, N, R]
        assert send(esp, people(2)[1]).kind is A
    assert server.connections == 1


def test_a_mailbox_that_is_put_off_once_gets_its_letter() -> None:
    with at_work({"RCPT": "450 busy"}, {}, {"message": "450 4.2.1 busy"}, {}) as (esp, server):
        assert [send(esp).kind for _ in range(4)] == [N, A, N, A]
    assert len(server.taken) == 2


def test_a_server_that_is_busy_is_never_a_refusal() -> None:
    with at_work(*[{"RCPT": "451 4.7.1 later"}] * 5) as (esp, _):
        assert {send(esp).kind for _ in range(5)} == {N}


# Capabilities and settings


def test_there_is_no_key_no_search_and_one_message_a_batch() -> None:
    esp = speaking_to(25)
    assert (esp.capabilities.keyed, esp.capabilities.search, esp.capabilities.max_batch) == (False, None, 1)
    sought = Sought(installation="i", edition="e", key="k", since=NOW, recipients=[PERSON])
    found = esp.find(sought, 1.0)
    assert not found.taken
    assert found.error
    for count in (0, 2):
        with pytest.raises(ValueError, match="unpack"):
            esp.build(mailing(), people(count), "key")


def test_a_request_is_the_same_bytes_whenever_it_is_built() -> None:
    assert request(speaking_to(25)).body == request(speaking_to(26)).body


def made(url: str | None, **env: str) -> Smtp:
    esp = make_esp("smtp", base_url=url, env=env, outbox_folder=Path("unused"))
    assert isinstance(esp, Smtp)
    return esp


@pytest.mark.standard("D-01")
@pytest.mark.parametrize(
    ("url", "where"),
    [
        (None, "smtp://127.0.0.1:25"),
        ("smtp://localhost", "smtp://localhost:25"),
        ("smtp://[::1]:2525", "smtp://::1:2525"),
        ("smtps://mail.voorbeeld.example", "smtps://mail.voorbeeld.example:465"),
        ("smtp+starttls://mail.voorbeeld.example", "smtp+starttls://mail.voorbeeld.example:587"),
        ("smtp+plain://relay.internal", "smtp+plain://relay.internal:25"),
    ],
)
def test_where_and_how_safely(url: str | None, where: str) -> None:
    assert repr(made(url)) == f"Smtp({where})"


@pytest.mark.standard("D-01")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("smtp://mail.voorbeeld.example", "in the open"),
        ("https://mail.voorbeeld.example", "no mail server"),
        ("mail.voorbeeld.example:25", "no mail server"),
        ("smtps://", "no mail server"),
        ("smtps://mail.voorbeeld.example:0", "no mail server"),
        ("smtps://mail.voorbeeld.example:port", "no mail server"),
        ("smtps://user@mail.voorbeeld.example", "SMTP_USERNAME"),
        ("smtps://a:b@mail.voorbeeld.example", "SMTP_USERNAME"),
        ("smtps://mail.voorbeeld.example/x", "behind host and port"),
        ("smtps://mail.voorbeeld.example?x=1", "behind host and port"),
    ],
)
def test_an_address_that_will_not_do_is_refused(url: str, words: str) -> None:
    with pytest.raises(EspSettingsError, match=rf"provider\.base_url: .*{words}"):
        made(url)


def test_an_address_with_a_password_is_not_repeated() -> None:
    with pytest.raises(EspSettingsError) as caught:
        made("smtpx://brief:canary@mail.voorbeeld.example:port")
    assert "canary" not in str(caught.value)


def test_schedule_yaml_takes_the_address_of_a_mail_server() -> None:
    assert provider_address("smtp+starttls://mail.voorbeeld.example:587").endswith(":587")
    for wrong in ("http://mail.voorbeeld.example", "smtp", "smtps://mail\n.voorbeeld.example"):
        with pytest.raises(ValueError, match=r"must|not a web address"):
            provider_address(wrong)


@pytest.mark.parametrize("there", ["SMTP_USERNAME", "SMTP_PASSWORD"])
def test_half_a_log_in_is_named(there: str) -> None:
    missing = ({"SMTP_USERNAME", "SMTP_PASSWORD"} - {there}).pop()
    with pytest.raises(MissingSecret, match=missing):
        made(None, **{there: "canary"})


def test_a_batch_has_one_message() -> None:
    with pytest.raises(EspSettingsError, match=r"provider\.batch_size"):
        make_esp("smtp", env={}, batch_size=2, outbox_folder=Path("unused"))


def test_an_accepted_message_has_a_receipt() -> None:
    with at_work() as (esp, _):
        (receipt,) = send(esp).receipts
    assert (receipt.delivery_id, receipt.state) == (PERSON.delivery_id, DeliveryState.ACCEPTED)
