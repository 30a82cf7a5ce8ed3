"""From what a feed says to posts, and what is remembered of it from one time to the next."""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import Process
from pathlib import Path

import pytest

from pipeline import sameness
from pipeline.briefing import Choice, first_brief
from pipeline.condense import condense
from pipeline.pick import pick
from pipeline.post import Post
from pipeline.sameness import NOTHING_COVERED, Covered, canonical_link
from pipeline.settings import NoPick, Pick
from pipeline.sources import Asking, SourceUnavailable, feed_pages, merging
from pipeline.sources.feed import FeedReader, FeedResult
from pipeline.sources.feed_format import Entry
from pipeline.sources.kept import MOST_POSTS, Kept, KeptPost, bounded, kept_file, load, save
from pipeline.sources.merging import merged
from tests import faultfeed
from tests.faultfeed import FaultFeed, fault_feed, item, rss

NOW = datetime(2026, 11, 29, 7, 5, tzinfo=UTC)
OLD = "Sun, 06 Sep 2026 10:00:00 +0200"
NEWER = "Sun, 13 Sep 2026 10:00:00 +0200"
FUTURE = "Sun, 06 Dec 2026 10:00:00 +0200"


@dataclass
class Blog:
    """A feed on loopback and what we remember of it."""

    web: FaultFeed
    folder: Path

    @property
    def file(self) -> Path:
        return kept_file(self.folder, self.web.feed)

    def reader(self, asking: Asking = Asking.KEEP, *, anew: bool = True) -> FeedReader:
        return FeedReader(
            self.web.feed, file=self.file, language="nl", internal=True, asking=asking, anew=anew
        )

    def read(self, now: datetime = NOW, *, asking: Asking = Asking.KEEP) -> FeedResult:
        return self.reader(asking).read(now)

    def gone(self, title: str, now: datetime) -> str:
        """What is said of the post with this title when it would go."""
        reader = self.reader()
        return reader.gone(next(post for post in reader.read(now).posts if post.title == title))

    def posts(self, *items: str, now: datetime = NOW) -> list[Post]:
        """What is known after the feed showed these."""
        self.web.play(faultfeed.body(rss(*items)))
        return list(self.read(now).posts)


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[Blog]:
    with fault_feed() as web:
        yield Blog(web, tmp_path / "var")


def titles(posts: list[Post]) -> list[str]:
    return [post.title for post in posts]


# --- posts ---


def test_an_entry_becomes_a_post_that_can_be_condensed(blog: Blog) -> None:
    (post,) = blog.posts(item("tas"))
    assert (post.key, post.url) == ("https://blog.example/?p=tas", "https://blog.example/tas/")
    assert (post.title, post.language) == ("De tas bij de deur", "nl")
    assert post.published == datetime(2026, 9, 6, 8, 0, tzinfo=UTC)
    found = condense(post)
    assert found.question is not None
    assert found.question.text == faultfeed.question("tas")
    assert found.example is not None


def test_markup_in_a_title_is_not_taken_for_words(blog: Blog) -> None:
    title = "<item><title>&lt;b&gt;Rust&lt;/b&gt; &amp;amp; orde&lt;script&gt;x()&lt;/script&gt;</title>"
    (post,) = blog.posts(f"{title}<guid>1</guid><description>Tekst.</description></item>")
    assert post.title == "Rust & orde"


def test_a_number_for_an_id_is_made_one_of_this_blog(blog: Blog) -> None:
    (post,) = blog.posts(item("tas", guid="17"))
    assert post.key == "127.0.0.1/feed:17"


def test_a_post_without_words_is_named_and_the_others_are_read(blog: Blog) -> None:
    empty = item("trap", content="<img src='x.jpg'>", link="")
    assert titles(blog.posts(empty, item("tas"))) == ["De tas bij de deur"]
    assert "“Op de trap” holds no text" in blog.read().remarks[0]


@pytest.mark.fault(98)
def test_posts_without_dates_keep_the_order_of_the_feed(blog: Blog) -> None:
    """Newest first, as feeds have it; those that come later are younger."""
    first = blog.posts(item("trap", date=None), item("tas", date=None))
    assert titles(sorted(first, key=lambda post: post.published)) == ["De tas bij de deur", "Op de trap"]
    assert all(post.published <= NOW for post in first)
    later = NOW + timedelta(days=7)
    all_of_them = [item(name, date=None) for name in ("brood", "trap", "tas")]
    again = blog.posts(*all_of_them, now=later)
    by_age = sorted(again, key=lambda post: post.published)
    assert titles(by_age) == ["De tas bij de deur", "Op de trap", "Vers brood"]
    assert by_age[:2] == sorted(first, key=lambda post: post.published), "a date, once given, stays"


@pytest.mark.fault(98)
def test_a_post_with_a_future_date_waits_for_its_day(blog: Blog) -> None:
    posts = blog.posts(item("brood", date=FUTURE), item("trap", date=None), item("tas", date=OLD))
    waiting = pick(posts, covered=NOTHING_COVERED, now=NOW, rule=Pick.OLDEST)
    assert titles(waiting) == ["De tas bij de deur", "Op de trap"]
    then = NOW + timedelta(days=7, hours=2)
    assert "Vers brood" in titles(pick(posts, covered=NOTHING_COVERED, now=then, rule=Pick.OLDEST))


HTML_BOMBS = {
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(90_000)) + ">tekst",
    "attributes behind odd quotes": "<p a'=\"'>\" " + " ".join(f"a{n}" for n in range(90_000)) + ">tekst",
    "tags in values": "<a/c=" * 160_000,
    "quotes without end": "<a b=\"<a c='" * 80_000,
    "levels": "<div>" * 100_000 + "tekst",
    "open brackets": "<" * 900_000,
}


