"""schedule.yaml: what is taken, what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emails.edition import Mailbox
from pipeline.due import Day, Every
from pipeline.settings import (
    Approval,
    Doubt,
    FeedSource,
    FolderSource,
    Pick,
    Provider,
    Settings,
    SettingsError,
    Web,
    load_settings,
)
from pipeline.settings_shape import SECTIONS, File

ROOT = Path(__file__).parents[2]

WHOLE = """\
newsletter:
  name: Weekbrief
  sender: Gerrit <brief@voorbeeld.example>
  reply_to: gerrit@voorbeeld.example
  language: nl
  address: Voorbeeldstraat 1, Utrecht
  url: https://brief.voorbeeld.example
  design: quiet
sources:
  - folder: posts
pick: oldest
schedule:
  every: week
  on: sunday
  at: "08:00"
  timezone: Europe/Amsterdam
  max_lateness: 24h
  approval: auto
provider:
  name: resend
  base_url: https://api.resend.com
  batch_size: 100
  rate: 10/s
  doubt: at_most_once
storage: sqlite:///var/weekbrief.db
"""
LEAST = """\
newsletter:
  name: Weekbrief
  sender: brief@voorbeeld.example
  language: nl
  address: Voorbeeldstraat 1, Utrecht
  url: https://brief.voorbeeld.example
sources:
  - folder: posts
schedule:
  on: sunday
  at: 08:00
  timezone: Europe/Amsterdam
"""

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Settings of a text, read as `schedule.yaml` in a folder that has `posts`."""
    (tmp_path / "posts").mkdir()
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes, env: dict[str, str] | None = None) -> Settings:
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / "schedule.yaml").write_bytes(content)
        return load_settings(Path("schedule.yaml"), env or {})

    return load


@pytest.fixture
def complaints(load: Load) -> Callable[..., list[str]]:
    def complaints(text: str | bytes) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            load(text)
        return str(caught.value).splitlines()

    return complaints


def changed(key: str, line: str, text: str = WHOLE) -> str:
    """`text` with the line that begins with `key` replaced by `line`."""
    lines = text.splitlines()
    place = next(n for n, old in enumerate(lines) if old.strip().startswith(key))
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    return "\n".join([*lines[:place], indent + line if line else "", *lines[place + 1 :]]) + "\n"


# --- what is taken ---


def test_every_key_of_the_contract_arrives_typed(load: Load, tmp_path: Path):
    found = load(WHOLE)
    assert found.newsletter.sender == Mailbox(address="brief@voorbeeld.example", name="Gerrit")
    assert found.newsletter.reply_to == Mailbox(address="gerrit@voorbeeld.example")
    assert (found.newsletter.url, found.newsletter.every) == ("https://brief.voorbeeld.example", "week")
    assert [source.path for source in found.sources] == [tmp_path / "posts"]
    assert (found.schedule.every, found.schedule.on, found.schedule.at) == (Every.WEEK, Day.SUNDAY, time(8))
    assert found.zone == ZoneInfo("Europe/Amsterdam")
    assert found.schedule.max_lateness == timedelta(hours=24)
    assert (found.pick, found.approval) == (Pick.OLDEST, Approval.AUTO)
    assert found.provider == Provider(
        name="resend",
        base_url="https://api.resend.com",
        batch_size=100,
        rate=10.0,
        doubt=Doubt.AT_MOST_ONCE,
    )
    assert found.storage == f"sqlite:///{tmp_path}/var/weekbrief.db"


def test_feeds_stand_beside_folders_each_once(load: Load, tmp_path: Path):
    lines = (
        "- folder: posts", "- feed: https://Blog.example/feed/?x=1", "- feed: https://blog.example/feed/?x=1",
        "- folder: ./posts", "- feed: http://localhost:8000", "  internal: true",
        "- feed: https://bücher.example/f",
    )  # fmt: skip
    found = load(changed("- folder:", "\n  ".join(lines)))
    assert found.sources == (
        FolderSource(path=tmp_path / "posts", name="./posts"),
        FeedSource(url="https://blog.example/feed/?x=1"),
        FeedSource(url="http://localhost:8000/", internal=True),
        FeedSource(url="https://xn--bcher-kva.example/f"),
    )


