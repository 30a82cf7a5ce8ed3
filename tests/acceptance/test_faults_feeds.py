"""A newsletter that lives on a feed: week after week, and when the feed fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from pipeline.due import find_slot
from pipeline.housekeeping import tidy
from pipeline.report import Report
from pipeline.sources import Asking
from pipeline.sources.kept import load
from pipeline.telling import tell_editor
from pipeline.week import run_due, run_week
from pipeline.wiring import catalogue_of
from tests import faultfeed
from tests.acceptance.faulty import DAY, Faulty, faulty
from tests.acceptance.newsletter import Folder, newsletter
from tests.faultfeed import FaultFeed, fault_feed, item, rss

NEWER = "Sun, 13 Sep 2026 10:00:00 +0200"
FUTURE = "Fri, 04 Dec 2026 10:00:00 +0100"
EDITOR = "brief@stillepost.example"


def from_feed(file: Path, feed: str, *more: str) -> None:
    lines = "".join(f"  {line}\n" for line in (f"- feed: {feed}", "  internal: true", *more))
    file.write_text(file.read_text("utf-8").replace("  - folder: posts\n", lines), "utf-8")


@dataclass
class Living:
    """A newsletter on the jumping clock, and its blog."""

    letter: Faulty
    web: FaultFeed

    def run(self) -> Report:
        with self.letter.week(source=self.source()) as week:
            return run_due(week, stop=Event())

    def run_and_tell(self) -> bool:
        with self.letter.week(source=self.source()) as week:
            return tell_editor(self.letter.settings(), week, run_due(week, stop=Event()))

    def source(self) -> object:
        return catalogue_of(self.letter.settings(), clock=self.letter.clock, asking=Asking.KEEP)

    def show(self, *items: str) -> None:
        self.web.show(*items)


@pytest.fixture
def living(tmp_path: Path, storage: str) -> Iterator[Living]:
    with fault_feed() as web, faulty(tmp_path / "brief", storage) as letter:
        from_feed(letter.file, web.feed)
        letter.subscribe(3)
        yield Living(letter, web)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Folder, FaultFeed]]:
    """The same for the real command and the sandbox."""
    with fault_feed() as web, newsletter(tmp_path / "brief") as made:
        from_feed(made.path / "schedule.yaml", web.feed)
        made.subscribe(3)
        yield made, web


# --- week after week ---


def test_two_weeks_from_a_feed_by_the_command(folder: tuple[Folder, FaultFeed]) -> None:
    """The feed shows only its newest post; the one before it goes all the same."""
    letter, web = folder
    web.show(item("trap", date=NEWER), item("tas"))
    first = letter.run()
    assert (first["outcome"], first["post"]) == ("sent", "De tas bij de deur")
    assert first["question"] == faultfeed.question("tas")
    assert sum(letter.copies().values()) == 3
    web.show(item("brood", date=FUTURE))
    said = json.loads(letter.weekbrief("run", "--now", "2026-12-06T08:05", "--json").stdout)
    assert (said["outcome"], said["post"]) == ("sent", "Op de trap")
    last = json.loads(letter.weekbrief("run", "--now", "2026-12-13T08:05", "--json").stdout)
    assert (last["outcome"], last["post"]) == ("sent", "Vers brood")
    assert set(letter.copies().values()) == {3}
    assert web.asked == ["/feed", "/feed", "/trap/", "/feed"], "an old post goes if its page is still there"


def test_a_plan_shows_what_the_feed_shows_and_writes_nothing(folder: tuple[Folder, FaultFeed]) -> None:
    letter, web = folder
    web.show(item("trap", date=NEWER), item("tas"))
    done = letter.weekbrief("plan", "--weeks", "2", "--json")
    weeks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [week["post"] for week in weeks] == ["De tas bij de deur", "Op de trap"]
    dry = letter.run("--dry-run")
    assert (dry["outcome"], dry["post"]) == ("dry_run", "De tas bij de deur")
    assert not (letter.path / "var" / "feeds").exists()
    web.play(faultfeed.status(500))
    done = letter.weekbrief("plan", "--json")
    assert "status 500" in json.loads(done.stdout.splitlines()[0])["why"]
    dry = letter.run("--dry-run")
    assert (dry["outcome"], dry["post"], "status 500" in dry["notes"][0]) == ("dry_run", None, True)


def test_a_check_of_an_edition_asks_no_feed(folder: tuple[Folder, FaultFeed]) -> None:
    letter, web = folder
    web.show(item("tas"))
    letter.run()
    done = letter.weekbrief("check", DAY, "--json")
    assert json.loads(done.stdout)["edition"] == DAY
    assert web.asked == ["/feed"]


def test_a_feed_that_gives_beginnings_is_followed_to_the_page(living: Living) -> None:
    living.show(item("tas", summary="Soms dragen we meer […]"))
    assert living.run().question == faultfeed.question("tas")
    assert living.web.asked == ["/feed", "/tas/"]


def test_an_editor_may_name_a_post_by_its_link(living: Living) -> None:
    (living.letter.path / "editions").mkdir()
    choice = living.letter.path / "editions" / f"{DAY}.yaml"
    choice.write_text(f"post: {living.web.url}/trap/\n", "utf-8")
    living.show(item("trap", date=NEWER), item("tas"))
    assert living.run().post == "Op de trap"


def test_the_link_of_a_post_may_be_copied_from_a_browser(living: Living) -> None:
    _choose(living, f"{living.web.url}/trap?utm_source=mail#top")
    living.show(item("trap", date=NEWER), item("tas"))
    assert living.run().post == "Op de trap"


def test_no_other_post_goes_for_the_one_an_editor_chose(living: Living) -> None:
    """Its page cannot be read this time: the week waits for it."""
    _choose(living, f"{living.web.url}/trap/")
    living.show(item("trap", date=NEWER, summary="Soms dragen we meer […]"), item("tas"))
    living.web.play(faultfeed.status(503), path="/trap/")
    report = living.run()
    assert (report.outcome, report.exit_code) == ("held", 3)
    assert "the week waits for “Op de trap”" in report.notes[0]
    assert "status 503" in report.notes[0]
    living.web.play(faultfeed.body(faultfeed.page("trap"), "text/html"), path="/trap/")
    assert living.run().post == "Op de trap"


def _choose(living: Living, post: str, day: str | None = DAY) -> None:
    (living.letter.path / "editions").mkdir()
    (living.letter.path / "editions" / f"{day}.yaml").write_text(f'post: "{post}"\n', "utf-8")


def test_a_quiet_week_does_not_ask_the_feed_at_each_look(living: Living) -> None:
    living.show(item("brood", date=FUTURE))
    for _ in range(6):
        with living.letter.week(source=living.source()) as week:
            assert run_week(week, find_slot(week.schedule, DAY), epoch=1, stop=Event()).outcome == (
                "nothing_to_send"
            )
        living.letter.clock.jump(seconds=30)
    assert living.web.asked == ["/feed"]


def test_a_time_somebody_made_up_is_not_remembered(folder: tuple[Folder, FaultFeed]) -> None:
    """`run --now` years ahead: a post without a date is not dated then, nor the copy."""
    letter, web = folder
    web.show(item("tas", date=None))
    letter.weekbrief("run", "--now", "2126-12-01T08:05", "--json")
    (file,) = (letter.path / "var" / "feeds").glob("*.json")
    kept = load(file)
    assert kept.read_at is not None
    assert max(kept.read_at, *(one.post.published for one in kept.posts.values())) < datetime.now(UTC)


def test_posts_between_two_letters_are_not_missed(living: Living) -> None:
    """Once a day the feed is asked, whether a letter is due or not."""
    living.show(item("tas"))
    living.run()
    for name, days in (("trap", 2), ("brood", 2)):
        living.show(item(name, date=NEWER))
        living.letter.clock.jump(days=days)
        with living.letter.week(source=living.source()) as week:
            tidy(week, stop=Event())
            tidy(week, stop=Event())
    assert len(living.web.asked) == 3
    living.show()
    living.letter.clock.jump(days=3)
    assert living.run().post in ("Op de trap", "Vers brood")


# --- the same post (98) ---


@pytest.mark.fault(98)
def test_a_blog_that_changes_all_its_ids_is_not_sent_again(living: Living) -> None:
    living.show(item("tas"))
    assert living.run().outcome == "sent"
    living.letter.clock.jump(days=7)
    living.show(item("tas", guid="new", link="https://new.example/tas/"), item("tas", guid="", link=""))
    assert living.run().outcome == "nothing_to_send"
    for copy in (living.letter.path / "var" / "feeds").glob("*.json"):
        copy.unlink()
    living.letter.clock.jump(days=7)
    assert living.run().outcome == "nothing_to_send", "also when the copy is lost"
    assert living.letter.once_each(3)


@pytest.mark.fault(98)
def test_a_post_of_the_folder_does_not_come_back_by_the_feed(living: Living) -> None:
    file = living.letter.file
    feed = file.read_text("utf-8")
    file.write_text(feed.replace(f"  - feed: {living.web.feed}\n    internal: true\n", "  - folder: posts\n"))
    assert living.run().post == "De tas bij de deur"
    file.write_text(feed)
    living.letter.clock.jump(days=7)
    living.show(item("tas", link="http://www.stillepost.example/de-tas/?utm_source=rss"))
    assert living.run().outcome == "nothing_to_send"


@pytest.mark.fault(98)
def test_a_folder_and_a_feed_with_the_same_post_send_it_once(living: Living) -> None:
    """Both are configured, and the texts differ by a word."""
    both = living.letter.file.read_text("utf-8").replace("sources:\n", "sources:\n  - folder: posts\n")
    living.letter.file.write_text(both, "utf-8")
    link = "http://www.stillepost.example/de-tas/?utm_source=rss"
    living.show(item("tas", link=link, content=faultfeed.story("tas") + "<p>Nog een woord.</p>"))
    assert living.run().post == "De tas bij de deur"
    for _ in range(2):
        living.letter.clock.jump(days=7)
        assert living.run().post != "De tas bij de deur"


@pytest.mark.fault(98)
def test_what_a_page_turns_out_to_say_was_sent_before(living: Living) -> None:
    living.show(item("tas", summary="Soms dragen we […]"))
    assert living.run().outcome == "sent"
    for copy in (living.letter.path / "var" / "feeds").glob("*.json"):
        copy.unlink()
    living.letter.clock.jump(days=7)
    living.show(item("tas", guid="new", link=f"{living.web.url}/anders/", summary="Soms dragen we […]"))
    living.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/anders/")
    report = living.run()
    assert report.outcome == "held"
    assert any("its text was sent before" in note for note in report.notes)


@pytest.mark.fault(98)
def test_a_blog_that_moved_and_shows_beginnings_only_is_not_sent_again(living: Living) -> None:
    """Ids, links, dates and the copy are new, the feed gives less than it did, and the page is of no help."""
    whole = faultfeed.story("tas") + "<p>Morgen verder, aan dezelfde deur.</p>"
    living.show(item("tas", content=whole))
    assert living.run().outcome == "sent"
    for copy in (living.letter.path / "var" / "feeds").glob("*.json"):
        copy.unlink()
    living.letter.clock.jump(days=7)
    moved = {"guid": "new", "link": f"{living.web.url}/anders/", "date": NEWER}
    living.show(item("tas", summary=faultfeed.story("tas"), **moved))
    living.web.play(faultfeed.body(faultfeed.page("brood"), "text/html"), path="/anders/")
    report = living.run()
    assert report.outcome == "held"
    assert any("it looks like the post of this title that was sent before" in note for note in report.notes)
    assert living.letter.once_each(3)
    _choose(living, f"{living.web.url}/anders/", day=report.edition)
    living.letter.clock.jump(minutes=11)
    assert living.run().outcome == "sent", "the editor knows better"


@pytest.mark.fault(98)
def test_a_post_with_a_date_to_come_waits_for_its_day(living: Living) -> None:
    living.show(item("brood", date=FUTURE))
    assert living.run().outcome == "nothing_to_send"
    living.letter.clock.jump(days=7)
    assert living.run().post == "Vers brood"


# --- when it fails ---


@pytest.mark.fault(93)
@pytest.mark.parametrize("code", [404, 410])
def test_a_feed_that_is_gone_holds_the_week_and_says_so_once(living: Living, code: int) -> None:
    living.web.play(faultfeed.status(code))
    assert living.run_and_tell()
    living.letter.clock.jump(minutes=2)
    report = living.run()
    assert (report.outcome, report.exit_code, report.edition) == ("held", 3, DAY)
    assert f"status {code}: the week waits until the feed can be read again" in report.notes[0]
    assert not living.run_and_tell(), "one alarm is enough"
    assert living.letter.copies() == {EDITOR: 1}, "and no reader got anything"
    living.letter.clock.jump(minutes=2)
    living.show(item("tas"))
    assert living.run().outcome == "sent"


@pytest.mark.fault(93)
def test_the_copy_carries_one_week_and_then_the_week_waits(living: Living) -> None:
    living.show(item("trap", date=NEWER), item("tas"))
    living.run()
    living.web.play(faultfeed.status(503))
    living.letter.clock.jump(days=6, hours=23)
    with living.letter.week(source=living.source()) as week:
        tidy(week, stop=Event())
    living.letter.clock.jump(minutes=59)
    report = living.run()
    assert (report.outcome, report.post) == ("sent", "Op de trap")
    assert "the copy of 2026-11-29 07:05Z is used" in report.notes[0]
    living.letter.clock.jump(days=7)
    assert living.run().outcome == "held"


@pytest.mark.fault(93)
def test_another_source_does_not_hide_that_a_feed_is_gone(living: Living) -> None:
    with_folder = living.letter.file.read_text("utf-8").replace("sources:\n", "sources:\n  - folder: posts\n")
    living.letter.file.write_text(with_folder, "utf-8")
    living.web.play(faultfeed.status(404))
    assert living.run().outcome == "held"
    living.letter.clock.jump(minutes=2)
    living.show(item("trap", date="Sat, 05 Sep 2026 10:00:00 +0200"))
    assert living.run().post == "Op de trap"


@pytest.mark.fault(94)
def test_an_empty_feed_is_a_quiet_week(living: Living) -> None:
    living.show()
    report = living.run()
    assert (report.outcome, report.exit_code) == ("nothing_to_send", 0)
    assert "it holds no posts" in report.notes[0]
    assert living.letter.copies() == {}


@pytest.mark.fault(94)
def test_when_all_was_sent_the_week_is_quiet_also_if_the_feed_empties(living: Living) -> None:
    living.show(item("tas"))
    living.run()
    for items in ([item("tas")], []):
        living.letter.clock.jump(days=7)
        living.show(*items)
        report = living.run()
        assert (report.outcome, report.exit_code) == ("nothing_to_send", 0)
    assert living.letter.once_each(3)


@pytest.mark.fault(95)
@pytest.mark.parametrize(
    "answer", ["", "<!doctype html><form>Log in</form>", rss(item("tas"))[:-40], "<rss>", "maintenance"]
)
def test_what_is_no_feed_holds_the_week_and_deletes_nothing(living: Living, answer: str) -> None:
    living.show(item("trap", date=NEWER), item("tas"))
    living.run()
    living.web.play(faultfeed.body(answer, "text/html"))
    living.letter.clock.jump(days=14, minutes=1)
    report = living.run()
    assert report.outcome == "held"
    living.letter.clock.jump(minutes=2)
    living.show(item("brood", date=FUTURE))
    assert living.run().post == "Op de trap", "it was remembered all the while"


@pytest.mark.fault(96)
def test_a_letter_with_lost_characters_waits_for_a_person(living: Living) -> None:
    utf8 = rss(item("tas", content=faultfeed.story("tas") + "<p>Eén café, één idee.</p>")).encode()
    broken = utf8.replace(b"neerzetten?", b"neerz\xe9tten?")
    living.web.play(faultfeed.body(broken))
    report = living.run()
    assert (report.outcome, report.exit_code) == ("held", 3)
    assert any("lost-characters" in note for note in report.notes)
    assert living.letter.copies() == {}


@pytest.mark.fault(136)
@pytest.mark.fault(137)
def test_a_feed_that_leads_inside_holds_the_week(living: Living) -> None:
    with fault_feed() as inner:
        inner.play(faultfeed.body(rss(item("tas"))))
        living.web.play(faultfeed.redirect(inner.feed))
        report = living.run()
        assert report.outcome == "held"
        assert "which is this machine; it is not asked" in report.notes[0]
        assert inner.asked == []


@pytest.mark.fault(136)
@pytest.mark.fault(138)
@pytest.mark.parametrize(
    ("feed", "says"),
    [
        ("http://127.0.0.1/feed", "this machine; if you mean that, write 'internal: true'"),
        ("http://localhost/feed", "this machine; if you mean that"),
        ("http://10.0.0.8/feed", "a private network; if you mean that"),
        ("http://[::1]/feed", "this machine; if you mean that"),
        ("http://169.254.169.254/latest/meta-data/", "a cloud's metadata service"),
        ("http://2130706433/feed", "writes an IP address in an unusual way"),
        ("http://0x7f.1/feed", "writes an IP address in an unusual way"),
        ("https://ann:secret@blog.example/feed", "must not contain a user name or password"),
        ("/etc/passwd", "is not a web address"),
        ("file:///etc/passwd", "is not a web address"),
        ("feed.xml", "is not a web address"),
        ("ftp://blog.example/feed", "is not a web address"),
        ("gopher://blog.example/", "is not a web address"),
    ],
)
def test_a_feed_s_address_is_judged_before_anything_starts(tmp_path: Path, feed: str, says: str) -> None:
    with newsletter(tmp_path / "brief") as letter:
        file = letter.path / "schedule.yaml"
        file.write_text(file.read_text("utf-8").replace("- folder: posts", f"- feed: {feed}"), "utf-8")
        done = letter.weekbrief("run", "--json")
    assert done.returncode == 2
    assert "schedule.yaml:8: sources[0]" in done.stderr
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert "root:" not in done.stderr


def test_metadata_is_never_meant(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief") as letter:
        from_feed(letter.path / "schedule.yaml", "http://169.254.169.254/latest/")
        letter.subscribe(1)
        said = letter.run()
    assert (said["outcome"], said["exit"]) == ("held", 3)
    assert "a cloud's metadata service; it is not asked" in said["notes"][0]


def test_a_newsletter_without_a_feed_loads_nothing_of_it(tmp_path: Path) -> None:
    loaded = "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    program = f"{loaded}; from pipeline.cli import main; main()"
    with newsletter(tmp_path / "brief") as letter:
        done = subprocess.run(
            [sys.executable, "-c", program, *letter.command("plan")[3:]],
            env=letter.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "pipeline.plan" in done.stderr.split()
    heavy = {"pipeline.sources.feed", "pipeline.sources.fetch", "pyexpat", "pipeline.sources.feed_format"}
    assert not heavy & set(done.stderr.split())