@pytest.mark.fault(139)
@pytest.mark.parametrize("name", list(HTML_BOMBS))
def test_a_bomb_in_the_html_of_a_post_costs_less_than_a_second(name: str) -> None:
    entry = Entry(id="1", link="https://blog.example/1", body=HTML_BOMBS[name], body_is_html=True)
    began = time.process_time()
    merged({}, [entry], feed="https://blog.example/", now=NOW, language="nl")
    assert time.process_time() - began < 1


def test_a_post_longer_than_any_is_not_read(blog: Blog) -> None:
    assert titles(blog.posts(item("trap", content="x" * 1_000_001), item("tas"))) == ["De tas bij de deur"]
    assert "is longer than any post" in blog.read().remarks[0]


# --- the same post (98) ---


@pytest.mark.fault(98)
@pytest.mark.parametrize(
    "again",
    [
        item("tas", guid="https://blog.example/?p=other"),
        item("tas", guid=""),
        item("tas", guid="", link=""),
        item("tas", link="http://www.blog.example/tas?utm_source=rss#top"),
        item("tas", guid="new", link="http://www.blog.example/tas?utm_source=rss"),
        item("tas", guid="new", link="https://new.example/een-andere-plek/"),
        item("tas", guid="new", date=NEWER),
    ],
    ids=["id", "no id", "nothing", "link", "id and link written anew", "id and link", "id and date"],
)
def test_a_post_is_the_same_by_id_else_by_link_else_by_its_words(blog: Blog, again: str) -> None:
    (post,) = blog.posts(item("tas"))
    covered = NOTHING_COVERED.with_post(post)
    later = blog.posts(again, now=NOW + timedelta(days=7))
    assert [known.key for known in later] == [post.key]
    assert pick(later, covered=covered, now=NOW + timedelta(days=7), rule=Pick.OLDEST) == []


@pytest.mark.fault(98)
@pytest.mark.parametrize(
    "again",
    [item("tas", guid="new"), item("tas", guid="new", link="https://new.example/x"), item("tas", guid="")],
)
def test_also_when_nothing_is_remembered_of_the_feed(blog: Blog, again: str) -> None:
    (post,) = blog.posts(item("tas"))
    blog.file.unlink()
    later = blog.posts(again, now=NOW + timedelta(days=7))
    assert len(later) == 1
    covered = NOTHING_COVERED.with_post(post)
    assert pick(later, covered=covered, now=NOW + timedelta(days=7), rule=Pick.OLDEST) == []


@pytest.mark.fault(98)
def test_doubles_in_one_feed_are_one_post(blog: Blog) -> None:
    posts = blog.posts(
        item("tas"), item("tas"), item("tas", guid="x"), item("tas", guid="y", link="https://z.example/")
    )
    assert len(posts) == 1


@pytest.mark.fault(98)
def test_a_link_that_many_posts_share_says_nothing(blog: Blog) -> None:
    same = "https://blog.example/dagboek/"
    posts = blog.posts(item("tas", guid="1", link=same), item("trap", guid="2", link=same))
    assert len(posts) == 2
    again = blog.posts(item("brood", guid="3", link=same), now=NOW + timedelta(days=7))
    assert len(again) == 3
    covered = NOTHING_COVERED.with_post(posts[0])
    assert len(pick(again, covered=covered, now=NOW + timedelta(days=7), rule=Pick.OLDEST)) == 2


def told(posts: list[Post]) -> list[tuple[str, str]]:
    return sorted((post.title, post.url or "") for post in posts)


@pytest.mark.fault(98)
@pytest.mark.parametrize("guid", ["", "https://blog.example/"], ids=["no id", "one id for all"])
def test_posts_on_one_page_or_with_one_id_are_each_a_post(blog: Blog, guid: str) -> None:
    def one(name: str) -> str:
        return item(name, guid=guid, link=f"https://blog.example/notes#{name}")

    first = blog.posts(one("trap"), one("tas"))
    assert len(first) == 2
    later = blog.posts(one("brood"), now=NOW + timedelta(days=7))
    assert told(later) == [
        ("De tas bij de deur", "https://blog.example/notes#tas"),
        ("Op de trap", "https://blog.example/notes#trap"),
        ("Vers brood", "https://blog.example/notes#brood"),
    ]
    assert {post.key for post in first} < {post.key for post in later}
    assert blog.posts(one("brood"), one("trap"), now=NOW + timedelta(days=8)) == later
    covered = NOTHING_COVERED.with_post(first[0])
    waiting = pick(later, covered=covered, now=NOW + timedelta(days=9), rule=Pick.OLDEST)
    assert len(waiting) == 2, "the page they share does not make them one"


@pytest.mark.fault(98)
def test_a_link_that_many_posts_share_says_nothing_of_a_whole_post_either(blog: Blog) -> None:
    same = f"{blog.web.url}/dagboek"
    begun = "Soms dragen we meer dan we merken […]"
    old = item("trap", guid="2", link=same)
    blog.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/dagboek")
    blog.web.play(faultfeed.body(rss(old, item("tas", guid="1", link=same, summary=begun))))
    reader = blog.reader()
    sent, post = reader.read(NOW).posts
    covered = NOTHING_COVERED.with_post(sent)
    assert first_brief([post], whole=reader.whole, gone=reader.gone, covered=covered).brief is not None


@pytest.mark.fault(98)
def test_posts_with_one_id_and_no_link_are_told_apart_by_their_words(blog: Blog) -> None:
    posts = blog.posts(item("trap", guid="x", link=""), item("tas", guid="x", link=""))
    assert titles(posts) == ["Op de trap", "De tas bij de deur"]