def test_what_is_left_out_has_a_default(load: Load, tmp_path: Path):
    found = load(LEAST)
    assert found.provider == Provider(name="outbox", batch_size=None, canary=5, concurrency=4, timeout=30.0)
    assert found.storage == f"sqlite:///{tmp_path}/var/weekbrief.db"
    assert (found.pick, found.schedule.every, found.newsletter.design) == (Pick.OLDEST, Every.WEEK, "quiet")
    assert found.newsletter.sender.name == "Weekbrief"


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("10:30", time(10, 30)),
        ("08:00", time(8)),
        ("8:05", time(8, 5)),
        ("'23:59'", time(23, 59)),
        ('"00:00"', time(0)),
    ],
)
def test_a_time_needs_no_quotes(load: Load, written: str, hour: time):
    assert load(changed("at:", f"at: {written}")).schedule.at == hour


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rate: 600/m", {"rate": 10.0}),
        ("rate: 0.5/s", {"rate": 0.5}),
        ("rate: 36000 / hour", {"rate": 10.0}),
        ("timeout: 20s", {"timeout": 20.0}),
        ("timeout: 7.5", {"timeout": 7.5}),
        ("canary: 1\n  concurrency: 32", {"canary": 1, "concurrency": 32}),
    ],
)
def test_how_hard_to_lean_on_the_provider(load: Load, line: str, expected: dict[str, float]):
    provider = load(changed("rate:", line)).provider
    assert {name: getattr(provider, name) for name in expected} == expected


def test_values_are_what_they_look_like(load: Load):
    found = load(changed("name:", "name: No"))
    assert found.newsletter.name == "No"
    found = load(changed("every:", "every: 2 Weeks\n  starting: 2026-11-29"))
    assert (found.schedule.every, found.schedule.starting) == (Every.TWO_WEEKS, date(2026, 11, 29))


def test_http_is_taken_on_this_machine(load: Load):
    for url in ("http://localhost:8080", "http://127.0.0.1:9", "http://[::1]:8080/brief"):
        assert load(changed("url:", f"url: {url}/")).newsletter.url == url


def test_an_international_host_is_kept_in_its_ascii_form(load: Load):
    assert (
        load(changed("url:", "url: https://bücher.example")).newsletter.url == "https://xn--bcher-kva.example"
    )


def test_a_design_may_be_a_folder_of_ones_own(load: Load, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    assert load(changed("design:", "design: mine")).newsletter.design == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("postgresql://wb@db:5432/brief", "postgresql://wb@db:5432/brief"),
        ("postgres://wb@db/brief", "postgresql://wb@db/brief"),
        ("postgresql:///brief?host=/run/pg", "postgresql:///brief?host=/run/pg"),
    ],
)
def test_storage_keeps_an_absolute_address(load: Load, written: str, expected: str):
    assert load(changed("storage:", f"storage: {written}")).storage == expected


