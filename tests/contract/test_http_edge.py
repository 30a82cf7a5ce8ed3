"""One attempt over HTTP against a server that misbehaves: how long it takes, and what it is taken for."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpcore
import httpx
import pytest

from emails.delivery import Answer, AnswerClass, DeliveryState, Request
from emails.esp.base import Bearer, HttpEsp
from emails.esp.http import Channel, HttpAnswer
from emails.esp.reading import MAX_RETRY_AFTER, retry_after
from emails.esp.resend import CAPABILITIES, ResendDialect
from emails.sandbox import SandboxRecord
from tests.fault_esp import FaultServer, Received, Script, Wire, http, says
from tests.mailings import letter, mailing, people

SECRET = "re_canary_4f1e7a"
KEY = "wb1-inst-1-2026-11-29-1-abc"
DEADLINE = 5.0


def esp_at(url: str, channel: Channel | None = None) -> HttpEsp:
    dialect = ResendDialect(base_url=url, capabilities=CAPABILITIES)
    return HttpEsp(dialect, Bearer(SECRET), channel=channel)


def request_of(esp: HttpEsp, count: int = 3, filler: str = "") -> Request:
    return esp.build(mailing(text=letter(filler=filler)), people(count), KEY)


def attempt(url: str, deadline: float = DEADLINE, channel: Channel | None = None) -> Answer:
    """One attempt with three recipients."""
    esp = esp_at(url, channel)
    try:
        return esp.submit(request_of(esp), deadline)
    finally:
        esp.close()


def answer_to(*scripts: Script, deadline: float = DEADLINE) -> Answer:
    with FaultServer(scripts) as server:
        return attempt(server.url, deadline)


def ok(count: int = 3) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"id": f"id-{number}"} for number in range(count)]}


def complaint(status: int, name: str, message: str = "No.") -> dict[str, object]:
    return {"statusCode": status, "name": name, "message": message}


def timed(act: Callable[[], Answer]) -> tuple[Answer, float]:
    start = time.monotonic()
    answer = act()
    return answer, time.monotonic() - start


# Nothing left


@pytest.mark.fault(44)
def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    answer = attempt("http://no-such-provider.invalid")
    assert answer.kind is AnswerClass.NOT_SENT
    assert answer.error == "the provider cannot be reached"


@pytest.mark.fault(44)
def test_a_resolver_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hangs(*_: object, **__: object) -> None:
        released.wait(5)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    answer, seconds = timed(lambda: attempt("http://provider.example", deadline=0.4))
    released.set()
    assert answer.kind is AnswerClass.NOT_SENT
    assert seconds < 1.5


@pytest.mark.fault(45)
def test_a_refused_connection_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert attempt(f"http://127.0.0.1:{port}").kind is AnswerClass.NOT_SENT


def test_no_free_connection_is_not_sent() -> None:
    with FaultServer([lambda wire, _: wire.wait(3)]) as server:
        channel = Channel(max_connections=1)
        esp = esp_at(server.url, channel)
        request = request_of(esp)
        other = threading.Thread(target=esp.submit, args=(request, 1.5))
        other.start()
        while not server.received:
            time.sleep(0.01)
        answer, seconds = timed(lambda: esp.submit(request, 0.3))
        other.join()
    assert answer.kind is AnswerClass.NOT_SENT
    assert seconds < 1
    assert len(server.received) == 1


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_a_deadline_that_is_over_sends_nothing(left: float) -> None:
    with FaultServer([says(200, ok())]) as server:
        assert attempt(server.url, deadline=left).kind is AnswerClass.NOT_SENT
        assert server.received == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `right.pem` for 127.0.0.1 and `wrong.pem` for another name, each signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no test certificate can be made")
    folder = tmp_path_factory.mktemp("certificates")
    for name, subject in (("right", "IP:127.0.0.1"), ("wrong", "DNS:other.example")):
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ),
                *("-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={subject}"),
                *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
            ],
            check=True,
            capture_output=True,
        )
    return folder


def served_with(certificates: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


def trusting(certificates: Path, name: str) -> Channel:
    return Channel(ssl_context=ssl.create_default_context(cafile=certificates / f"{name}.pem"))


def test_a_certificate_that_is_trusted_and_fits_is_accepted(certificates: Path) -> None:
    with FaultServer([says(200, ok())], tls=served_with(certificates, "right")) as server:
        assert attempt(server.url, channel=trusting(certificates, "right")).kind is AnswerClass.ACCEPTED


@pytest.mark.fault(45)
@pytest.mark.parametrize("case", ["signed by itself", "another name"])
def test_a_bad_certificate_holds_and_nothing_leaves(certificates: Path, case: str) -> None:
    name = "right" if case == "signed by itself" else "wrong"
    channel = Channel() if case == "signed by itself" else trusting(certificates, "wrong")
    with FaultServer([says(200, ok())], tls=served_with(certificates, name)) as server:
        answer = attempt(server.url, channel=channel)
        assert server.received == []
    assert answer.kind is AnswerClass.HOLD
    assert not answer.in_doubt
    assert "certificate" in (answer.error or "")


@pytest.mark.fault(45)
def test_a_failed_handshake_is_not_sent() -> None:
    with FaultServer([], reads=False, greeting=b"HTTP/1.1 400 This is not TLS\r\n\r\n") as server:
        answer, seconds = timed(lambda: attempt(server.url.replace("http:", "https:")))
    assert answer.kind is AnswerClass.NOT_SENT
    assert seconds < 2, "it failed, it did not time out"


@pytest.mark.fault(45)
def test_a_handshake_that_hangs_ends_at_the_deadline() -> None:
    with FaultServer([says(200, ok())], reads=False) as server:
        url = server.url.replace("http:", "https:")
        answer, seconds = timed(lambda: attempt(url, deadline=0.5))
    assert answer.kind is AnswerClass.NOT_SENT
    assert seconds < 1.5


# Something left


@pytest.mark.fault(46)
@pytest.mark.parametrize("how", ["close", "reset", "silence", "no http"])
def test_no_answer_after_the_request_is_uncertain(how: str) -> None:
    def script(wire: Wire, _: Received) -> None:
        if how == "reset":
            wire.reset()
        elif how == "silence":
            wire.wait(3)
        elif how == "no http":
            wire.send(b"220 mail.example ESMTP\r\n")

    answer, seconds = timed(lambda: answer_to(script, deadline=0.6))
    assert answer.kind is AnswerClass.UNCERTAIN
    assert answer.http_status is None
    assert seconds < 1.5


def lost_after_keeping(record: SandboxRecord, lost: list[int]) -> Script:
    """Keeps the call as the sandbox does; answers only when its number is not among `lost`."""
    number = iter(range(1000))

    def script(wire: Wire, request: Received) -> bool:
        ids = record.accept(json.loads(request.body), request.body, request.headers["idempotency-key"])
        if next(number) in lost:
            return False
        wire.send(http(200, json.dumps({"data": [{"id": each} for each in ids]}).encode()))
        return True

    return script


@pytest.mark.fault(47)
def test_an_answer_lost_after_acceptance_is_one_copy_when_asked_again(tmp_path: Path) -> None:
    with SandboxRecord(tmp_path / "truth.db") as truth:
        with FaultServer([lost_after_keeping(truth, [0])]) as server:
            esp = esp_at(server.url)
            request = request_of(esp)
            first, second = esp.submit(request, DEADLINE), esp.submit(request, DEADLINE)
            esp.close()
        assert first.kind is AnswerClass.UNCERTAIN
        assert second.kind is AnswerClass.ACCEPTED
        assert truth.counts().messages == 3
        kept = {line.delivery: line.id for line in truth.page()}
    assert {receipt.delivery_id: receipt.provider_id for receipt in second.receipts} == kept


@pytest.mark.fault(48)
def test_an_answer_lost_every_time_stays_uncertain_and_one_copy(tmp_path: Path) -> None:
    with SandboxRecord(tmp_path / "truth.db") as truth:
        with FaultServer([lost_after_keeping(truth, list(range(9)))]) as server:
            esp = esp_at(server.url)
            request = request_of(esp)
            answers = [esp.submit(request, DEADLINE) for _ in range(4)]
            esp.close()
        assert [answer.kind for answer in answers] == [AnswerClass.UNCERTAIN] * 4
        assert truth.counts().messages == 3
    assert len({received.body for received in server.received}) == 1


def test_a_provider_that_does_not_read_ends_at_the_deadline() -> None:
    with FaultServer([says(200, ok())], reads=False) as server:
        esp = esp_at(server.url)
        request = request_of(esp, count=100, filler="x" * 200_000)
        answer, seconds = timed(lambda: esp.submit(request, 0.7))
        esp.close()
    assert answer.kind is AnswerClass.UNCERTAIN
    assert 0.6 < seconds < 2


@pytest.mark.parametrize("error", [httpcore.ConnectError, httpcore.PoolTimeout, httpcore.LocalProtocolError])
def test_once_a_byte_has_left_no_error_means_not_sent(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Errors that usually come before the request must not be believed after it."""

    def fails(*_: object, **__: object) -> bytes:
        raise error

    monkeypatch.setattr("emails.esp.http._DeadlineStream.read", fails)
    assert answer_to(says(200, ok())).kind is AnswerClass.UNCERTAIN