@pytest.mark.fault(98)
def test_of_two_entries_with_one_id_and_link_the_newest_counts(blog: Blog) -> None:
    new = item("tas", content=faultfeed.story("tas") + "<p>Verbeterd.</p>", date=NEWER)
    (post,) = blog.posts(new, item("tas"))
    assert post.text.endswith("Verbeterd.")


@pytest.mark.fault(98)
def test_a_number_is_an_id_within_one_feed_alone() -> None:
    one, other = (merging.key_of(Entry(id="12"), f"https://h.example/{part}/feed") for part in ("nl", "en"))
    assert one != other


def test_pictures_inside_a_post_are_no_words_of_it(blog: Blog) -> None:
    picture = f'<img src="data:image/png;base64,{"A" * 1_200_000}">'
    (post,) = blog.posts(item("tas", content=picture + faultfeed.story("tas")))
    assert condense(post).question is not None


@pytest.mark.fault(98)
def test_a_post_of_two_sources_goes_once(blog: Blog, tmp_path: Path) -> None:
    """From two feeds of one blog, or from a folder and a feed, a word apart."""
    (post,) = blog.posts(item("tas"))
    other = replace(post, key="tag:blog.example,2026:tas", text=post.text + " Nog iets.")
    file = replace(other, key="tas.md", stable_key=True)
    for both in ([post, other], [post, file]):
        for sent in both:
            covered = NOTHING_COVERED.with_post(sent)
            assert pick(both, covered=covered, now=NOW, rule=Pick.OLDEST) == []


WHOLE = f"{faultfeed.story('tas')}<p>Morgen verder, aan dezelfde deur en met dezelfde schouder.</p>"
BEGUN = (
    "Soms dragen we meer dan we merken, en het begint met je tas. Neerzetten Voorbeeld: Je komt thuis van je "
    "werk en houdt je tas nog vast terwijl je de post bekijkt. Pas na een kwartier merk je dat […]"
)
ELSEWHERE = {"guid": "new", "link": "https://new.example/een-andere-plek/"}


@pytest.mark.fault(98)
@pytest.mark.parametrize(
    "again",
    [
        item("tas", summary=BEGUN, **ELSEWHERE),
        item("tas", summary=BEGUN.replace("[…]", "<a>Lees verder →</a>"), **ELSEWHERE),
        item("tas", summary=BEGUN, date="Sun, 06 Sep 2026 10:00:00 GMT", **ELSEWHERE),
    ],
    ids=["dots", "words", "lost zone"],
)
def test_the_beginning_of_a_known_post_is_that_post(blog: Blog, again: str) -> None:
    """All ids and links are new, and the feed gives less than before: the text that is known stays."""
    (post,) = blog.posts(item("tas", content=WHOLE))
    for week in (7, 14):
        (later,) = blog.posts(again, now=NOW + timedelta(days=week))
        assert (later.key, later.text) == (post.key, post.text)
        assert later.url == "https://new.example/een-andere-plek/"
    assert NOTHING_COVERED.with_post(post).has(later)


@pytest.mark.fault(98)
@pytest.mark.parametrize(
    "other",
    [
        item("tas", summary=BEGUN, date=NEWER, **ELSEWHERE),
        item("tas", summary=BEGUN, date=None, **ELSEWHERE),
        item("tas", summary=BEGUN, **ELSEWHERE).replace("De tas bij de deur", "De tas, deel twee"),
        item("tas", summary=BEGUN.replace("schouder", "rug").replace("Pas na", "Al na"), **ELSEWHERE),
        item("tas", summary="Soms dragen we meer […]", **ELSEWHERE),
        item("tas", content=faultfeed.story("brood"), **ELSEWHERE),
    ],
    ids=["date", "no date", "title", "words", "few words", "another story"],
)
def test_a_post_that_only_looks_like_a_known_one_is_another(blog: Blog, other: str) -> None:
    (post,) = blog.posts(item("tas", content=WHOLE))
    later = blog.posts(other, now=NOW + timedelta(days=7))
    assert len(later) == 2
    assert post in later, "and what was known stays as it was"


SERIES = (
    "Elke zondag kijken we terug op de week: wat er gebeurde, wat bleef liggen en wat we laten gaan. " * 3
)


def weekly(number: int, *, whole: bool) -> str:
    told = {"content": f"<p>{SERIES}</p>{faultfeed.story('trap')}<p>Deel {number}.</p>"}
    date = f"Sun, {6 + 7 * number:02} Sep 2026 10:00:00 +0200"
    link = f"https://blog.example/week/{number}/"
    one = item(
        "trap", guid=f"w{number}", link=link, date=date, **(told if whole else {"summary": f"{SERIES} […]"})
    )
    return one.replace("Op de trap", "Weekoverzicht")


@pytest.mark.fault(98)
@pytest.mark.parametrize("whole", [True, False])
def test_the_posts_of_a_series_are_each_a_post(blog: Blog, whole: bool) -> None:
    """One title, one opening, and with beginnings alone nothing but date and link to tell them apart."""
    first = blog.posts(weekly(0, whole=True))
    later = blog.posts(weekly(2, whole=whole), weekly(1, whole=whole), now=NOW + timedelta(days=7))
    assert len(later) == 3
    assert len({post.key for post in later}) == 3
    covered = NOTHING_COVERED.with_post(first[0])
    assert len(pick(later, covered=covered, now=NOW, rule=Pick.OLDEST)) == 2
    if whole:
        assert not any(covered.resembles(post) for post in later if post.key != first[0].key)


