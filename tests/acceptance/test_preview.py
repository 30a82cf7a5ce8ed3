"""The editor's desk over HTTP and in Chromium: what it shows, whom it answers, and that it sends nothing."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Browser, Page

import pipeline.cli.preview
import pipeline.desk
from emails import render as letters
from emails.edition import Letter, LetterContent
from emails.sandbox import SandboxRecord, serve_in_thread
from pipeline.clock import SystemClock
from pipeline.desk import SAMPLE_LINK, Desk, Scheme, create_app, in_scheme
from tests.browser.chromium import chromium, executable
from tests.serving import serving

SECRET = "secret-of-this-run"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SCHEDULE = """\
newsletter:
  name: Weekbrief
  sender: Gerrit <brief@voorbeeld.example>
  language: nl
  address: Voorbeeldstraat 1, Utrecht
  url: http://localhost:8080
sources:
  - folder: posts
schedule:
  on: sunday
  at: "08:00"
  timezone: Europe/Amsterdam
provider:
  name: {provider}
storage: sqlite:///var/weekbrief.db
"""
POST = """\
---
title: {title}
date: 2026-09-06
language: nl
url: https://lichterleven.example/af
question: {question}
example: {example}
---

# {title}

Er is een tekst waarin {question} {example}

Meer tekst over loslaten, zodat het een stuk wordt.
"""
QUESTION = "Welk klein foutje zou jij durven laten staan?"
EXAMPLE = "Je zet de pan op tafel en zegt dat hij er niet uitziet."
HOSTILE = """\
<script>fetch('EVIL/a');top.pwned=1;document.title='pwned'</script>
<img src=EVIL/img onerror="document.title='pwned'"><svg onload="document.title='pwned'"></svg>
</title></style><iframe srcdoc="<script>top.pwned=1;top.document.title='pwned'</script>"></iframe>
<iframe src=EVIL/frame></iframe><object data=EVIL/object></object><embed src=EVIL/embed>
<form action=EVIL/form><input name=q autofocus onfocus="this.form.submit()"></form>
<a href="javascript:document.title='pwned'" ping=EVIL/ping>x</a><a href="data:text/html,x">y</a>
<meta http-equiv=refresh content="0;url=EVIL/refresh"><base href=EVIL/>
<link rel=stylesheet href=EVIL/a.css><style>@import url(EVIL/b.css);*{background:url(EVIL/bg)}</style>
<video src=EVIL/video></video><audio src=EVIL/audio autoplay></audio><link rel=preconnect href=EVIL/>
"""


@dataclass(frozen=True)
class House:
    """A newsletter's folder with one post."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "schedule.yaml"

    @property
    def post(self) -> Path:
        return self.folder / "posts" / "af.md"

    def write(self, *, title: str = "Goed genoeg", question: str = QUESTION, example: str = EXAMPLE) -> None:
        self.post.write_text(POST.format(title=title, question=question, example=example), encoding="utf-8")

    @contextmanager
    def shown(self, file: Path | None = None) -> Iterator[str]:
        """The desk's address, without the slash at its end."""
        desk = Desk(self.config, file, clock=SystemClock(NOW))
        with serving(create_app(desk, secret=SECRET)) as base:
            yield f"{base}/{SECRET}"


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.config.write_text(SCHEDULE.format(provider="outbox"), encoding="utf-8")
    made.post.parent.mkdir()
    made.write()
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if executable() is None:
        pytest.skip("no Chromium found: install it (Debian: chromium)")
    with chromium() as started:
        yield started


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light")
    yield context.new_page()
    context.close()


def get(url: str, **headers: str) -> httpx.Response:
    with httpx.Client(timeout=20, follow_redirects=False, trust_env=False) as web:
        return web.get(url, headers=headers)


def page(url: str) -> str:
    answer = get(f"{url}/")
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


# What it shows