@pytest.mark.fault(65)
def test_a_kept_connection_that_closes_under_us_is_uncertain_and_not_retried() -> None:
    def answer_then_cut(wire: Wire, request: Received) -> bool:
        if len(server.received) == 1:
            wire.send(http(200, json.dumps(ok()).encode()))
            return True
        return False

    with FaultServer([answer_then_cut]) as server:
        esp = esp_at(server.url)
        request = request_of(esp)
        first, second = esp.submit(request, DEADLINE), esp.submit(request, DEADLINE)
        esp.close()
    assert (first.kind, second.kind) == (AnswerClass.ACCEPTED, AnswerClass.UNCERTAIN)
    assert [received.connection for received in server.received] == [0, 0], "no second connection was tried"


@pytest.mark.fault(65)
def test_a_connection_found_closed_before_writing_is_replaced() -> None:
    def answer_and_close(wire: Wire, _: Received) -> None:
        wire.send(http(200, json.dumps(ok()).encode()))

    with FaultServer([answer_and_close]) as server:
        esp = esp_at(server.url)
        request = request_of(esp)
        first = esp.submit(request, DEADLINE)
        time.sleep(0.2)
        second = esp.submit(request, DEADLINE)
        esp.close()
    assert (first.kind, second.kind) == (AnswerClass.ACCEPTED, AnswerClass.ACCEPTED)
    assert server.connections == 2