@pytest.mark.fault(98)
def test_a_series_that_was_imported_at_one_moment_stays_a_series(blog: Blog) -> None:
    """All times are those of the import, and all titles and openings the same."""

    def one(number: int, *, whole: bool) -> str:
        return weekly(number, whole=whole).replace(f"{6 + 7 * number:02} Sep", "06 Sep")

    assert len(blog.posts(one(0, whole=True), one(1, whole=True))) == 2
    assert len(blog.posts(one(2, whole=False), now=NOW + timedelta(days=7))) == 3, "two had this title"
    blog.file.unlink()
    assert len(blog.posts(one(0, whole=True))) == 1
    other = one(3, whole=False).replace("Elke zondag", "Iedere zondag")
    assert len(blog.posts(one(2, whole=False), other, now=NOW + timedelta(days=7))) == 3, "two have it now"


@pytest.mark.fault(98)
def test_a_series_without_times_stays_a_series(blog: Blog) -> None:
    """Each gets the time at which it was first seen, which says nothing of the post."""
    first, second = (re.sub("<pubDate>.*?</pubDate>", "", weekly(n, whole=not n)) for n in range(2))
    assert len(blog.posts(first)) == 1
    assert len(blog.posts(second, now=NOW + timedelta(hours=1))) == 2


@pytest.mark.fault(98)
@pytest.mark.parametrize("text", [f"{SERIES} […]", SERIES], ids=["beginning", "short"])
def test_what_looks_like_a_post_that_was_sent_waits_for_a_word_of_the_editor(blog: Blog, text: str) -> None:
    """Nothing is remembered of the feed, so that its date says nothing: it is not sent, and not hidden."""
    (sent,) = blog.posts(weekly(0, whole=True))
    covered = NOTHING_COVERED.with_post(sent)
    blog.file.unlink()
    story = text + " 💡 Wat laat jij vandaag liggen?"
    other = weekly(1, whole=False).replace(f"{SERIES} […]", text)
    reader = blog.reader()
    blog.web.play(faultfeed.body(rss(other)))
    (post,) = reader.read(NOW).posts
    assert covered.resembles(post)
    assert not covered.resembles(replace(post, title="Maandoverzicht"))
    unnamed = NOTHING_COVERED.with_post(replace(sent, title="💡"))
    assert not unnamed.resembles(replace(post, title="✨")), "neither has a title of letters"
    assert not covered.resembles(replace(post, text=story)), "it says something else"
    assert not covered.resembles(replace(post, text=text[:40]))
    assert pick([post], covered=covered, now=NOW, rule=Pick.OLDEST) == [post]
    found = first_brief([post], covered=covered)
    assert found.brief is None
    assert "it looks like the post of this title that was sent before; if it is another" in found.notes[0]
    words = {"question": "Wat laat jij liggen?", "example": "Een trap met een jas."}
    assert first_brief([post], covered=covered, choice=Choice(post=post.key, **words)).brief is not None
    after = replace(post, key="tag:another", title="Een andere week", **words)
    held = first_brief([post, after], covered=covered, no_pick=NoPick.HOLD)
    assert held.brief is not None, "what was sent before is no reason to wait for the editor"
    assert held.brief.post.key == "tag:another"


@pytest.mark.fault(98)
def test_a_post_that_was_changed_a_little_holds_the_example_that_was_sent(blog: Blog) -> None:
    (post,) = blog.posts(item("tas"))
    brief = condense(post).brief()
    assert brief is not None
    covered = NOTHING_COVERED.with_post(post, example=brief.example.text)
    changed = replace(
        post, key="tag:new", url="https://new.example/", text="Vooraf. " + post.text + " Nog iets."
    )
    assert not covered.has(changed)
    assert covered.resembles(changed)
    assert not covered.resembles(replace(changed, title="Terugblik op 2026")), "it may quote that one"
    assert not covered.resembles(replace(changed, text=post.text.replace(brief.example.text, "Anders.")))
    assert covered.resembles(replace(changed, key="tas.md", stable_key=True)), "it went from a feed"


def test_a_plan_hashes_each_text_once(blog: Blog, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = blog.posts(item("tas"), item("trap"), item("brood"))
    hashed: list[str] = []
    monkeypatch.setattr(sameness, "text_mark", lambda text: hashed.append(text) or text)
    covered = Covered()
    for post in posts:
        assert post in pick(posts, covered=covered, now=NOW, rule=Pick.OLDEST)
        covered = covered.with_post(post)
    assert pick(posts, covered=covered, now=NOW, rule=Pick.OLDEST) == []
    assert sorted(hashed) == sorted(post.text for post in posts)


def test_a_file_that_looks_like_another_is_another() -> None:
    file = Post(key="a.md", title="Week", language="nl", published=NOW, text=SERIES, blocks=())
    covered = NOTHING_COVERED.with_post(file)
    assert not covered.resembles(replace(file, key="b.md"))
    assert covered.resembles(replace(file, key="tag:b", stable_key=False))


def test_a_file_is_known_by_its_name_alone() -> None:
    post = Post(
        key="a.md",
        title="A",
        language="nl",
        published=NOW,
        text="Tekst.",
        blocks=(),
        url="https://b.example/a",
    )
    covered = NOTHING_COVERED.with_post(post)
    assert covered.has(post)
    assert not covered.has(replace(post, key="b.md"))
    of_a_feed = NOTHING_COVERED.with_post(replace(post, key="https://b.example/?p=1", stable_key=False))
    assert of_a_feed.has(replace(post, text="Anders.")), "what went from a feed does not go again from a file"
    assert of_a_feed.has(replace(post, url=None))
    assert not of_a_feed.has(replace(post, text="Anders.", url=None))
    assert covered.has(replace(post, key="b.md", stable_key=False))
    assert covered.has(replace(post, key="b.md", stable_key=False, text="Anders."))
    assert not Covered().has(post)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://Blog.Example/Een/", "blog.example/Een"),
        ("http://www.blog.example:80/Een#x", "blog.example/Een"),
        ("https://blog.example/?p=1&utm_medium=feed", "blog.example?p=1"),
        ("https://blog.example:8443/a", "blog.example:8443/a"),
        ("https://blog.example/", ""),
        ("https://blog.example/?utm_source=rss", ""),
        ("mailto:x@blog.example", ""),
        ("http://[bad/", ""),
        (None, ""),
    ],
)
def test_what_of_a_link_counts(url: str | None, link: str) -> None:
    assert canonical_link(url) == link


