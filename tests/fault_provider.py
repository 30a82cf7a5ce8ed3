"""A provider that misbehaves by script and keeps its own truth: a loopback server in a provider's dialect.

In a test:

    with FaultProvider(dialect("postmark")) as provider:
        provider.play({"steps": [{"cut": "after"}]})
        ...
        assert provider.truth.copies() == {"lezer0@voorbeeld.example": 1}

As a process of its own, for senders that are killed (`spawn` starts one and ends it with the block):

    python -m tests.fault_provider --dialect resend --truth truth.db --script '{"steps": [{"cut": "after"}]}'

It prints one JSON line `{"url": …, "pid": …}` when it is ready. Every message it accepts is in the truth log,
an SQLite file that others may read at any time (`Truth(path)`). The n-th sending call gets the n-th step of
the script, later ones behave well. A running provider is started over with `POST /-/script` (body: a script;
forgets the truth and the keys); `PUT /-/script` changes the script only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, BinaryIO

from tests.dialects import (
    Call,
    FakeDialect,
    Message,
    Outcome,
    Record,
    Reply,
    Trouble,
    WrongRequest,
    dialect,
    dialect_names,
)
from tests.dialects._mailboxes import is_address
from tests.fault_esp import Wire, http

RETRY_AFTER = "7"
"""Seconds in the `Retry-After` of a scripted rate limit."""
MAX_WAIT = 60.0
"""No step waits longer, whatever the script says."""


# The script


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens to one sending call. Empty: it is served as the provider would.

    Order: `kill: head` · `delay` · `cut: before` · record · `kill: recorded` · `late` · answer or `cut`.
    """

    times: int = 1
    """For how many calls in a row; 0: for all that follow."""
    trouble: str | None = None
    """A `Trouble`: the provider's own refusal; nothing is recorded unless `record` is true."""
    status: int | None = None
    """Any other answer, with `headers` and `body`; nothing is recorded unless `record` is true."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = b""
    """Text and bytes go as they are, everything else as JSON."""
    record: bool | None = None
    """Take the messages although the answer says otherwise (true), or answer well and take none (false)."""
    delay: float = 0.0
    """Seconds before anything is done."""
    late: float = 0.0
    """Seconds between recording and answering."""
    drip: float = 0.0
    """Seconds between two bytes of the answer."""
    cut: str | None = None
    """`before` recording, `after` it, or in the `middle` of the answer: the connection is dropped."""
    reset: bool = False
    """Drop it with a TCP reset."""
    kill: str | None = None
    """Kill the sender: at the `head` of the request, whose rest is then not read, or when its messages are
    `recorded`."""
    mangle: str | None = None
    """Answer about `fewer` messages than came, `more`, or in `reversed` order."""

    def __post_init__(self) -> None:
        _allowed("trouble", self.trouble, [trouble.value for trouble in Trouble])
        _allowed("cut", self.cut, ["before", "after", "middle"])
        _allowed("kill", self.kill, ["head", "recorded"])
        _allowed("mangle", self.mangle, ["fewer", "more", "reversed"])

    @property
    def records(self) -> bool:
        return (self.trouble is None and self.status is None) if self.record is None else self.record


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    steps: tuple[Step, ...] = ()
    """For sending calls, in order."""
    search: tuple[Step, ...] = ()
    """For calls of the search API, in order."""
    index_delay: float = 0.0
    """Seconds until the search knows of a message."""
    bad_addresses: tuple[str, ...] = ()
    """Addresses the provider does not take."""
    key_life: float | None = None
    """Seconds; None: as the provider documents."""
    bodies: bool = True
    """Keep html and text in the truth log; False for very large runs."""

    @classmethod
    def of(cls, script: Script | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Script:
        """From JSON: an object with the fields above, or only the list of steps. Unknown names raise."""
        if isinstance(script, Script):
            return script
        raw: dict[str, Any] = dict(script) if isinstance(script, Mapping) else {"steps": script}
        for name in ("steps", "search"):
            raw[name] = tuple(Step(**step) for step in raw.get(name, ()))
        raw["bad_addresses"] = tuple(raw.get("bad_addresses", ()))
        return cls(**raw)


def _allowed(name: str, value: str | None, words: Sequence[str]) -> None:
    if value is not None and value not in words:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(words)}")


def _step(steps: Sequence[Step], number: int) -> Step:
    """The step of the `number`-th call, counting from 0."""
    for step in steps:
        if step.times == 0 or number < step.times:
            return step
        number -= step.times
    return Step()


# The truth


_TABLES = """
CREATE TABLE IF NOT EXISTS request (
  n INTEGER PRIMARY KEY, at REAL, kind TEXT, method TEXT, target TEXT, key TEXT, body_sha256 TEXT,
  bytes INTEGER, messages INTEGER, outcome TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS message (
  n INTEGER PRIMARY KEY, request INTEGER, at REAL, address TEXT, delivery TEXT, edition TEXT, key TEXT,
  unsubscribe TEXT, provider_id TEXT, message TEXT);
CREATE INDEX IF NOT EXISTS message_address ON message (address);
CREATE INDEX IF NOT EXISTS message_key ON message (key);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One call as it came, and what was done with it."""

    n: int
    at: float
    kind: str
    """`send` or `search`, which is anything that does not send."""
    method: str
    target: str
    key: str | None
    body_sha256: str
    bytes: int
    messages: int
    outcome: str
    """`taken`, `replayed`, `refused`, `scripted`, `cut`, `killed`, `answered`."""
    status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One message the provider accepted."""

    request: int
    at: float
    address: str
    delivery: str | None
    edition: str | None
    key: str | None
    unsubscribe: str | None
    provider_id: str
    message: Message


class Truth:
    """The provider's own log. A second process may open the same file to read it."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self._db = sqlite3.connect(str(path), check_same_thread=False, timeout=30)
        self._lock = threading.RLock()
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def messages(self, *, until: float | None = None) -> list[Taken]:
        """Everything accepted, in order; `until` some moment, in seconds since 1970."""
        names = (
            "request",
            "at",
            "address",
            "delivery",
            "edition",
            "key",
            "unsubscribe",
            "provider_id",
            "message",
        )
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM message WHERE at <= ? ORDER BY n",
            (float("inf") if until is None else until,),
        )
        return [
            Taken(**{**dict(zip(names, row, strict=True)), "message": _message_of(row[-1])}) for row in rows
        ]

    def copies(self, edition: str | None = None) -> Counter[str]:
        """How many messages each address got; of one edition, or of all."""
        where, values = ("WHERE edition = ?", (edition,)) if edition else ("", ())
        return Counter(dict(self._rows(f"SELECT address, count(*) FROM message {where} GROUP BY 1", values)))

    def requests(self, kind: str = "send") -> list[Seen]:
        """Every call of this kind, in order."""
        names = [each.name for each in fields(Seen)]
        rows = self._rows(f"SELECT {', '.join(names)} FROM request WHERE kind = ? ORDER BY n", (kind,))
        return [Seen(**dict(zip(names, row, strict=True))) for row in rows]

    def saw(self, call: Call, *, kind: str, key: str | None) -> int:
        """Note a call that came in; gives its number."""
        digest = hashlib.sha256(call.body).hexdigest()
        with self._lock, self._db:
            row = self._db.execute(
                "INSERT INTO request (at, kind, method, target, key, body_sha256, bytes)"
                " VALUES (?,?,?,?,?,?,?)",
                (time.time(), kind, call.method, call.target, key, digest, len(call.body)),
            )
            return int(row.lastrowid or 0)

    def came_of(self, number: int, outcome: str, *, messages: int = 0, status: int | None = None) -> None:
        with self._lock, self._db:
            self._db.execute(
                "UPDATE request SET outcome = ?, messages = ?, status = ? WHERE n = ?",
                (outcome, messages, status, number),
            )

    def take(
        self, number: int, outcomes: Sequence[Outcome], *, at: float, key: str | None, bodies: bool
    ) -> None:
        """Accept the messages of a call."""
        rows = [
            (number, at, *_columns(outcome.message, key), outcome.provider_id, _json(outcome.message, bodies))
            for outcome in outcomes
            if outcome.refused is None
        ]
        with self._lock, self._db:
            self._db.executemany(
                "INSERT INTO message"
                " (request, at, address, delivery, edition, key, unsubscribe, provider_id, message)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                rows,
            )

    def forget(self) -> None:
        with self._lock, self._db:
            self._db.execute("DELETE FROM message")
            self._db.execute("DELETE FROM request")

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _columns(message: Message, key: str | None) -> tuple[str | None, ...]:
    unsubscribe = message.headers.get("List-Unsubscribe", "").strip("<>") or None
    return (message.address, message.meta.get("delivery"), message.meta.get("edition"), key, unsubscribe)


def _json(message: Message, bodies: bool) -> str:
    kept = message if bodies else replace(message, html="", text="")
    return json.dumps({name: _plain(value) for name, value in asdict(kept).items()})


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _message_of(text: str) -> Message:
    raw = json.loads(text)
    return Message(**{**raw, "visible": tuple(raw["visible"])})


# The provider


@dataclass(slots=True)
class _Known:
    """A key that was used: what for, and what was answered once it was."""

    digest: str
    at: float
    first: Reply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a call amounts to: what to record under which key, and the answer."""

    outcome: str
    reply: Reply
    taken: int = 0
    """Messages recorded."""
    known: _Known | None = None
    first: Reply | None = None
    """What `known` answers from now on."""


class FaultProvider:
    """Serves until the block ends. `url` is what goes into `provider.base_url`."""

    def __init__(
        self,
        speaks: FakeDialect,
        script: Script | Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
        *,
        truth: Truth | None = None,
        port: int = 0,
        kill: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.dialect = speaks
        self.truth = truth or Truth()
        self.clock = clock
        """Seconds since 1970, for the life of keys and the delay of the index."""
        self._kill = kill
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._keys: dict[str, _Known] = {}
        self.play(script)
        self._server = _Server(("127.0.0.1", port), _handler(self))

    def __enter__(self) -> FaultProvider:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self.truth.close()

    def __repr__(self) -> str:
        return f"FaultProvider({self.dialect.name})"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return self.root + self.dialect.base_path

    @property
    def secrets(self) -> dict[str, str]:
        """The environment that the adapter needs."""
        return dict(self.dialect.secrets)

    def play(self, script: Script | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """From now on this script, counting calls from its first step. The truth and the keys stay."""
        with self._lock:
            self.script = Script.of(script)
            self._counts = Counter[str]()

    def start_over(self, script: Script | Mapping[str, Any] | Sequence[Mapping[str, Any]] = ()) -> None:
        """As new: no truth, no keys."""
        self.play(script)
        with self._lock:
            self._keys.clear()
            self.truth.forget()

    # one call

    def serve(self, call: Call, wire: Wire, step: Step) -> bool:
        """Serve a call that has been read whole; True keeps the connection."""
        number = self._saw(call)
        if step.delay and self.stopping.wait(min(step.delay, MAX_WAIT)):
            return False
        if step.cut == "before":
            return self._hang_up(wire, step, number)
        plan = self._plan(call, step, number)
        if step.kill == "recorded":
            self._kill_sender(number, plan)
            return False
        self.stopping.wait(min(step.late, MAX_WAIT))
        self._finish(plan)
        if step.cut == "after":
            return self._hang_up(wire, step, number, plan)
        self.truth.came_of(number, plan.outcome, messages=plan.taken, status=plan.reply.status)
        return _answer(wire, plan.reply, step)

    def begin(self, head: Call) -> Step:
        """The step for a call of which only the head is here; may kill the sender."""
        sends = self.dialect.is_send(head)
        kind = "send" if sends else "search"
        with self._lock:
            steps = self.script.steps if sends else self.script.search
            step = _step(steps, self._counts[kind])
            self._counts[kind] += 1
        if step.kill == "head":
            self._kill_sender(self._saw(head), None)
            raise ConnectionError("the sender is dead before its request was whole")
        return step

    def admin(self, call: Call) -> Reply:
        """`POST /-/script` starts over, `PUT /-/script` changes the script."""
        (self.start_over if call.method == "POST" else self.play)(call.json() or ())
        return Reply(status=200, body={"ready": True})

    def _saw(self, call: Call) -> int:
        sends = self.dialect.is_send(call)
        return self.truth.saw(
            call, kind="send" if sends else "search", key=self.dialect.key(call) if sends else None
        )

    def _plan(self, call: Call, step: Step, number: int) -> _Plan:
        if not self.dialect.is_send(call):
            return self._searched(call, step)
        if not self.dialect.authorised(call):
            return _Plan(outcome="refused", reply=self._says(Trouble.WRONG_KEY, ()))
        try:
            messages = self.dialect.messages(call)
        except WrongRequest as wrong:
            return _Plan(outcome="refused", reply=wrong.reply)
        plan = self._sent(call, step, messages, number)
        if step.status is not None:
            return replace(plan, outcome="scripted", reply=_scripted(step))
        if step.trouble is not None:
            return replace(plan, outcome="scripted", reply=self._says(Trouble(step.trouble), messages))
        return plan

    def _sent(self, call: Call, step: Step, messages: Sequence[Message], number: int) -> _Plan:
        """Take what can be taken. Recording and the key are one act, as with a provider's database."""
        key, digest = self.dialect.key(call), hashlib.sha256(call.body).hexdigest()
        with self._lock:
            known = self._known(key) if key else None
            if known:
                return self._repeated(known, digest, messages)
            outcomes = self._outcomes(messages)
            if isinstance(outcomes, Reply):
                return _Plan(outcome="refused", reply=outcomes)
            reply = self.dialect.success(_mangled(outcomes, step.mangle))
            if not step.records:
                return _Plan(outcome="answered", reply=reply)
            now = self.clock()
            self.truth.take(number, outcomes, at=now, key=key, bodies=self.script.bodies)
            known = _Known(digest=digest, at=now)
            if key:
                self._keys[key] = known
            taken = sum(outcome.refused is None for outcome in outcomes)
            first = self.dialect.success(outcomes)
            return _Plan(outcome="taken", reply=reply, taken=taken, known=known, first=first)

    def _known(self, key: str) -> _Known | None:
        known = self._keys.get(key)
        life = self.dialect.key_life if self.script.key_life is None else self.script.key_life
        return known if known and self.clock() - known.at < life else None

    def _repeated(self, known: _Known, digest: str, messages: Sequence[Message]) -> _Plan:
        if known.digest != digest:
            return _Plan(outcome="refused", reply=self._says(Trouble.CHANGED, messages))
        if known.first is None:
            return _Plan(outcome="refused", reply=self._says(Trouble.RUNNING, messages))
        return _Plan(outcome="replayed", reply=self.dialect.repeated(known.first))

    def _outcomes(self, messages: Sequence[Message]) -> list[Outcome] | Reply:
        bad = [
            message
            for message in messages
            if message.address in self.script.bad_addresses or not is_address(message.address)
        ]
        if bad and self.dialect.refuses_whole:
            return self._says(Trouble.BAD_ADDRESS, bad)
        ids = self.dialect.ids(len(messages))
        return [
            Outcome(message=message, refused="not a valid address")
            if message in bad
            else Outcome(message=message, provider_id=provider_id)
            for message, provider_id in zip(messages, ids, strict=True)
        ]

    def _finish(self, plan: _Plan) -> None:
        """From now on the key's answer can be had again."""
        if plan.known:
            plan.known.first = plan.first

    def _searched(self, call: Call, step: Step) -> _Plan:
        if step.status is not None:
            return _Plan(outcome="scripted", reply=_scripted(step))
        if not self.dialect.authorised(call):
            return _Plan(outcome="refused", reply=self._says(Trouble.WRONG_KEY, ()))
        taken = self.truth.messages(until=self.clock() - self.script.index_delay)
        records = [
            Record(message=each.message, provider_id=each.provider_id, key=each.key, at=each.at)
            for each in taken
        ]
        reply = self.dialect.search(call, records)
        return _Plan(outcome="answered", reply=reply or Reply(status=404, body={"message": "Not found"}))

    def _says(self, trouble: Trouble, messages: Sequence[Message]) -> Reply:
        reply = self.dialect.trouble(trouble, messages)
        if reply is None:
            return Reply(status=500, body=f"{self.dialect.name} has no answer for {trouble}".encode())
        if trouble is Trouble.RATE_LIMIT and self.dialect.retry_after:
            return replace(reply, headers={"Retry-After": RETRY_AFTER, **reply.headers})
        return reply

    def _hang_up(self, wire: Wire, step: Step, number: int, plan: _Plan | None = None) -> bool:
        self.truth.came_of(number, "cut", messages=plan.taken if plan else 0)
        if step.reset:
            wire.reset()
        return False

    def _kill_sender(self, number: int, plan: _Plan | None) -> None:
        """The sender is dead before its messages' key is answered; the key itself is known."""
        if self._kill is None:
            raise RuntimeError("the script kills the sender, but the provider was not told how")
        self._kill()
        if plan:
            self._finish(plan)
        self.truth.came_of(number, "killed", messages=plan.taken if plan else 0)


def _scripted(step: Step) -> Reply:
    body = step.body.encode() if isinstance(step.body, str) else step.body
    return Reply(status=step.status or 200, body=body, headers=step.headers)


def _mangled(outcomes: Sequence[Outcome], how: str | None) -> Sequence[Outcome]:
    match how:
        case "fewer":
            return outcomes[:-1]
        case "more":
            return [*outcomes, replace(outcomes[-1], provider_id="one-too-many")]
        case "reversed":
            return outcomes[::-1]
    return outcomes


def _answer(wire: Wire, reply: Reply, step: Step) -> bool:
    data = http(reply.status, reply.data(), reply.headers)
    if step.cut == "middle":
        wire.send(data[: len(data) - max(1, len(reply.data()) // 2)])
        return False
    if step.drip:
        wire.drip(data, step.drip)
    else:
        wire.send(data)
    return True


# The socket


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[socketserver.BaseRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what many tests are about; anything else is our fault."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _handler(provider: FaultProvider) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with self.request.makefile("rb") as stream:
                wire = Wire(self.request, provider.stopping)
                while self._one(stream, wire):
                    pass

        def _one(self, stream: BinaryIO, wire: Wire) -> bool:
            head = _read_head(stream)
            if head is None:
                return False
            if head.path.startswith("/-/"):
                reply = provider.admin(replace(head, body=_read_body(stream, head)))
                return _answer(wire, reply, Step())
            step = provider.begin(head)
            return provider.serve(replace(head, body=_read_body(stream, head)), wire, step)

    return Handler


def _read_head(stream: BinaryIO) -> Call | None:
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while field_line := stream.readline().decode("latin-1").strip():
        name, _, value = field_line.partition(":")
        headers[name.lower()] = value.strip()
    method, target, _version = line.split(" ", 2)
    return Call(method=method, target=target, headers=headers)


def _read_body(stream: BinaryIO, head: Call) -> bytes:
    wanted = int(head.headers.get("content-length", 0))
    body = stream.read(wanted)
    if len(body) < wanted:
        raise ConnectionError("the sender went away in the middle of its request")
    return body


# A process of its own


class Spawned:
    """A provider in a process of its own; `truth` is read from here."""

    def __init__(self, url: str, root: str, pid: int, truth: Truth, secrets: Mapping[str, str]) -> None:
        self.url = url
        self.root = root
        self.pid = pid
        self.truth = truth
        self.secrets = dict(secrets)

    def start_over(self, script: Mapping[str, Any] | Sequence[Mapping[str, Any]] = ()) -> None:
        """As new: no truth, no keys, this script."""
        self._tell("POST", script)

    def play(self, script: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """From now on this script; truth and keys stay."""
        self._tell("PUT", script)

    def _tell(self, method: str, script: Any) -> None:
        connection = HTTPConnection(self.root.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, "/-/script", json.dumps(script))
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"the provider did not take the script: HTTP {answer.status}")
        finally:
            connection.close()


@contextmanager
def spawn(
    name: str,
    truth: Path,
    script: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
    *,
    sender: Path | None = None,
) -> Iterator[Spawned]:
    """A provider in a process of its own, until the block ends (or this process does).

    `sender` is a file that holds the id of the process that a `kill` step kills.
    """
    command = [sys.executable, "-m", "tests.fault_provider", "--dialect", name, "--truth", str(truth)]
    command += ["--script", json.dumps(script), "--until-stdin-closes"]
    command += ["--sender", str(sender)] if sender else []
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    assert process.stdin and process.stdout
    try:
        ready = json.loads(process.stdout.readline())
        log = Truth(truth)
        try:
            yield Spawned(ready["url"], ready["root"], ready["pid"], log, dialect(name).secrets)
        finally:
            log.close()
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    script = json.loads(options.script)
    kill = (lambda: _kill(options.sender)) if options.sender else None
    provider = FaultProvider(
        dialect(options.dialect), script, truth=Truth(options.truth), port=options.port, kill=kill
    )
    with provider:
        ready = {"url": provider.url, "root": provider.root, "pid": os.getpid(), "secrets": provider.secrets}
        print(json.dumps(ready), flush=True)
        with suppress(KeyboardInterrupt):
            if options.until_stdin_closes:
                sys.stdin.read()
            else:
                provider.stopping.wait()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault_provider", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--dialect", required=True, choices=dialect_names())
    parser.add_argument("--truth", required=True, type=Path, help="SQLite file for everything accepted")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", default="[]", help="JSON, see Script and Step")
    parser.add_argument("--sender", type=Path, help="file with the id of the process that kill steps kill")
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser.parse_args(arguments)


def _kill(sender: Path) -> None:
    with suppress(ProcessLookupError):  # another of its calls was quicker
        os.kill(int(sender.read_text()), signal.SIGKILL)


if __name__ == "__main__":
    _main()