def test_the_page_shows_the_next_letter_and_its_plan(house: House) -> None:
    with house.shown() as url:
        html = page(url)
    for words in (
        f">{QUESTION}</h1>",
        "Goed genoeg",
        "af.md",
        "Sunday 29 November 2026, 08:00",
        "Europe/Amsterdam, 2026-W48",
        "The oldest post not yet sent; no other is waiting",
        "brief@voorbeeld.example",
        "EEN VOORBEELD",
        f"{SAMPLE_LINK}\n",
    ):
        assert words in html
    assert 'class="preheader"' in html and "WBMERGE" not in html
    assert re.findall(r'<iframe [^>]*width="(\d+)"', html) == ["700", "375"]


def test_the_frame_holds_the_real_letter_with_a_sample_link(house: House) -> None:
    with house.shown() as url:
        letter = get(f"{url}/letter/light")
    assert letter.status_code == 200
    assert f"{EXAMPLE}</p>" in unescape(letter.text)
    assert f'href="{SAMPLE_LINK}"' in letter.text and "WBMERGE" not in letter.text


def test_a_file_that_is_named_is_shown_instead(house: House, tmp_path: Path) -> None:
    other = tmp_path / "elders.md"
    other.write_text(POST.format(title="Elders", question="Wat wacht er?", example=EXAMPLE), encoding="utf-8")
    with house.shown(other) as url:
        html = page(url)
    assert ">Wat wacht er?</h1>" in html and "elders.md" in html and "You named this file" in html
    assert QUESTION not in html


def test_looking_leaves_no_trace(house: House) -> None:
    before = sorted(house.folder.rglob("*"))
    with house.shown() as url:
        page(url)
        get(f"{url}/letter/dark")
    assert sorted(house.folder.rglob("*")) == before


# When there is nothing to show


def test_a_wrong_configuration_is_told_with_its_line_and_mended_without_a_restart(house: House) -> None:
    right = house.config.read_text(encoding="utf-8")
    with house.shown() as url:
        house.config.write_text(right.replace("sunday", "sondag"), encoding="utf-8")
        wrong = page(url)
        assert get(f"{url}/letter/light").status_code == 404
        house.config.write_text(right, encoding="utf-8")
        mended = page(url)
    assert "The configuration needs mending" in wrong
    assert re.search(r"schedule\.yaml:10: schedule\.on: .*sondag", wrong)
    assert f">{QUESTION}</h1>" in mended


def test_without_a_configuration_it_says_how_to_make_one(tmp_path: Path) -> None:
    with House(tmp_path).shown() as url:
        assert "weekbrief init" in page(url)


def test_no_post_at_all(house: House) -> None:
    house.post.unlink()
    with house.shown() as url:
        html = page(url)
    assert "There is no post for the next letter" in html and "no post is left" in html


def test_a_post_without_a_question_is_told_by_name(house: House) -> None:
    house.post.write_text("# Kaal\n\nHier staat niets te vragen.\n", encoding="utf-8")
    with house.shown() as url:
        html = page(url)
    assert "There is no post for the next letter" in html and "“Kaal” (af.md) was passed over: " in html


def test_a_file_that_cannot_be_read_is_told_beside_the_letter(house: House) -> None:
    (house.post.parent / "stuk.md").write_bytes(b"\x00\x01\x02")
    with house.shown() as url:
        html = page(url)
    assert "stuk.md: is not text" in html and f">{QUESTION}</h1>" in html


def test_a_letter_that_cannot_be_made_is_told(house: House) -> None:
    house.post.write_text(house.post.read_text().replace("https://lichterleven", "http://lichterleven"))
    with house.shown() as url:
        html = page(url)
    assert "This letter cannot be made yet" in html and "must begin with https://" in html


def test_a_fault_of_the_program_is_a_page_that_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom <b>")

    monkeypatch.setattr(pipeline.desk, "plan", broken)
    with house.shown() as url:
        answer = get(f"{url}/")
    assert answer.status_code == 500 and "Something went wrong in weekbrief" in answer.text
    assert "RuntimeError: boom &lt;b&gt;" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


# Following the files


def change_post(house: House) -> None:
    house.write(title="Anders")