def test_paths_are_relative_to_the_file_and_not_to_where_one_stands(load: Load, tmp_path: Path, monkeypatch):
    load(WHOLE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = load_settings(Path("../schedule.yaml"), {})
    assert found.sources[0].path.resolve() == tmp_path / "posts"
    assert Path(found.storage.removeprefix("sqlite:///")).resolve() == tmp_path / "var" / "weekbrief.db"


def test_a_password_in_the_storage_address_is_never_shown(load: Load):
    found = load(
        changed("storage:", "storage: postgresql://wb:hunter2@db/brief"), {"RESEND_API_KEY": "re_cret"}
    )
    assert "hunter2" in found.storage
    assert "hunter2" not in repr(found) and "re_cret" not in repr(found)
    assert found.revealed == {"RESEND_API_KEY": "re_cret"}


# --- what is refused ---

REFUSED = [
    ("name:", "nmae: Weekbrief", 2, "newsletter.nmae: is not a key here, did you mean 'name'?"),
    ("name:", "", 1, "newsletter.name: is missing; write for example: name: Weekbrief"),
    ("name:", "name: 2026", 2, "newsletter.name: must be text, not a number: put quotes around it"),
    ("name:", "name: true", 2, "newsletter.name: must be text, not true or false: put quotes around it"),
    ("name:", "name: [a, b]", 2, "newsletter.name: must be text, not a list"),
    ("name:", "name:", 2, "newsletter.name: is empty; write a value, or delete the line"),
    ("name:", "name: 💡 Weekbrief", 2, "newsletter.name: must not contain emoji"),
    ("name:", f"name: {'x' * 61}", 2, "newsletter.name: has 61 characters and may have 60"),
    ("name:", "name: 'Re: Weekbrief'", 2, "newsletter.name: must not begin with Re"),
    ("sender:", "sender: Gerrit", 3, "newsletter.sender: 'Gerrit' is not an address: the @ is missing"),
    (
        "sender:",
        "sender: a@b.example, c@d.example",
        3,
        "newsletter.sender: 'a@b.example, c@d.example' is not",
    ),
    ("sender:", "sender: brief@localhost", 3, "newsletter.sender: 'brief@localhost' is not an address"),
    ("sender:", "sender: jörg@voorbeeld.example", 3, "letters outside a-z"),
    (
        "reply_to:",
        "reply_to: no-reply@voorbeeld.example",
        4,
        "newsletter.reply_to: 'no-reply@voorbeeld.example'",
    ),
    ("language:", "language: dutch", 5, "newsletter.language: 'dutch' is not a language we have words for"),
    ("url:", "url: brief.voorbeeld.example", 7, "'brief.voorbeeld.example' is not a web address"),
    (
        "url:",
        "url: https://a:b@voorbeeld.example",
        7,
        "newsletter.url: must not contain a user name or password",
    ),
    ("url:", "url: https://voorbeeld.example/?x=1", 7, "must not contain '?' or '#'"),
    ("url:", "url: https://voorbeeld.example/a<b", 7, "has a character in its path"),
    ("url:", "url: https://voorbeeld.example:99999", 7, "is not a web address"),
    ("url:", "url: https://[::1", 7, "is not a web address"),
    ("design:", "design: quite", 8, "newsletter.design: 'quite' is not a design, did you mean 'quiet'?"),
    ("design:", "design: my/design", 8, "newsletter.design: there is no folder"),
    ("- folder:", "- folder: postss", 10, "sources[0].folder: there is no folder"),
    ("- folder:", f"- folder: {'x' * 400}", 10, "sources[0].folder: there is no folder"),
    ("- folder:", "- wordpress: https://x.example/feed", 10, "sources[0].wordpress: is not a kind of source"),
    ("- folder:", "- fed: https://x.example/feed", 10, "this version reads, did you mean 'feed'?"),
    ("- folder:", "- feed: x.example/feed", 10, "sources[0].feed: 'x.example/feed' is not a web address"),
    ("- folder:", "- feed: https://a:b@x.example/", 10, "sources[0].feed: must not contain a user name"),
    ("- folder:", "- feed: https://x.example/#top", 10, "must not contain '#', spaces"),
    ("- folder:", "- feed: http://10.1.2.3/feed", 10, "a private network; if you mean that, write 'internal"),
    ("- folder:", "- {feed: 'https://x.example/', folder: posts}", 10, "sources[0]: names two sources"),
    ("- folder:", "- {folder: posts, internal: true}", 10, "sources[0]: internal belongs to a feed"),
    ("- folder:", "- {feed: 'https://x.example/', internal: 1}", 10, "sources[0].internal: 1 is neither"),
    ("- folder:", "- {internal: true}", 10, "sources[0]: names no source"),
    ("- folder:", "- posts", 10, "sources[0]: must be a group of settings"),
    ("pick:", "pick: oldset", 11, "pick: 'oldset' is not a way to pick, did you mean 'oldest'?"),
    ("every:", "every: day", 13, "schedule.every: 'day' is not a rhythm: use week, 2 weeks or month"),
    ("on:", "on: sundya", 14, "schedule.on: 'sundya' is not a day, did you mean 'sunday'?"),
    ("on:", "on: zondag", 14, "schedule.on: 'zondag' is not a day here, did you mean 'sunday'?"),
    ("on:", "on: 0", 14, "schedule.on: 0 is not a day: use monday"),
    ("at:", "at: 8", 15, "schedule.at: 8 is not a time of day"),
    ("at:", "at: 24:00", 15, "schedule.at: '24:00' is not a time of day"),
    ("at:", "at: 8pm", 15, "schedule.at: '8pm' is not a time of day"),
    ("timezone:", "timezone: Europe/Amsterdm", 16, "is not a time zone, did you mean 'Europe/Amsterdam'?"),
    ("timezone:", "timezone: amsterdam", 16, "is not a time zone, did you mean 'Europe/Amsterdam'?"),
    ("timezone:", "timezone: Europe", 16, "schedule.timezone: 'Europe' is not a time zone"),
    ("timezone:", "timezone: ../../etc/passwd", 16, "is not a time zone"),
    ("timezone:", "", 12, "schedule.timezone: is missing; write for example: timezone: Europe/Amsterdam"),
    ("max_lateness:", "max_lateness: 24", 17, "schedule.max_lateness: 24 is not a length of time"),
    ("max_lateness:", "max_lateness: 0h", 17, "must be more than nothing and at most 31d"),
    ("max_lateness:", "max_lateness: 99999d", 17, "must be more than nothing and at most 31d"),
    ("max_lateness:", "starting: 2026-02-30", 17, "schedule.starting: '2026-02-30' is not a date"),
    (
        "approval:",
        "approval: yes",
        18,
        "schedule.approval: 'yes' is not a way to approve: use auto or required",
    ),
    ("name: resend", "name: resned", 20, "provider.name: 'resned' is not a provider, did you mean 'resend'?"),
    ("name: resend", "name: pigeon", 20, "provider.name: 'pigeon' is not a provider: use "),
    (
        "base_url:",
        "base_url: http://api.resend.com",
        21,
        "provider.base_url: 'http://api.resend.com' must begin",
    ),
    ("batch_size:", "batch_size: 0", 22, "provider.batch_size: 0 is not between 1 and"),
    ("batch_size:", "batch_size: true", 22, "provider.batch_size: True is not a whole number"),
    ("rate:", "rate: fast", 23, "provider.rate: 'fast' is not a rate"),
    ("rate:", "rate: 0/s", 23, "provider.rate: '0/s' is not a rate"),
    ("rate:", "timeout: 999", 23, "provider.timeout: 999 must be 1 to 300 seconds"),
    ("rate:", "timeout: soon", 23, "provider.timeout: 'soon' is not a number of seconds"),
    (
        "doubt:",
        "doubt: at_most_onc",
        24,
        "provider.doubt: 'at_most_onc' is not a rule for doubt, did you mean",
    ),
    (
        "storage:",
        "storage: var/x.db",
        25,
        "storage: 'var/x.db' is not a database: did you mean 'sqlite:///var/x.db'?",
    ),
    (
        "storage:",
        "storage: sqlite://var/x.db",
        25,
        "storage: needs three slashes before a path, did you mean",
    ),
    ("storage:", "storage: 'sqlite:///:memory:'", 25, "storage: must name a file"),
    ("storage:", "storage: sqlite:///posts", 25, "is a folder; name the file in it"),
    ("storage:", "storage: sqlite:///a.db?mode=ro", 25, "must not contain '?' or '#'"),
    ("storage:", "storage: mysql://x/y", 25, "storage: 'mysql' is not a database we know"),
    ("storage:", "storage: postgresql://db", 25, "storage: names no database"),
    ("storage:", "storage: postgresql://db:x/y", 25, "storage: is not a database address"),
    ("storage:", "timezone: Europe/Rome", 25, "timezone: is not a key here; it belongs below 'schedule:'"),
    ("storage:", "colour: blue", 25, "colour: is not a key here: use newsletter, sources, pick, no_pick"),
    ("- folder:", "[]", 9, "sources: names no source: write '- folder: posts' below it"),
]


@pytest.mark.fault(105)
@pytest.mark.parametrize(
    ("key", "line", "number", "words"), REFUSED, ids=[row[1][:40] or row[0] for row in REFUSED]
)
def test_a_mistake_is_named_with_its_line_and_its_mend(
    complaints, key: str, line: str, number: int, words: str
):
    found = complaints(changed(key, line))
    assert len(found) == 1, found
    assert found[0].startswith(f"schedule.yaml:{number}: ")
    assert words in found[0]


@pytest.mark.standard("H-03")
@pytest.mark.parametrize(
    "local", ["no-reply", "noreply", "No_Reply", "donotreply", "do-not-reply", "geen-antwoord"]
)
def test_a_sender_that_refuses_answers_is_refused(complaints, load: Load, local: str):
    text = changed("sender:", f"sender: Brief <{local}@voorbeeld.example>")
    found = complaints(changed("reply_to:", "", text))
    assert len(found) == 1 and "refuses answers" in found[0] and found[0].startswith("schedule.yaml:3: ")
    assert load(text).newsletter.reply_to == Mailbox(address="gerrit@voorbeeld.example")


@pytest.mark.standard("H-03")
def test_a_no_reply_sender_is_not_saved_by_an_answer_address_that_refuses_too(complaints):
    text = changed("sender:", "sender: noreply@voorbeeld.example")
    found = complaints(changed("reply_to:", "reply_to: noreply@voorbeeld.example", text))
    assert len(found) == 1 and "newsletter.reply_to" in found[0]


@pytest.mark.standard("H-13")
@pytest.mark.fault(132)
@pytest.mark.parametrize("key", ["name", "sender", "reply_to", "address"])
@pytest.mark.parametrize(
    "evil", ["\\nBcc: x@y.example", "\\rX", "\\0", "\\u2028", "\\u202e", "=?UTF-8?Q?=0A?=Bcc:"]
)
def test_a_header_cannot_be_smuggled_in(complaints, key: str, evil: str):
    value = f"Ger{evil}rit <a@b.example>" if key in ("sender", "reply_to") else f"Week{evil}brief"
    found = complaints(changed(f"{key}:", f'{key}: "{value}"'))
    assert len(found) == 1 and f"newsletter.{key}: " in found[0]


@pytest.mark.standard("H-14")
def test_a_name_keeps_commas_quotes_and_letters_of_any_script(load: Load):
    for name in (
        '"Jansen, Gerrit" <a@b.example>',
        "Žofia O'Brien (werk) <a@b.example>",
        "مریم نیک‌پور <a@b.example>",
    ):
        sender = load(changed("sender:", f"sender: '{name.replace(chr(39), chr(39) * 2)}'")).newsletter.sender
        assert sender.name == name.removesuffix(" <a@b.example>").strip('"')


@pytest.mark.standard("U-10")
def test_links_over_http_are_refused_but_on_this_machine(complaints):
    found = complaints(changed("url:", "url: http://brief.voorbeeld.example"))
    assert found == [
        "schedule.yaml:7: newsletter.url: 'http://brief.voorbeeld.example' must begin with https://; "
        "http:// is for localhost only"
    ]
    assert complaints(changed("url:", "url: http://localhost.evil.example"))


@pytest.mark.fault(105)
def test_all_complaints_come_at_once_in_the_order_of_their_lines(complaints):
    text = changed("on:", "on: sundya", changed("name:", "nmae: x", changed("storage:", "storage: x", WHOLE)))
    assert [line.split(": ")[:2] for line in complaints(text)] == [
        ["schedule.yaml:2", "newsletter.nmae"],
        ["schedule.yaml:14", "schedule.on"],
        ["schedule.yaml:25", "storage"],
    ]


def test_a_section_that_is_missing_or_no_section_is_named(complaints):
    assert [line.split(": ")[1] for line in complaints("pick: oldest\n")] == [
        "newsletter",
        "sources",
        "schedule",
    ]
    assert (
        "newsletter: must be a group of settings: lines such as 'name: …'" in complaints("newsletter: x\n")[0]
    )
    assert "sources: must be a list: write '- folder: posts'" in complaints("sources: posts\n")[1]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "is empty"),
        (b"# nothing\n", 1, "is empty"),
        (b"- a\n", 1, "does not hold lines of 'key: value'"),
        (b"newsletter:\n\tname: x\n", 2, "there is a tab; indent with spaces"),
        (b"newsletter:\n  name: a: b\n", 2, "there is a ':' too many"),
        (b'newsletter:\n  name: "a\n', 3, "a quote or bracket is not closed"),
        (b"a: 1\n---\nb: 2\n", 2, "expected a single document"),
        (b"pick: \xff\n", 1, "is not UTF-8 text"),
        (b"a: 1\nb: \x07\n", 2, "has a control character"),
        (b"a: &x 1\nb: *x\n", 1, "anchors (&name) are not used here"),
        (b"a: !!python/object:os.system x\n", 1, "tags (!name) are not used here"),
        (b'a: "\\UFFFFFFFF"\n', 1, "out of range"),
        (b"a: " + b"[" * 5000, 1, "nested too deep"),
        (b"x" * 70_000, 0, "is larger than 64 KiB"),
    ],
)
@pytest.mark.fault(105)
def test_a_file_that_is_not_our_yaml_is_explained(complaints, content: bytes, line: int, words: str):
    found = complaints(content)
    place = f"schedule.yaml:{line}: " if line else "schedule.yaml: "
    assert len(found) == 1 and found[0].startswith(place) and words in found[0]