# --- what is remembered ---


def test_posts_that_drop_off_the_feed_stay(blog: Blog) -> None:
    blog.posts(item("tas"))
    blog.posts(item("trap", date=NEWER), now=NOW + timedelta(days=7))
    posts = blog.posts(item("brood", date=FUTURE), now=NOW + timedelta(days=14))
    assert titles(posts) == ["De tas bij de deur", "Op de trap", "Vers brood"]


def test_a_post_that_was_edited_is_edited_here_too(blog: Blog) -> None:
    (before,) = blog.posts(item("tas"))
    (after,) = blog.posts(item("tas", content=faultfeed.story("tas") + "<p>Een regel meer.</p>"))
    assert after.key == before.key
    assert after.text == before.text + "\n\nEen regel meer."


def test_what_was_remembered_is_what_was_read(blog: Blog) -> None:
    posts = blog.posts(item("tas"), item("trap"))
    assert list(blog.read(asking=Asking.REMEMBER).posts) == posts
    assert len(blog.web.asked) == 1


def test_the_feed_is_asked_only_for_what_changed(blog: Blog) -> None:
    blog.web.play(faultfeed.with_etag(rss(item("tas"))))
    first = blog.read()
    again = blog.read(NOW + timedelta(days=30))
    assert again.posts == first.posts
    assert blog.web.told[1]["if-none-match"] == '"een"'
    blog.web.play(faultfeed.status(500))
    assert blog.read(NOW + timedelta(days=36)).posts == first.posts, "the 304 made the copy fresh"


def test_a_look_writes_nothing_and_is_not_repeated_at_once(blog: Blog) -> None:
    blog.web.play(faultfeed.body(rss(item("tas"))))
    for _ in range(3):
        assert len(blog.read(asking=Asking.LOOK).posts) == 1
    assert len(blog.web.asked) == 1
    assert not blog.file.exists()


def test_a_copy_that_is_broken_is_made_anew(blog: Blog, caplog: pytest.LogCaptureFixture) -> None:
    posts = blog.posts(item("tas"))
    whole = blog.file.read_text("utf-8")
    for broken in ("", "{", "[]", '{"format": 99}', whole[:-20], whole.replace('"start"', '"x"')[:100]):
        blog.file.write_text(broken, "utf-8")
        with caplog.at_level(logging.WARNING):
            assert list(blog.read().posts) == posts
        assert "made anew" in caplog.text
        (aside,) = blog.file.parent.glob(f"{blog.file.name}.broken-*")
        assert aside.read_text("utf-8") == broken, "it may hold what stands nowhere else"
        assert list(blog.read().remarks) == []
        aside.unlink()


def test_the_editor_hears_of_a_broken_copy(blog: Blog) -> None:
    blog.posts(item("tas"))
    blog.file.write_text("{", "utf-8")
    for asking in (Asking.REMEMBER, Asking.LOOK, Asking.KEEP):
        assert "is put aside as" in blog.read(asking=asking).remarks[0]
    assert blog.read().remarks == ()