def add_post(house: House) -> None:
    (house.post.parent / "nieuw.md").write_text("# Nieuw\n\nTekst.\n", encoding="utf-8")


def remove_post(house: House) -> None:
    house.post.unlink()


def change_configuration(house: House) -> None:
    house.config.write_text(house.config.read_text().replace("08:00", "09:00"), encoding="utf-8")


def break_configuration(house: House) -> None:
    house.config.write_text("newsletter: [", encoding="utf-8")


def lose_folder(house: House) -> None:
    house.post.parent.rename(house.folder / "elsewhere")


@pytest.mark.parametrize(
    "change",
    [change_post, add_post, remove_post, change_configuration, break_configuration, lose_folder],
    ids=lambda change: change.__name__,
)
def test_the_version_follows_what_the_letter_is_made_of(
    house: House, change: Callable[[House], None]
) -> None:
    with house.shown() as url:
        seen = re.search(r'data-version="(\w+)"', page(url))
        assert seen and get(f"{url}/version").text == seen[1] == get(f"{url}/version").text
        change(house)
        after = get(f"{url}/version").text
        assert after != seen[1]
        assert f'data-version="{after}"' in page(url), "so that a page never loads for ever"
        assert get(f"{url}/version").text == after


def test_the_version_follows_templates_and_their_change_is_shown(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "emails"
    copytree(Path(letters.__file__).parent / "templates", copy / "templates")
    monkeypatch.setattr(pipeline.desk, "_TEMPLATES", copy / "templates")
    monkeypatch.setattr(letters, "files", lambda _package: copy)
    letters._environment.cache_clear()
    try:
        with house.shown() as url:
            before = get(f"{url}/version").text
            assert "Nieuwe voet" not in get(f"{url}/letter/light").text
            foot = copy / "templates" / "partials" / "footer.html"
            foot.write_text(
                foot.read_text().replace('<div class="measure">', '<div class="measure">Nieuwe voet')
            )
            assert get(f"{url}/version").text != before
            assert "Nieuwe voet" in get(f"{url}/letter/light").text
    finally:
        monkeypatch.undo()
        letters._environment.cache_clear()


def test_the_version_does_not_follow_what_looking_leaves_behind(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled templates stand beside the templates: the first look would have the page load once more."""
    templates = copytree(Path(letters.__file__).parent / "templates", tmp_path / "templates")
    monkeypatch.setattr(pipeline.desk, "_TEMPLATES", templates)
    desk = Desk(house.config, clock=SystemClock(NOW))
    before = desk.version()
    (templates / "__pycache__").mkdir(exist_ok=True)
    (templates / "__pycache__" / "compiled").write_bytes(b"x")
    assert desk.version() == before


def test_the_next_slot_is_part_of_the_version(house: House) -> None:
    desk = Desk(house.config, clock=SystemClock(NOW))
    week_later = Desk(house.config, clock=SystemClock(datetime(2026, 12, 1, 9, tzinfo=UTC)))
    assert desk.version() == Desk(house.config, clock=SystemClock(NOW)).version() != week_later.version()


# Colours


def test_a_scheme_is_settled_in_style_sheets_only() -> None:
    said = "(prefers-color-scheme:dark)"
    html = f"<html><head><style>@media {said}{{a{{}}}}</style></head><body>{said}</body></html>"
    dark, light = in_scheme(html, Scheme.DARK), in_scheme(html, Scheme.LIGHT)
    assert "@media (min-width:0){" in dark and "@media (max-width:0){" in light
    assert f"<body>{said}</body>" in dark and ":root{color-scheme:dark !important}" in dark


# Whom it answers


def raw(url: str, *lines: str, method: str = "GET", path: str | None = None) -> int:
    """The status of one request with exactly these header lines."""
    parts = httpx.URL(url)
    target = path if path is not None else f"/{SECRET}/version"
    with socket.create_connection((parts.host, parts.port or 80), timeout=20) as line:
        head = "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "Connection: close", "", ""))
        line.sendall(head.encode("latin-1"))
        answer = line.makefile("rb").readline()
    return int(answer.split()[1])


@pytest.mark.fault(152)
def test_only_names_of_this_machine_are_answered(house: House) -> None:
    with house.shown() as url:
        port = httpx.URL(url).port
        table = {
            f"127.0.0.1:{port}": 200,
            f"localhost:{port}": 200,
            f"LOCALHOST:{port}": 200,
            f"[::1]:{port}": 200,
            "127.0.0.1": 403,
            "localhost": 403,
            f"localhost:{(port or 0) + 1}": 403,
            f"evil.example:{port}": 403,
            f"localhost.evil.example:{port}": 403,
            f"127.0.0.1.evil.example:{port}": 403,
            f"localhost.:{port}": 403,
            f"0.0.0.0:{port}": 403,
            f"evil@localhost:{port}": 403,
            "": 403,
        }
        assert {host: raw(url, f"Host: {host}") for host in table} == table
        assert raw(url, f"Host: localhost:{port}", f"Host: evil.example:{port}") in (400, 403)


@pytest.mark.fault(152)
def test_other_origins_are_refused_and_no_answer_is_shared_with_them(house: House) -> None:
    with house.shown() as url:
        port = httpx.URL(url).port
        table = {
            f"http://127.0.0.1:{port}": 200,
            f"http://localhost:{port}": 200,
            "null": 403,
            "https://evil.example": 403,
            f"https://127.0.0.1:{port}": 403,
            f"http://localhost:{(port or 0) + 1}": 403,
            f"http://localhost.evil.example:{port}": 403,
        }
        host = f"Host: 127.0.0.1:{port}"
        assert {origin: raw(url, host, f"Origin: {origin}") for origin in table} == table
        answer = get(f"{url}/", Origin=f"http://127.0.0.1:{port}")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.fault(152)
@pytest.mark.parametrize(
    "path",
    ["/", "//", "/version", "/wrong/", "/wrong/version", f"/{SECRET}x/version", f"/{SECRET[:-1]}/version",
     f"/./{SECRET}/version", f"/x/../{SECRET}/version", "/%00/version", "/letter/light"],
)  # fmt: skip
def test_without_the_secret_nothing_is_told(house: House, path: str) -> None:
    with house.shown() as url:
        assert raw(url, f"Host: 127.0.0.1:{httpx.URL(url).port}", path=path) == 404


@pytest.mark.fault(152)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"])
def test_the_desk_can_only_be_looked_at(house: House, method: str) -> None:
    with house.shown() as url:
        host = f"Host: 127.0.0.1:{httpx.URL(url).port}"
        for path in (f"/{SECRET}/", f"/{SECRET}/letter/light", f"/{SECRET}/version", "/"):
            assert raw(url, host, "Content-Length: 0", method=method, path=path) in (400, 405)


@pytest.mark.fault(152)
def test_every_answer_has_its_guards(house: House) -> None:
    with house.shown() as url:
        answers = {path: get(url + path) for path in ("/", "/letter/light", "/letter/odd", "/version", "/x")}
        answers["secret"] = get(url.removesuffix(SECRET))
        nonces = {re.search(r"script-src 'nonce-(.+?)'", get(f"{url}/").headers[POLICY]) for _ in "ab"}
    for path, answer in answers.items():
        head = answer.headers
        assert head["cache-control"] == "no-store" and head["referrer-policy"] == "no-referrer", path
        assert head["x-content-type-options"] == "nosniff", path
        assert head["cross-origin-resource-policy"] == "same-origin", path
        assert "server" not in head, path
        assert "default-src 'none'" in head[POLICY] and "'unsafe-inline'" not in script_part(head[POLICY]), (
            path
        )
        framed = "'self'" if path == "/letter/light" else "'none'"
        assert f"frame-ancestors {framed}" in head[POLICY], path
        assert head["x-frame-options"] == ("SAMEORIGIN" if framed == "'self'" else "DENY"), path
    assert "; sandbox allow-popups allow-popups-to-escape-sandbox" in answers["/letter/light"].headers[POLICY]
    assert len({found[1] for found in nonces if found}) == 2, "a nonce is used once"


POLICY = "content-security-policy"


def script_part(policy: str) -> str:
    return policy.replace("style-src 'unsafe-inline'", "")


# It sends nothing

WATCHED = """\
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "subprocess.Popen", "os.system", "smtplib.connect"):
        print("WENT OUT", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(watch)
import pipeline.cli.preview
def ended():
    tools, plain = ("emails.esp", "smtplib"), ("emails.esp", "emails.esp.settings")
    loaded = [name for name in sys.modules if name.startswith(tools) and name not in plain]
    print("LOADED", loaded, file=sys.stderr)
import atexit; atexit.register(ended)
from pipeline.cli import main
main()
"""


@contextmanager
def command(config: Path, *arguments: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`weekbrief preview` in a process of its own that tells of every way out it takes."""
    line = [
        sys.executable,
        "-c",
        WATCHED,
        "-c",
        str(config),
        "preview",
        "--port",
        "0",
        "--no-open",
        *arguments,
    ]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=os.environ | env)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        assert process.stderr
        process.stderr.close()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    said = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}(?=/)", said)
    assert found, said
    return found[0]