def test_a_key_written_twice_is_named_with_both_lines(complaints):
    text = changed("approval:", "on: monday")
    assert complaints(text) == [
        "schedule.yaml:18: schedule.on: it stands on line 14 already; delete one of the two"
    ]


def test_a_key_that_is_no_word_is_named(complaints):
    assert any("a key must be a word" in line for line in complaints("? [a, b]\n: 1\n"))


@pytest.mark.parametrize(
    "line", ["api_key: re_0123456789abcdefghij", "token: x", "batch_size: re_0123456789abcdefghij"]
)
@pytest.mark.fault(105)
def test_a_secret_in_the_file_is_refused_and_not_repeated(complaints, line: str):
    found = complaints(changed("batch_size:", line))
    assert len(found) == 1 and "re_0123456789" not in found[0]
    assert "is a secret, and this file is not: put RESEND_API_KEY=… in .env beside it" in found[0]


@pytest.mark.fault(105)
def test_a_missing_file_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"weekbrief init .*brief; or name its file: --config FILE"):
        load_settings(tmp_path / "brief" / "schedule.yaml", {})
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


@pytest.mark.fault(105)
def test_a_missing_secret_names_the_line_of_the_provider(load: Load):
    found = load(WHOLE)
    with pytest.raises(SettingsError) as caught:
        found.require_secrets()
    assert str(caught.value).startswith(
        "schedule.yaml:20: provider.name: WEEKBRIEF_SECRET and RESEND_API_KEY are not set"
    )
    signed = load(WHOLE, {"WEEKBRIEF_SECRET": "x" * 32})
    signed.require_secrets(sending=False)
    with pytest.raises(SettingsError, match=r"RESEND_API_KEY is not set: put RESEND_API_KEY=… in \.env"):
        signed.require_secrets()
    load(WHOLE, {"WEEKBRIEF_SECRET": "x" * 32, "RESEND_API_KEY": "re_x"}).require_secrets()