def test_a_copy_that_cannot_be_read_now_is_not_written_over(
    blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    blog.posts(item("tas"))
    blog.posts(item("trap", date=NEWER), now=NOW + timedelta(days=1))

    def too_many(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", too_many)
        with pytest.raises(SourceUnavailable, match="cannot be read: Too many open files"):
            blog.read(NOW + timedelta(days=2))
        assert "Too many open files" in blog.read(asking=Asking.REMEMBER).problems[0]
    assert len(blog.read(NOW + timedelta(days=3)).posts) == 2


def test_the_copy_keeps_its_mode(blog: Blog) -> None:
    blog.posts(item("tas"))
    blog.file.chmod(0o640)
    blog.posts(item("trap"))
    assert blog.file.stat().st_mode & 0o777 == 0o640


def test_two_writers_lose_no_post(blog: Blog) -> None:
    """One reads a page slowly while the other takes in what is new."""
    blog.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/tas")
    blog.web.play(faultfeed.body(rss(teaser(blog, "tas"))))
    slow = blog.reader()
    (post,) = slow.read(NOW).posts
    blog.web.play(faultfeed.body(rss(item("trap"))))
    blog.reader().refresh(NOW + timedelta(days=2), after=timedelta(days=1))
    slow.whole(post)
    kept = load(blog.file)
    assert {one.post.title: one.teaser for one in kept.posts.values()} == {
        "De tas bij de deur": False,
        "Op de trap": False,
    }
    assert kept.read_at == NOW + timedelta(days=2)
    before = load(blog.file)
    blog.posts(item("brood"), now=NOW + timedelta(days=3))
    save(blog.file, blog.web.feed, replace(before, read_at=NOW + timedelta(days=2, hours=1)), before=before)
    kept = load(blog.file)
    assert (len(kept.posts), kept.read_at) == (3, NOW + timedelta(days=3))
    two = [Process(target=_save_many, args=(blog.file, name)) for name in ("a", "b")]
    for each in two:
        each.start()
    for each in two:
        each.join(60)
    assert len(load(blog.file).posts) == 3 + 2 * 20


def _save_many(file: Path, name: str) -> None:
    for n in range(20):
        before = load(file)
        post = replace(next(iter(before.posts.values())).post, key=f"{name}:{n}")
        new = {**before.posts, post.key: KeptPost(post=post, fingerprint="")}
        save(file, "https://blog.example/", replace(before, posts=new, asked_at=NOW), before=before)


def test_a_disk_that_is_full_keeps_no_letter(blog: Blog, caplog: pytest.LogCaptureFixture) -> None:
    blog.folder.write_text("a file where the folder should be")
    assert len(blog.posts(item("tas"))) == 1
    assert "cannot be written" in caplog.text


def test_the_copy_is_bounded(tmp_path: Path) -> None:
    post = Post(key="", title="", language="nl", published=NOW, text="x", blocks=())
    made = {
        str(n): KeptPost(
            post=replace(post, key=str(n), published=NOW - timedelta(hours=n)),
            fingerprint="",
            shown=n > 10_005,
        )
        for n in range(MOST_POSTS + 10)
    }
    left = bounded(made)
    assert len(left) == MOST_POSTS
    assert {str(MOST_POSTS + 9), "0"} <= set(left), "what is shown stays, and the youngest"
    save(tmp_path / "feeds" / "x.json", "https://blog.example/", Kept(posts=left))
    assert load(tmp_path / "feeds" / "x.json").posts == left


# --- a feed that fails (93, 95) ---

FAILURES = {
    "404": (faultfeed.status(404), "status 404"),
    "410": (faultfeed.status(410), "status 410"),
    "503": (faultfeed.status(503), "status 503"),
    "empty": (faultfeed.body(""), "is empty"),
    "login": (faultfeed.body("<!doctype html><title>Log in</title>", "text/html"), "a web page and no feed"),
    "truncated": (faultfeed.body(rss(item("tas"))[:-60]), "breaks off"),
    "cut": (faultfeed.cut(rss(item("tas"))), "broke off"),
    "malformed": (faultfeed.body("<rss><channel></rss>"), "not sound XML"),
    "bomb": (faultfeed.gzip_bomb, "larger than"),
}


@pytest.mark.fault(93)
@pytest.mark.fault(95)
@pytest.mark.parametrize("failure", list(FAILURES))
def test_the_copy_is_used_while_it_is_fresh_and_not_longer(blog: Blog, failure: str) -> None:
    play, says = FAILURES[failure]
    posts = blog.posts(item("tas"), item("trap"))
    blog.web.play(play)
    found = blog.read(NOW + timedelta(days=7, hours=23))
    assert list(found.posts) == posts, "not taken for posts that were deleted"
    (problem,) = found.problems
    assert says in problem
    assert "the copy of 2026-11-29 07:05Z is used" in problem
    with pytest.raises(SourceUnavailable, match=says) as caught:
        blog.read(NOW + timedelta(days=8, hours=1))
    assert "it was last read on 2026-11-29: the week waits" in str(caught.value)
    assert blog.posts(item("tas"), item("trap"), now=NOW + timedelta(days=9)) == posts, "and then it is back"


@pytest.mark.fault(93)
@pytest.mark.parametrize("failure", list(FAILURES))
def test_without_any_copy_the_week_waits(blog: Blog, failure: str) -> None:
    blog.web.play(FAILURES[failure][0])
    with pytest.raises(SourceUnavailable, match=FAILURES[failure][1]):
        blog.read()


@pytest.mark.fault(93)
def test_a_feed_that_fails_is_left_alone_for_a_minute(blog: Blog) -> None:
    blog.web.play(faultfeed.status(500))
    for seconds in (0, 30, 59):
        with pytest.raises(SourceUnavailable, match="status 500"):
            blog.reader(anew=False).read(NOW + timedelta(seconds=seconds))
    assert len(blog.web.asked) == 1
    assert len(blog.posts(item("tas"), now=NOW + timedelta(seconds=61))) == 1


@pytest.mark.fault(93)
def test_the_daily_look_at_a_feed_that_fails_is_repeated_within_the_hour(blog: Blog) -> None:
    blog.posts(item("tas"))
    blog.web.play(faultfeed.status(503))
    for hours in (24, 24.5, 25, 26):
        blog.reader().refresh(NOW + timedelta(hours=hours), after=timedelta(days=1))
    assert len(blog.web.asked) == 4
    blog.web.play(faultfeed.body(rss(item("tas"))))
    for hours in (27, 28, 50):
        blog.reader().refresh(NOW + timedelta(hours=hours), after=timedelta(days=1))
    assert len(blog.web.asked) == 5


def test_a_feed_that_was_read_answers_from_the_copy_for_ten_minutes(blog: Blog) -> None:
    blog.posts(item("tas"))
    blog.web.play(faultfeed.body(rss(item("trap"), item("tas"))))
    counts = [len(blog.reader(anew=False).read(NOW + timedelta(minutes=m)).posts) for m in (1, 5, 9, 11)]
    assert counts == [1, 1, 1, 2]
    assert len(blog.web.asked) == 2


@pytest.mark.fault(94)
def test_a_feed_without_posts_is_no_failure_and_forgets_none(blog: Blog) -> None:
    assert blog.posts() == []
    assert blog.read().problems == ()
    assert "it holds no posts" in blog.read().remarks[0]
    (post,) = blog.posts(item("tas"))
    assert blog.posts() == [post]


@pytest.mark.fault(96)
def test_lost_characters_are_named_with_their_post(blog: Blog) -> None:
    raw = (
        rss(item("tas", content=faultfeed.story("tas") + "<p>één caf?</p>"))
        .encode()
        .replace(b"caf?", b"caf\xe9")
    )
    blog.web.play(faultfeed.body(raw))
    found = blog.read()
    assert "caf\ufffd" in found.posts[0].text
    assert any("“De tas bij de deur” has characters that could not be read" in said for said in found.remarks)


# --- posts of which the feed gives only the beginning ---


def teaser(blog: Blog, name: str) -> str:
    return item(name, link=f"{blog.web.url}/{name}", summary="Soms dragen we meer dan we merken […]")


def test_the_page_is_read_when_the_post_is_next_and_then_remembered(blog: Blog) -> None:
    blog.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/tas")
    blog.web.play(faultfeed.body(rss(teaser(blog, "trap"), teaser(blog, "tas"))))
    reader = blog.reader()
    posts = {post.title: post for post in reader.read(NOW).posts}
    assert blog.web.asked == ["/feed"], "no page is read before it is needed"
    whole = reader.whole(posts["De tas bij de deur"])
    assert isinstance(whole, Post)
    assert faultfeed.question("tas") in whole.text
    assert whole.key == posts["De tas bij de deur"].key
    assert blog.web.asked == ["/feed", "/tas"]
    assert reader.whole(posts["De tas bij de deur"]) == whole, "a plan of several weeks asks again"
    again = blog.reader()
    kept = {post.title: post for post in again.read(NOW).posts}
    assert again.whole(kept["De tas bij de deur"]) == whole
    assert blog.web.asked == ["/feed", "/tas", "/feed"]


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("header", "written"), [("iso-8859-1", "utf-8"), ("windows-1252", "utf-8"), ("utf-8", "cp1252")]
)
def test_the_charset_of_a_post_s_page_may_lie(blog: Blog, header: str, written: str) -> None:
    page = (
        faultfeed.page("tas")
        .replace("allang", "één keer")
        .replace("<body>", f"<meta charset={header}><body>")
    )
    raw = page.encode(written, "xmlcharrefreplace")
    blog.web.play(faultfeed.body(raw, f"text/html; charset={header}"), path="/tas")
    blog.web.play(faultfeed.body(rss(teaser(blog, "tas"))))
    reader = blog.reader()
    (post,) = reader.read(NOW).posts
    whole = reader.whole(post)
    assert isinstance(whole, Post)
    assert "💡 Wat draag jij nog met je mee dat je één keer kunt neerzetten?" in whole.text


@pytest.mark.fault(136)
@pytest.mark.fault(137)
def test_a_post_s_page_is_fetched_by_the_same_rules(blog: Blog) -> None:
    with fault_feed() as inner:
        inner.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/tas")
        for link in (f"{inner.url}/tas", "http://169.254.169.254/latest/", f"{blog.web.url}/moved"):
            blog.web.play(faultfeed.redirect(f"{inner.url}/tas"), path="/moved")
            blog.web.play(faultfeed.body(rss(item("tas", link=link, summary="Kort […]"))))
            reader = blog.reader()
            found = reader.whole(reader.read(NOW).posts[0])
            assert isinstance(found, str)
            assert "it is not asked" in found
        assert inner.asked == []


@pytest.mark.parametrize("code", [404, 410])
def test_an_old_post_that_was_taken_back_is_not_used(blog: Blog, code: int) -> None:
    """Its page must be missing twice, a day apart: before that it is only passed over."""
    old, week = item("tas", link=f"{blog.web.url}/tas"), timedelta(days=7)
    blog.posts(old)
    blog.posts(item("trap", date=NEWER), now=NOW + week)
    blog.web.play(faultfeed.status(code), path="/tas")
    for later in (timedelta(0), timedelta(hours=23)):
        said = blog.gone("De tas bij de deur", NOW + week + later)
        assert f"its page is not there: {blog.web.url}/tas: the server answered with status {code}" in said
        assert len(blog.read(NOW + week + later, asking=Asking.REMEMBER).posts) == 2
    assert "it was taken back" in blog.gone("De tas bij de deur", NOW + week + timedelta(days=1))
    assert titles(list(blog.read(asking=Asking.REMEMBER).posts)) == ["Op de trap"]
    assert len(blog.posts(old, now=NOW + timedelta(days=14))) == 2, "unless the feed shows it again"


def test_a_page_that_is_back_was_not_taken_back(blog: Blog) -> None:
    blog.posts(item("tas", link=f"{blog.web.url}/tas"))
    blog.posts(item("trap", date=NEWER), now=NOW + timedelta(days=7))
    for days, play, gone in (
        (7, faultfeed.status(404), True),
        (14, faultfeed.body("Er weer.", "text/html"), False),
        (21, faultfeed.status(404), True),
    ):
        blog.web.play(play, path="/tas")
        assert bool(blog.gone("De tas bij de deur", NOW + timedelta(days=days))) is gone
    assert len(blog.read(asking=Asking.REMEMBER).posts) == 2, "the two times were not one after the other"


@pytest.mark.fault(93)
def test_a_site_that_is_away_takes_no_post_back(blog: Blog) -> None:
    """Feed and pages say 404 alike, for days: no page is asked, and nothing is lost."""
    blog.posts(item("tas", link=f"{blog.web.url}/tas"))
    blog.posts(item("trap", date=NEWER, link=f"{blog.web.url}/trap"), now=NOW + timedelta(days=7))
    blog.web.play(faultfeed.status(404))
    for hours in (1, 26, 51):
        assert blog.gone("De tas bij de deur", NOW + timedelta(days=7, hours=hours)) == ""
    assert set(blog.web.asked) == {"/feed"}
    assert len(blog.read(asking=Asking.REMEMBER).posts) == 2


def test_a_post_that_the_feed_shows_is_never_taken_back(blog: Blog) -> None:
    blog.web.play(faultfeed.body(rss(teaser(blog, "tas"))))
    for days in (0, 2, 4):
        reader = blog.reader()
        (post,) = reader.read(NOW + timedelta(days=days)).posts
        assert "its page is not there" in str(reader.whole(post))
    blog.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/tas")
    reader = blog.reader()
    assert faultfeed.question("tas") in reader.whole(reader.read(NOW).posts[0]).text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "play", [faultfeed.status(503), faultfeed.status(403), faultfeed.body("x", "text/html")]
)
def test_an_old_post_is_used_when_its_page_is_there_or_does_not_say(blog: Blog, play: faultfeed.Play) -> None:
    blog.posts(item("tas", link=f"{blog.web.url}/tas"))
    blog.posts(item("trap", date=NEWER), now=NOW + timedelta(days=7))
    blog.web.play(play, path="/tas")
    reader = blog.reader()
    post = reader.read(NOW + timedelta(days=7)).posts[0]
    assert reader.whole(post) == post
    assert blog.web.asked[-1] == "/feed", "only the post that goes is looked after"
    assert reader.gone(post) == ""
    assert blog.web.asked[-1] == "/tas"