@pytest.mark.fault(153)
def test_the_command_shows_everything_and_sends_nothing(house: House) -> None:
    with SandboxRecord(house.folder / "record.db") as record, serve_in_thread(record) as sandbox:
        settings = SCHEDULE.format(provider=f"sandbox\n  base_url: {sandbox.url}")
        house.config.write_text(settings.replace('"08:00"', '"08:00"\n  max_lateness: 7d'), encoding="utf-8")
        env = {"SANDBOX_API_KEY": "k", "WEEKBRIEF_SECRET": "a-secret-for-tests-and-nothing-else-0123456789"}
        with command(house.config, env=env) as process:
            url = address(process)
            assert f">{QUESTION}</h1>" in page(url)
            for path in ("/letter/light", "/letter/dark", "/version"):
                assert get(url + path).status_code == 200
            for path in ("/send", "/send-test", "/run", "/approve"):
                assert get(url + path).status_code == 404
                assert httpx.post(url + path, data={"to": "a@b.example"}, trust_env=False).status_code == 405
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said
        assert "LOADED []" in said and "WENT OUT" not in said
        assert record.counts().messages == 0
    assert not (house.folder / "var").exists()


@pytest.mark.fault(153)
@pytest.mark.parametrize("module", [pipeline.desk, pipeline.cli.preview], ids=lambda module: module.__name__)
def test_the_desk_imports_nothing_that_sends(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert named
    sending = ("emails.esp", "pipeline.deliver", "pipeline.week", "httpx", "smtplib", "urllib")
    assert not [name for name in named if name.startswith(sending)]


def test_the_watch_on_the_command_sees_a_connection() -> None:
    """That nothing went out means something only if the watch works."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = WATCHED.partition("import pipeline")[0] + (
            f"import socket\nsocket.create_connection(('127.0.0.1', {listener.getsockname()[1]})).close()\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "WENT OUT socket.connect" in done.stderr


def test_a_port_that_is_taken_is_told(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command(house.config, "--port", port, env={}) as process:
            _, said = process.communicate(timeout=20)
    assert process.returncode == 1 and f"cannot start on port {port}" in said and "--port" in said


# In a browser


@pytest.mark.browser
def test_the_page_in_a_browser_follows_the_post_and_the_switch(house: House, tab: Page) -> None:
    with house.shown() as url:
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.goto(f"{url}/")
        desktop = tab.frame_locator("iframe[width='700']")
        phone = tab.frame_locator("iframe[width='375']")
        assert desktop.locator("h1").inner_text() == phone.locator("h1").inner_text() == QUESTION
        paper = "getComputedStyle(document.body).backgroundColor"
        inside = [frame for frame in tab.frames if "/letter/" in frame.url]
        assert [frame.evaluate("innerWidth") for frame in inside] == [700, 375]
        light = inside[0].evaluate(paper)

        tab.get_by_role("link", name="Dark").click()
        tab.wait_for_url("**/?letter=dark")
        tab.frame_locator("iframe[width='375']").locator("h1").wait_for()
        dark = next(frame for frame in tab.frames if "/letter/dark" in frame.url).evaluate(paper)
        assert light != dark and sum(map(int, re.findall(r"\d+", dark)[:3])) < 200

        house.write(question="Wat mag er blijven liggen?")
        tab.get_by_role("heading", level=1, name="Wat mag er blijven liggen?").wait_for(timeout=10_000)
        tab.frame_locator("iframe[width='700']").get_by_text("Wat mag er blijven liggen?").wait_for()
        assert tab.url.endswith("?letter=dark"), "the switch stays where it was"
        assert complaints == []


@pytest.mark.browser
def test_a_desk_that_has_ended_says_so(house: House, tab: Page) -> None:
    with house.shown() as url:
        tab.goto(f"{url}/")
    tab.get_by_text("The preview has stopped").wait_for(timeout=10_000)
    assert tab.locator("h1").inner_text() == QUESTION


@contextmanager
def trap() -> Iterator[tuple[str, list[str]]]:
    """A server of the attacker's, and what was asked of it."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join(10)


ACTIVE = "script, iframe, form, input, svg, img, meta[http-equiv], link, [onerror]"


@pytest.mark.browser
@pytest.mark.fault(154)
@pytest.mark.parametrize("place", ["title", "question", "example", "text"])
def test_a_hostile_post_runs_nothing_and_reaches_nothing(house: House, tab: Page, place: str) -> None:
    fields = {"title": "Goed genoeg", "question": QUESTION, "example": EXAMPLE}
    with trap() as (evil, asked), house.shown() as url:
        hostile = HOSTILE.replace("EVIL", evil)
        if place == "text":
            house.write()
            house.post.write_text(f"{house.post.read_text()}\n\n{hostile}", encoding="utf-8")
        else:
            quoted = " ".join(hostile.split()).replace("'", "''")
            house.write(**fields | {place: f"'{quoted}'"})
        tab.goto(f"{url}/", wait_until="load")
        tab.frame_locator("iframe[width='375']").locator("h1").wait_for()
        tab.wait_for_timeout(500)
        assert tab.evaluate("window.pwned") is None and tab.title() != "pwned"
        assert len(tab.frames) == 3 and all(frame.url.startswith(url) for frame in tab.frames)
        for frame in tab.frames[1:]:
            assert frame.locator(ACTIVE).count() == 0
            hrefs = frame.eval_on_selector_all("[href]", "nodes => nodes.map(node => node.href)")
            assert hrefs and all(re.match(r"https:|mailto:|http://localhost:8080/", href) for href in hrefs)
        if place != "text":
            assert "onerror=" in tab.content(), "the words themselves are shown"
    assert asked == []


@pytest.mark.browser
@pytest.mark.fault(154)
def test_the_frame_holds_even_a_letter_with_live_markup(
    house: House, tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were escaping to fail, the frame still lets nothing run, load or leave."""
    real = letters.render
    with trap() as (evil, asked), house.shown() as url:
        live = HOSTILE.replace("EVIL", evil)

        def unescaped(content: LetterContent) -> Letter:
            letter = real(content)
            return replace(letter, html=letter.html.replace("</h1>", f"</h1>{live}"))

        monkeypatch.setattr(letters, "render", unescaped)
        tab.goto(f"{url}/", wait_until="load")
        tab.wait_for_timeout(1000)
        assert any(frame.locator("script").count() for frame in tab.frames[1:]), "the markup is live"
        assert tab.evaluate("window.pwned") is None and tab.title().endswith("Preview")
        assert tab.url == f"{url}/"
        assert asked == []

        bare = tab.context.new_page()
        bare.set_content(live, wait_until="commit")
        bare.wait_for_timeout(1000)
        assert asked, "and it does reach the trap where no frame holds it"