def test_bad_lines_of_env_are_told_together_with_those_of_the_settings(complaints, tmp_path: Path):
    (tmp_path / ".env").write_text("RESEND_API_KEY re_x\n")
    found = complaints(changed("on:", "on: sundya"))
    assert [line.split(": ")[0] for line in found] == [".env:1", "schedule.yaml:14"]


def test_a_later_complaint_still_knows_its_line(load: Load):
    error = load(WHOLE).error("provider.batch_size", "the provider takes 100 at most")
    assert str(error) == "schedule.yaml:22: provider.batch_size: the provider takes 100 at most"


# --- any bytes at all ---


def read_anything(content: bytes, folder: Path) -> None:
    (folder / "posts").mkdir(exist_ok=True)
    path = folder / "schedule.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(load_settings(path, {}), Settings)
    except SettingsError as error:
        for line in str(error).splitlines():
            assert line.startswith(str(path)) and len(line) < 1000
            assert "Input should" not in line and "Value error" not in line
        str(error).encode()


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
@example(content=b'"\\ud800": 1')
@example(content=b"%YAML 1." + b"9" * 5000 + b"\n---\na: 1")
@example(content=b"a: " + b"9" * 5000)
@example(content=b"a: 1e999999999")
@example(content=b"<<: {a: 1}")
@example(content=b"{" * 1000)
@example(content=b"- " * 1000)
@example(content=b"!<%ff> a: b")
@example(content=b"\xff\xfea\x00:\x00")
def test_any_bytes_are_settings_or_complaints(tmp_path: Path, content: bytes):
    read_anything(content, tmp_path)