def test_only_so_many_pages_are_read_in_one_run(blog: Blog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_pages, "MOST_PAGES", 1)
    blog.web.play(faultfeed.body(rss(teaser(blog, "trap"), teaser(blog, "tas"))))
    reader = blog.reader()
    said = [reader.whole(post) for post in reader.read(NOW).posts]
    assert ["its page is not there" in str(said[0]), "enough pages" in str(said[1])] == [True, True]
    assert len(blog.web.asked) == 2
    reader.begin_slot()
    assert "its page is not there" in str(reader.whole(reader.read(NOW).posts[1])), "each letter has its own"


def test_old_posts_that_are_looked_at_leave_the_beginnings_their_turn(
    blog: Blog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_pages, "MOST_PAGES", 1)
    old = [item("tas", link=f"{blog.web.url}/tas"), item("trap", link=f"{blog.web.url}/trap")]
    blog.posts(*old)
    blog.web.play(faultfeed.body(faultfeed.page("brood"), "text/html"), path="/brood")
    start = item("brood", link=f"{blog.web.url}/brood", summary="Soms dragen we meer […]")
    reader = blog.reader()
    blog.web.play(faultfeed.body(rss(start)))
    posts = {post.title: post for post in reader.read(NOW).posts}
    for title in ("De tas bij de deur", "Op de trap"):
        assert reader.whole(posts[title]) == posts[title]
        reader.gone(posts[title])
    found = reader.whole(posts["Vers brood"])
    assert isinstance(found, Post)
    assert faultfeed.question("brood") in found.text