def test_connections_are_reused() -> None:
    with FaultServer([says(200, ok())]) as server:
        esp = esp_at(server.url)
        for _ in range(5):
            assert esp.submit(request_of(esp), DEADLINE).kind is AnswerClass.ACCEPTED
        esp.close()
        assert server.connections == 1


# Slow, endless and swollen answers


@pytest.mark.fault(49)
@pytest.mark.parametrize("part", ["headers", "body", "chunks"])
def test_a_dripping_answer_ends_at_the_deadline(part: str) -> None:
    body = json.dumps(ok()).encode() + b" " * 500
    head = http(200, body)[: -len(body)]

    def script(wire: Wire, _: Received) -> None:
        if part == "headers":
            wire.drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 500, 0.1)
        elif part == "body":
            wire.send(head)
            wire.drip(body, 0.1)
        else:
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            wire.drip(b"1\r\n \r\n" * 100, 0.05)

    answer, seconds = timed(lambda: answer_to(script, deadline=1.0))
    assert answer.kind is AnswerClass.UNCERTAIN
    assert 0.9 < seconds < 1.6


@pytest.mark.fault(49)
def test_a_dripping_429_is_believed_by_its_status_line() -> None:
    def script(wire: Wire, _: Received) -> None:
        wire.send(http(429, b"", {"Content-Length": "500", "Retry-After": "7"}))
        wire.drip(b" " * 500, 0.1)

    answer, seconds = timed(lambda: answer_to(script, deadline=0.8))
    assert (answer.kind, answer.retry_after) == (AnswerClass.NOT_SENT, 7)
    assert seconds < 1.5


@pytest.mark.fault(50)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, AnswerClass.UNCERTAIN),
        (400, AnswerClass.UNCERTAIN),
        (401, AnswerClass.HOLD),
        (429, AnswerClass.NOT_SENT),
        (500, AnswerClass.UNCERTAIN),
    ],
)
def test_an_endless_answer_is_cut_and_read_by_its_status_line(status: int, kind: AnswerClass) -> None:
    def script(wire: Wire, _: Received) -> None:
        wire.send(f"HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\n\r\n".encode())
        wire.stream(b" " * 65_536)

    tracemalloc.start()
    answer, seconds = timed(lambda: answer_to(script))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.kind is kind
    assert seconds < 3
    assert peak < 8_000_000