@FUZZ
@given(data=st.data())
def test_a_damaged_file_is_settings_or_complaints(tmp_path: Path, data: st.DataObject):
    content = WHOLE.encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 30)))
    patch = data.draw(
        st.binary(max_size=20)
        | st.sampled_from(
            [b"null", b"[]", b"{}", b"0", b"1.5", b"true", b'"\\0"', b"'", b": ", b"\n  ", b"..", b"~"]
        )
    )
    read_anything(content[:start] + patch + content[end:], tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=8), inside, max_size=2),
    max_leaves=4,
)


@FUZZ
@given(key=st.sampled_from([line.split(":")[0].strip() for line in WHOLE.splitlines()]), value=VALUES)
def test_any_value_of_any_key_is_settings_or_complaints(tmp_path: Path, key: str, value: object):
    import json

    read_anything(changed(f"{key}:", f"{key}: {json.dumps(value)}").encode("utf-8", "replace"), tmp_path)


# --- the files we ship ---


@pytest.mark.parametrize("name", ["schedule.yaml", "pipeline/samples/schedule.yaml"])
def test_the_shipped_files_are_a_working_newsletter(name: str):
    found = load_settings(ROOT / name, {"WEEKBRIEF_SECRET": "x" * 32})
    found.require_secrets()
    assert found.provider.name == "outbox"
    assert [source.path.resolve() for source in found.sources] == [ROOT / "pipeline" / "samples" / "posts"]