@pytest.mark.parametrize("play", [faultfeed.status(503), faultfeed.body("<p>Log in.</p>", "text/html")])
def test_pages_that_give_nothing_leave_the_next_ones_their_turn(
    blog: Blog, monkeypatch: pytest.MonkeyPatch, play: faultfeed.Play
) -> None:
    monkeypatch.setattr(feed_pages, "MOST_PAGES", 1)
    blog.web.play(play, path="/tas")
    blog.web.play(faultfeed.body(faultfeed.page("trap"), "text/html"), path="/trap")
    blog.web.play(faultfeed.body(rss(teaser(blog, "trap"), teaser(blog, "tas"))))
    for week in (0, 1):
        reader = blog.reader()
        posts = {post.title: post for post in reader.read(NOW + timedelta(days=7 * week)).posts}
        reader.whole(posts["De tas bij de deur"])
        found = reader.whole(posts["Op de trap"])
    assert isinstance(found, Post)
    assert faultfeed.question("trap") in found.text


@pytest.mark.parametrize("page", ["<p>We value your privacy.</p>" * 50, "<p>%PDF-1.4 obj</p>" * 50])
def test_a_page_that_does_not_begin_as_the_feed_says_is_not_the_post(blog: Blog, page: str) -> None:
    blog.web.play(faultfeed.body(page, "text/html"), path="/tas")
    blog.web.play(faultfeed.body(rss(teaser(blog, "tas"))))
    reader = blog.reader()
    (post,) = reader.read(NOW).posts
    assert reader.whole(post) == post
    blog.web.play(faultfeed.body(faultfeed.page("tas"), "text/html"), path="/tas")
    assert reader.whole(post) != post, "and it is read again"


def test_a_link_to_another_site_is_not_read(blog: Blog) -> None:
    elsewhere = item("brood", link="http://169.254.169.254/x", summary="Lees dit eens […]")
    own = [item(name, link=f"{blog.web.url}/{name}") for name in ("tas", "trap")]
    blog.web.play(faultfeed.body(rss(elsewhere, *own)))
    reader = blog.reader()
    posts = {post.title: post for post in reader.read(NOW).posts}
    assert reader.whole(posts["Vers brood"]) == posts["Vers brood"]
    assert blog.web.asked == ["/feed"]


def test_an_old_post_s_page_that_was_seen_is_not_asked_again_at_once(blog: Blog) -> None:
    blog.posts(item("tas", link=f"{blog.web.url}/tas"))
    blog.posts(now=NOW + timedelta(days=1))
    blog.web.play(faultfeed.body("Er.", "text/html"), path="/tas")
    for minutes in (0, 5, 9, 11):
        reader = blog.reader(anew=False)
        (post,) = reader.read(NOW + timedelta(days=1, minutes=minutes)).posts
        assert reader.gone(post) == ""
    assert blog.web.asked.count("/tas") == 2
    assert blog.web.asked.count("/feed") == 3, "nor the feed"


def test_a_whole_post_needs_no_page(blog: Blog) -> None:
    blog.web.play(faultfeed.body(rss(item("tas"))))
    reader = blog.reader()
    (post,) = reader.read(NOW).posts
    assert reader.whole(post) is post
    assert blog.web.asked == ["/feed"]