@pytest.mark.fault(50)
def test_endless_headers_are_cut() -> None:
    def script(wire: Wire, _: Received) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\n")
        wire.stream(b"X-Filler: " + b"x" * 1000 + b"\r\n")

    answer, seconds = timed(lambda: answer_to(script))
    assert answer.kind is AnswerClass.UNCERTAIN
    assert seconds < 3


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """300 MB of spaces in about 300 kB."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b" " * 1_000_000) for _ in range(300)), packer.flush()])


@pytest.mark.fault(51)
def test_a_compressed_bomb_is_stopped_at_the_bound(bomb: bytes) -> None:
    assert len(bomb) < 400_000
    with FaultServer([says(200, bomb, {"Content-Encoding": "gzip"})]) as server:
        tracemalloc.start()
        answer, seconds = timed(lambda: attempt(server.url))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.received[0].headers["accept-encoding"] == "identity"
    assert answer.kind is AnswerClass.UNCERTAIN
    assert "longer than" in (answer.error or "")
    assert seconds < 2
    assert peak < 8_000_000


@pytest.mark.fault(51)
def test_a_compressed_answer_nobody_asked_for_is_read_all_the_same() -> None:
    packed = gzip.compress(json.dumps(ok()).encode())
    assert answer_to(says(200, packed, {"Content-Encoding": "gzip"})).kind is AnswerClass.ACCEPTED


@pytest.mark.fault(51)
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_encoding_we_do_not_know_is_no_answer(encoding: str) -> None:
    answer = answer_to(says(200, json.dumps(ok()).encode(), {"Content-Encoding": encoding}))
    assert answer.kind is AnswerClass.UNCERTAIN


# Reading the status


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-20", 0.0),
        ("31536000", MAX_RETRY_AFTER),
        ("9" * 20, MAX_RETRY_AFTER),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("", None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_and_capped(value: str, seconds: float | None) -> None:
    headers = {"Retry-After": value} if value else {}
    answer = answer_to(says(429, complaint(429, "rate_limit_exceeded"), headers))
    assert (answer.kind, answer.retry_after) == (AnswerClass.NOT_SENT, seconds)


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [(timedelta(seconds=90), 90.0), (timedelta(days=365), MAX_RETRY_AFTER), (timedelta(days=-365), 0.0)],
)
def test_retry_after_as_a_date_is_compared_with_the_answers_own_date(
    ahead: timedelta, seconds: float
) -> None:
    theirs = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
    headers = {"date": format_datetime(theirs), "retry-after": format_datetime(theirs + ahead)}
    assert retry_after(HttpAnswer(status=429, headers=headers)) == seconds


@pytest.mark.fault(52)
def test_retry_after_as_a_date_without_a_date_is_compared_with_our_clock() -> None:
    ours = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
    later = {"retry-after": format_datetime(ours + timedelta(seconds=40))}
    assert retry_after(HttpAnswer(status=429, headers=later, received=ours)) == 40


@pytest.mark.fault(53)
def test_429_every_time_is_not_sent_every_time() -> None:
    with FaultServer([says(429, complaint(429, "rate_limit_exceeded"), {"Retry-After": "2"})]) as server:
        answers = [attempt(server.url) for _ in range(5)]
    assert {(answer.kind, answer.retry_after) for answer in answers} == {(AnswerClass.NOT_SENT, 2)}


@pytest.mark.fault(54)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_5xx_is_uncertain(status: int) -> None:
    answer = answer_to(says(status, complaint(status, "application_error")))
    assert (answer.kind, answer.http_status) == (AnswerClass.UNCERTAIN, status)


@pytest.mark.fault(54)
def test_500_after_keeping_is_one_copy_when_asked_again(tmp_path: Path) -> None:
    with SandboxRecord(tmp_path / "truth.db") as truth:

        def keeps_and_fails(wire: Wire, request: Received) -> bool:
            truth.accept(json.loads(request.body), request.body, request.headers["idempotency-key"])
            wire.send(http(500, b"oops"))
            return True

        with FaultServer([keeps_and_fails, lost_after_keeping(truth, [])]) as server:
            esp = esp_at(server.url)
            request = request_of(esp)
            kinds = [esp.submit(request, DEADLINE).kind for _ in range(2)]
            esp.close()
        assert kinds == [AnswerClass.UNCERTAIN, AnswerClass.ACCEPTED]
        assert truth.counts().messages == 3


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, complaint(401, "missing_api_key")),
        (403, complaint(403, "invalid_api_key", f"The key {SECRET} of lezer1@voorbeeld.example is invalid")),
        (403, complaint(403, "validation_error", "The voorbeeld.example domain is not verified.")),
        (403, b"<html>Forbidden</html>"),
        (422, complaint(422, "invalid_from_address")),
        (429, complaint(429, "daily_quota_exceeded")),
        (429, complaint(429, "monthly_quota_exceeded")),
    ],
)
def test_what_no_batch_will_do_better_holds(status: int, body: object) -> None:
    answer = answer_to(says(status, body))
    assert answer.kind is AnswerClass.HOLD
    assert not answer.in_doubt
    assert SECRET not in repr(answer)
    assert "lezer1@" not in repr(answer)


@pytest.mark.fault(57)
@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_a_complaint_about_this_request_refuses_it(status: int) -> None:
    words = "Invalid `to` field: lezer1@voorbeeld.example\nis odd"
    answer = answer_to(says(status, complaint(status, "validation_error", words)))
    assert answer.kind is AnswerClass.REFUSED
    assert answer.error == f"HTTP {status} validation_error: Invalid `to` field: <address> is odd"


@pytest.mark.fault(60)
@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_a_complaint_that_is_not_the_providers_is_uncertain(status: int) -> None:
    assert answer_to(says(status, b"<html>Not here</html>")).kind is AnswerClass.UNCERTAIN


@pytest.mark.fault(58)
def test_partial_success_gives_each_their_own_answer() -> None:
    body = {"data": [{"id": "a"}, {"id": "c"}], "errors": [{"index": 1, "message": "Invalid `to`"}]}
    answer = answer_to(says(200, body))
    assert answer.kind is AnswerClass.ACCEPTED
    assert [(r.delivery_id, r.state, r.provider_id, r.reason) for r in answer.receipts] == [
        ("d00000", DeliveryState.ACCEPTED, "a", None),
        ("d00001", DeliveryState.REFUSED, None, "Invalid `to`"),
        ("d00002", DeliveryState.ACCEPTED, "c", None),
    ]


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    "errors",
    [[{"index": 9, "message": "x"}], [{"message": "x"}], [{"index": True}], "some", [{"index": 0}] * 2],
)
def test_partial_success_that_does_not_add_up_is_accepted_without_ids(errors: object) -> None:
    answer = answer_to(says(200, {"data": [{"id": "a"}], "errors": errors}))
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"id": "a"}, {"id": "b"}],
        [{"id": each} for each in "abcd"],
        [{"id": "a"}, {"id": "a"}, {"id": "b"}],
        [{"id": "a"}, {"id": ""}, {"id": "b"}],
        [{"id": "a"}, {"no": "id"}, {"id": 3}],
        ["a", "b", "c"],
    ],
)
def test_ids_that_do_not_match_are_accepted_without_ids_and_alarm(data: object) -> None:
    answer = answer_to(says(200, {"data": data}))
    assert (answer.kind, answer.receipts) == (AnswerClass.ACCEPTED, ())
    assert answer.alarm and "3 messages" in answer.alarm


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><form>Log in to the hotel network</form></html>",
        json.dumps({"data": [{"id": "a"}]}).encode()[:-4],
        b'{"data": null}',
        b'{"id": "one message"}',
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_200_that_is_not_the_providers_shape_is_uncertain(body: bytes) -> None:
    answer = answer_to(says(200, body))
    assert (answer.kind, answer.http_status) == (AnswerClass.UNCERTAIN, 200)


@pytest.mark.fault(60)
def test_200_cut_before_its_announced_end_is_uncertain() -> None:
    body = json.dumps(ok()).encode()

    def script(wire: Wire, _: Received) -> None:
        wire.send(http(200, body, {"Content-Length": str(len(body) + 10)}))

    assert answer_to(script).kind is AnswerClass.UNCERTAIN


@pytest.mark.fault(61)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_holds_with_the_batch_in_doubt(status: int) -> None:
    with FaultServer([says(200, ok())]) as elsewhere:
        with FaultServer([says(status, b"", {"Location": f"{elsewhere.url}/emails/batch"})]) as server:
            answer = attempt(server.url)
        assert elsewhere.connections == 0
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)


@pytest.mark.fault(62)
@pytest.mark.parametrize("status", [409, 422])
def test_same_key_other_body_holds_with_the_batch_in_doubt(status: int) -> None:
    answer = answer_to(says(status, complaint(status, "invalid_idempotent_request")))
    assert (answer.kind, answer.in_doubt) == (AnswerClass.HOLD, True)


@pytest.mark.fault(63)
def test_a_key_at_work_is_busy_then_accepted_with_the_same_key() -> None:
    busy = says(409, complaint(409, "concurrent_idempotent_requests"), {"Retry-After": "1"})
    with FaultServer([busy, says(200, ok())]) as server:
        esp = esp_at(server.url)
        request = request_of(esp)
        first, second = esp.submit(request, DEADLINE), esp.submit(request, DEADLINE)
        esp.close()
    assert (first.kind, first.retry_after, second.kind) == (AnswerClass.BUSY, 1, AnswerClass.ACCEPTED)
    assert {received.headers["idempotency-key"] for received in server.received} == {KEY}


@pytest.mark.fault(63)
def test_a_409_we_do_not_know_is_uncertain() -> None:
    assert answer_to(says(409, complaint(409, "something_new"))).kind is AnswerClass.UNCERTAIN


# Our own faults, and what must not leak


def test_a_fault_of_ours_in_reading_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Answer:
        raise ZeroDivisionError("lezer1@voorbeeld.example")

    monkeypatch.setattr(ResendDialect, "read_answer", broken)
    answer = answer_to(says(200, ok()))
    assert answer.kind is AnswerClass.UNCERTAIN
    assert answer.error == "HTTP 200: reading the answer failed (ZeroDivisionError)"


def test_a_key_no_header_can_hold_holds_and_does_not_leak() -> None:
    with FaultServer([says(200, ok())]) as server:
        esp = HttpEsp(
            ResendDialect(base_url=server.url, capabilities=CAPABILITIES), Bearer(f"{SECRET}\r\nX-Evil: 1")
        )
        answer = esp.submit(request_of(esp), DEADLINE)
        assert server.received == []
    assert answer.kind is AnswerClass.HOLD
    assert SECRET not in repr(answer)


def test_a_transport_that_fails_in_a_new_way_is_uncertain() -> None:
    def fails(_: httpx.Request) -> httpx.Response:
        raise MemoryError

    answer = attempt("http://127.0.0.1:9", channel=Channel(transport=httpx.MockTransport(fails)))
    assert answer.kind is AnswerClass.UNCERTAIN


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_neither_secret_nor_address_is_logged_at_any_level(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    echo = complaint(422, "validation_error", f"{SECRET} lezer1@voorbeeld.example")
    scripts = [says(200, ok()), says(422, echo), says(500, echo), says(200, b"junk"), says(403, echo)]
    with FaultServer(scripts) as server:
        esp = esp_at(server.url)
        request = request_of(esp)
        answers = [esp.submit(request, DEADLINE) for _ in scripts]
        esp.submit(replace(request, url="http://127.0.0.1:1/emails/batch"), DEADLINE)
        esp.close()
    logged = everything_logged.text
    assert "receive_response_headers" in logged, "the level was not low enough to prove anything"
    for shown in (logged, repr(answers), repr(request), repr(esp)):
        assert SECRET not in shown
        assert "lezer1@" not in shown


def test_the_secret_is_in_no_request_but_on_the_wire() -> None:
    with FaultServer([says(200, ok())]) as server:
        esp = esp_at(server.url)
        request = request_of(esp)
        esp.submit(request, DEADLINE)
        esp.close()
    assert server.received[0].headers["authorization"] == f"Bearer {SECRET}"
    assert server.received[0].headers["user-agent"] == "weekbrief"
    assert SECRET not in str(request.headers) + request.url + request.body.decode()


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert answer_to(says(200, ok())).kind is AnswerClass.ACCEPTED