def test_the_shipped_files_differ_in_their_folder_alone():
    ours = (ROOT / "schedule.yaml").read_text().splitlines()
    sample = (ROOT / "pipeline/samples/schedule.yaml").read_text().splitlines()
    different = [(a, b) for a, b in zip(ours, sample, strict=True) if a != b]
    assert len(different) == 1 and all("- folder: " in line for line in different[0])


def test_the_manual_explains_every_key_and_no_other():
    manual = (ROOT / "docs" / "configuration.md").read_text()
    explained: dict[str, list[str]] = {}
    for part in manual.split("\n## ")[1:]:
        title = part.splitlines()[0].split(":")[0]
        explained[title] = [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")]
    for section, model in SECTIONS.items():
        assert sorted(explained[section]) == sorted(model.model_fields)
    single = [key for title in ("pick", "reports", "storage") for key in explained[title]]
    assert sorted(single) == sorted(set(File.model_fields) - set(SECTIONS))


def test_the_letter_s_own_look(load: Load):
    own = (
        "name: Weekbrief\n"
        "  address_form: u\n"
        '  colours: {accent: "#8C472C #e2a785", page: "#faf7f1  #1d1a17"}\n'
        "  fonts: {text: 'Iowan Old Style, Georgia, serif', heading: \"Verdana, sans-serif\"}\n"
        "  logo: {url: 'https://www.example.org/logo.png', width: 120, height: 40}"
    )
    newsletter = load(changed("name", own)).newsletter
    assert newsletter.address_form == "u"
    assert newsletter.colours == (("accent", "#8c472c", "#e2a785"), ("page", "#faf7f1", "#1d1a17"))
    assert newsletter.fonts == (
        ("text", "'Iowan Old Style',Georgia,serif"),
        ("heading", "Verdana,sans-serif"),
    )
    assert newsletter.logo is not None
    assert (newsletter.logo.width, newsletter.logo.height, newsletter.logo.alt) == (120, 40, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('colours: {accent: "#8c472c"}', "accent needs two colours of six digits"),
        ('colours: {acent: "#8c472c #e2a785"}', "did you mean 'accent'?"),
        ('colours: {page: "#ffffff #1d1a17"}', "pure black and white turn ugly"),
        ("colours: blue", "must be a group of settings"),
        ("fonts: {text: Georgia}", "serif, sans-serif or monospace at the end"),
        ('fonts: {text: "x;}</style>, serif"}', "needs the names of fonts"),
        ("logo: {url: 'https://a.example/x.svg', width: 9, height: 9}", "end in .png, .jpg or .gif"),
        ("logo: {url: 'https://a.example/x.png', width: 900, height: 40}", "900 is not between 16 and 300"),
        ("logo: {url: 'https://a.example/x.png'}", "needs width or height as well"),
        ("address_form: jij", "is not a form of address"),
    ],
)
def test_a_look_that_would_not_work_is_refused(complaints, line: str, said: str):
    (complaint,) = complaints(changed("name", f"name: Weekbrief\n  {line}"))
    assert said in complaint


def test_the_public_pages_trust_this_machine_alone_unless_told_otherwise(load: Load):
    assert load(LEAST).web == Web()
    told = "web:\n  proxies: [10.1.2.3/8, '2001:db8::/32', 192.0.2.7]\n"
    told += "  origins: [https://Blog.example.org/, 'https://bücher.example:443', http://localhost:3000]\n"
    web = load(WHOLE + told + "  sign_ups_per_hour: 50\n  sign_ups_per_network: 5\n  metrics: true\n").web
    assert [str(network) for network in web.proxies] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]
    assert web.origins == (
        "https://blog.example.org",
        "https://xn--bcher-kva.example",
        "http://localhost:3000",
    )
    assert (web.limits.overall, web.limits.per_network, web.metrics) == (50, 5, True)
    assert load(WHOLE + "web: {proxies: []}\n").web.proxies == ()


@pytest.mark.parametrize(
    ("lines", "number", "said"),
    [
        ("proxies: [10.0.0.0/8, proxy.example]", 27, "web.proxies[1]: 'proxy.example' is not the address"),
        ("proxies: [0.0.0.0/0]", 27, "web.proxies[0]: '0.0.0.0/0' is everyone"),
        ("proxies: ['::/0']", 27, "web.proxies[0]: '::/0' is everyone"),
        ("proxies: 127.0.0.1", 27, "web.proxies: must be a list: write for example: proxies: [127.0.0.1]"),
        ("origins:\n    - https://a.example\n    - https://b.example/blog", 29, "web.origins[1]: "),
        ("origins: [http://blog.example]", 27, "web.origins[0]: 'http://blog.example' must begin with https"),
        ("origins: ['*']", 27, "web.origins[0]: '*' is not a web address"),
        ("origins: https://blog.example", 27, "web.origins: must be a list: write for example: origins: ["),
        ("sign_ups_per_hour: 0", 27, "web.sign_ups_per_hour: 0 is not between 1 and"),
        ("metrics: 1", 27, "web.metrics: 1 is neither true nor false"),
        ("metrics: yes", 27, "web.metrics: 'yes' is neither true nor false"),
        ("proxy: [127.0.0.1]", 27, "web.proxy: is not a key here, did you mean 'proxies'?"),
    ],
)
def test_a_mistake_about_the_public_pages_is_named_with_its_line(
    complaints, lines: str, number: int, said: str
):
    (complaint,) = complaints(f"{WHOLE}web:\n  {lines}\n")
    assert complaint.startswith(f"schedule.yaml:{number}: {said}")
