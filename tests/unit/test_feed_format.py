"""Bytes of a feed into entries: every format, every lie about the charset, and every bomb."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.sources.charset import decode
from pipeline.sources.feed_format import Entry, NotAFeed, read_feed
from tests import faultfeed

BASE = "https://blog.example/feed/"
WHEN = datetime(2026, 9, 6, 8, 0, tzinfo=UTC)


def read(text: str | bytes, content_type: str = "") -> tuple[Entry, ...]:
    raw = text.encode() if isinstance(text, str) else text
    return read_feed(raw, base=BASE, content_type=content_type).entries


def refused(text: str | bytes) -> str:
    with pytest.raises(NotAFeed) as caught:
        read(text)
    return str(caught.value)


# --- formats ---


def test_rss_with_the_whole_post() -> None:
    (entry,) = read(faultfeed.rss(faultfeed.item("tas")))
    assert (entry.id, entry.link) == ("https://blog.example/?p=tas", "https://blog.example/tas/")
    assert (entry.title, entry.published, entry.language) == ("De tas bij de deur", WHEN, "nl")
    assert entry.whole
    assert entry.body == faultfeed.story("tas")


def test_the_whole_post_counts_more_than_its_summary() -> None:
    both = "<description>Kort.</description><content:encoded>&lt;p&gt;Heel.&lt;/p&gt;</content:encoded>"
    (entry,) = read(faultfeed.rss(f"<item><title>x</title>{both}</item>"))
    assert (entry.body, entry.summary, entry.whole) == ("<p>Heel.</p>", "Kort.", True)
    (entry,) = read(faultfeed.rss("<item><title>x</title><description>Kort.</description></item>"))
    assert (entry.body, entry.whole) == ("Kort.", False)


def test_atom_with_its_kinds_of_text() -> None:
    entries = read(
        """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de" xml:base="https://blog.example/b/">
        <title>Blog</title>
        <entry><id>urn:1</id><title>1 &lt; 2</title><link rel="self" href="x.atom"/><link href="een.html"/>
          <published>2026-09-06T10:00:00+02:00</published><updated>2026-10-01T00:00:00Z</updated>
          <summary>Kurz.</summary>
          <content type="html">&lt;p&gt;Ganz &amp;amp; gar.&lt;/p&gt;</content></entry>
        <entry xml:lang="fr"><id>urn:2</id><title type="html">A &lt;b&gt;B&lt;/b&gt;</title>
          <link rel="alternate" type="application/pdf" href="/2.pdf"/><link type="text/html" href="/2"/>
          <content type="xhtml">
            <div xmlns="http://www.w3.org/1999/xhtml"><p title="&quot;">un<br/>&lt;deux</p></div>
          </content></entry>
        <entry><id>urn:3</id><title>C</title><link href="https://other.example/"/>
          <content type="text">x &lt; y</content></entry>
        <entry><id>urn:4</id><title>D</title><content src="file:///etc/passwd" type="text/html"/></entry>
        </feed>"""
    )
    assert [entry.id for entry in entries] == ["urn:1", "urn:2", "urn:3", "urn:4"]
    first, second, third, fourth = entries
    assert (first.title, first.title_is_html, first.link) == (
        "1 < 2",
        False,
        "https://blog.example/b/een.html",
    )
    assert (first.published, first.body, first.body_is_html) == (WHEN, "<p>Ganz &amp; gar.</p>", True)
    assert (first.summary, first.language) == ("Kurz.", "de")
    assert (second.title, second.title_is_html, second.link) == ("A <b>B</b>", True, "https://blog.example/2")
    assert second.body == "<div><p title='\"'>un<br>&lt;deux</p></div>"
    assert second.language == "fr"
    assert (third.body, third.body_is_html, third.link) == ("x < y", False, "https://other.example/")
    assert (fourth.body, fourth.whole) == ("", False)


def test_rdf_and_old_rss() -> None:
    (entry,) = read(
        """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
        xmlns:dc="http://purl.org/dc/elements/1.1/">
        <channel rdf:about="x"><title>B</title><dc:language>nl</dc:language></channel>
        <item rdf:about="y"><title>T</title><link>/een</link><description>D</description>
        <dc:date>2026-09-06T10:00:00+02:00</dc:date></item></rdf:RDF>"""
    )
    assert (entry.title, entry.link, entry.published) == ("T", "https://blog.example/een", WHEN)
    assert entry.language == "nl"
    (entry,) = read(
        '<rss version="0.91"><channel><title>B</title><item><title>T</title></item></channel></rss>'
    )
    assert (entry.title, entry.id, entry.link) == ("T", "", "")


def test_json_feed() -> None:
    item = {
        "id": 7,
        "url": "/een",
        "title": "T",
        "content_html": "<p>H</p>",
        "date_published": "2026-09-06T08:00:00Z",
    }
    told = {
        "version": "https://jsonfeed.org/version/1.1",
        "language": "nl",
        "items": [item, "no item", {"id": "8"}],
    }
    first, second = read(json.dumps(told))
    assert (first.id, first.link, first.body, first.whole) == (
        "7",
        "https://blog.example/een",
        "<p>H</p>",
        True,
    )
    assert (first.published, first.language) == (WHEN, "nl")
    assert (second.id, second.body, second.whole) == ("8", "", False)


def test_a_guid_that_is_a_permanent_link_is_the_link() -> None:
    (entry,) = read(faultfeed.rss("<item><title>x</title><guid>https://blog.example/een</guid></item>"))
    assert entry.link == "https://blog.example/een"
    (entry,) = read(
        faultfeed.rss('<item><title>x</title><guid isPermaLink="false">https://a.example/</guid></item>')
    )
    assert entry.link == ""


@pytest.mark.fault(138)
@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a:b@blog.example/",
        "ftp://x/",
    ],
)
def test_a_link_to_anything_but_the_web_is_no_link(link: str) -> None:
    (entry,) = read(faultfeed.rss(faultfeed.item("tas", link=link)))
    assert entry.link == ""


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("Sun, 06 Sep 2026 10:00:00 +0200", WHEN),
        ("Sun, 06 Sep 2026 08:00:00 GMT", WHEN),
        ("6 Sep 2026 08:00 UT", WHEN),
        ("2026-09-06T10:00:00+02:00", WHEN),
        ("2026-09-06 08:00:00", WHEN),
        ("yesterday", None),
        ("Sun, 99 Sep 2026 10:00:00 +0200", None),
        ("9" * 100_000, None),
    ],
)
def test_dates(written: str, day: datetime | None) -> None:
    (entry,) = read(faultfeed.rss(faultfeed.item("tas", date=written)))
    assert entry.published == day


def test_what_html_knows_and_xml_does_not() -> None:
    (entry,) = read(faultfeed.rss("<item><title>Caf&eacute;&nbsp;&amp; brood</title></item>"))
    assert entry.title == "Café\u00a0& brood"


def test_white_space_before_the_declaration_and_control_characters() -> None:
    (entry,) = read("\n\n " + faultfeed.rss("<item><title>a\x0bb\x00c</title></item>"))
    assert entry.title == "abc"


# --- what is no feed (95) ---


@pytest.mark.fault(95)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("<!DOCTYPE html><html><body>Log in</body></html>", "a web page and no feed"),
        ("<html><body>Log in</body></html>", "a web page and no feed"),
        ('<?xml version="1.0"?>\n<!-- x --><!DOCTYPE html PUBLIC "x" "y"><html/>', "a web page and no feed"),
        ('<html xmlns="http://www.w3.org/1999/xhtml"/>', "a web page and no feed"),
        ("Fatal error: out of memory", "neither RSS nor Atom nor JSON Feed"),
        ("<opml><body/></opml>", "no feed: its first element is <opml>"),
        ("<rss><channel><item><title>x</title></item>", "breaks off at line 1"),
        ("<rss><channel><item><title>x</ti", "breaks off at line 1"),
        ("<rss><channel><item><description><![CDATA[x", "breaks off at line 1"),
        ("<rss><channel></rss>", "not sound XML: mismatched tag at line 1"),
        ("<rss><channel/></rss>trailing", "not sound XML: junk after document element"),
        ("<rss><a:b/></rss>", "not sound XML: unbound prefix"),
        ("<rss>&unknown;</rss>", "not sound XML: undefined entity"),
        ('{"version": "https://jsonfeed.org/version/1", "items": [', "breaks off"),
        ('{"error": "not logged in"}', "no JSON Feed"),
        ('{"version": "https://jsonfeed.org/version/1", "items": {}}', "no JSON Feed"),
    ],
)
def test_what_is_no_feed_is_said_and_never_read_in_part(text: str, says: str) -> None:
    assert says in refused(text)


@pytest.mark.fault(95)
def test_a_feed_cut_anywhere_gives_nothing() -> None:
    whole = faultfeed.rss(faultfeed.item("tas"), faultfeed.item("trap"))
    for end in range(1, len(whole), 7):
        refused(whole[:end])


# --- charsets (96) ---

WORDS = "Café “à la carte” – coûte 5 €"


@pytest.mark.fault(96)
@pytest.mark.parametrize("written", ["utf-8", "cp1252", "utf-16", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "declared", ["utf-8", "iso-8859-1", "windows-1252", "utf-16", "us-ascii", "no-such", ""]
)
@pytest.mark.parametrize(
    "header", ["", "text/xml; charset=utf-8", "text/xml; charset=ISO-8859-1", "text/xml"]
)
def test_a_charset_that_lies_is_found_out(written: str, declared: str, header: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    raw = faultfeed.rss(f"<item><title>{WORDS}</title></item>", head=head).encode(written)
    feed = read_feed(raw, base=BASE, content_type=header)
    assert (feed.entries[0].title, feed.remarks) == (WORDS, ())


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("encoding", "words"),
    [("koi8-r", "Привет"), ("shift_jis", "こんにちは"), ("iso-2022-jp", "日本"), ("gb18030", "你好")],
)
@pytest.mark.parametrize("where", ["header", "declaration"])
def test_other_charsets_count_where_they_are_declared(encoding: str, words: str, where: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>' if where == "declaration" else ""
    raw = faultfeed.rss(f"<item><title>{words}</title></item>", head=head).encode(encoding)
    header = f'text/xml; charset="{encoding}"' if where == "header" else "text/xml"
    assert read(raw, header)[0].title == words


@pytest.mark.fault(96)
def test_mixed_charsets_lose_a_few_characters_and_say_so() -> None:
    raw = faultfeed.rss(f"<item><title>{WORDS} é?</title></item>").encode().replace("é?".encode(), b"\xe9?")
    feed = read_feed(raw, base=BASE, content_type="text/xml; charset=iso-8859-1")
    assert feed.entries[0].title == f"{WORDS} \ufffd?"
    assert feed.remarks == ("1 characters could not be read (the feed is not in the charset it names)",)


@pytest.mark.fault(96)
@pytest.mark.parametrize("declared", ["iso-8859-15", "koi8-r", "windows-1251", "iso-8859-2", "utf-8"])
@pytest.mark.parametrize("where", ["header", "declaration"])
def test_one_broken_byte_does_not_make_utf_8_something_else(declared: str, where: str) -> None:
    """Any byte is a character in ISO-8859-15: it would fit, and nobody would be told."""
    head = f'<?xml version="1.0" encoding="{declared}"?>' if where == "declaration" else ""
    whole = faultfeed.rss(f"<item><title>{WORDS} ?</title></item>", head=head).encode()
    header = f"text/xml; charset={declared}" if where == "header" else ""
    feed = read_feed(whole.replace(b" ?<", b" \xe9 ?<"), base=BASE, content_type=header)
    assert feed.entries[0].title == f"{WORDS} \ufffd ?"
    assert feed.remarks == ("1 characters could not be read (the feed is not in the charset it names)",)


@pytest.mark.fault(96)
def test_one_broken_byte_does_not_cost_the_only_mark_of_a_question() -> None:
    raw = faultfeed.rss("<item><title>💡 Wat laat jij staan ?</title></item>").encode()
    feed = read_feed(raw.replace(b" ?<", b" \xe9?<"), base=BASE)
    assert feed.entries[0].title == "💡 Wat laat jij staan \ufffd?"
    assert feed.remarks


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("iso-8859-15", "Één café à côté, straks, für alle, señor, 5 €"),
        ("iso-8859-2", "Zażółć gęślą jaźń, příliš žluťoučký kůň"),
        ("iso-8859-5", "Что ты сегодня ОСТАВИШЬ лежать у двери?"),
        ("koi8-r", "Что ты сегодня ОСТАВИШЬ лежать у двери?"),
        ("windows-1251", "Що ти сьогодні залишиш біля дверей? Її, є, ї."),
        ("iso-8859-7", "Τι θα αφήσεις σήμερα δίπλα στην πόρτα; Άλλο Ένα"),
        ("windows-1255", "מה תשאיר היום ליד הדלת"),
        ("windows-1256", "ما الذي ستتركه اليوم عند الباب، پ چ ژ گ"),
        ("gb18030", "今天你会把什么放在门口？联通模式，努力学习，慢慢来。"),
        ("big5", "今天你會把什麼放在門口？慢慢來。"),
        ("shift_jis", "今日は何を玄関に置いていきますか。ﾀｱｿｲ"),
        ("euc_jp", "今日は何を玄関に置いていきますか。"),
        ("euc_kr", "오늘은 무엇을 문 앞에 두고 가겠습니까?"),
    ],
)
def test_a_foreign_charset_that_is_true_still_counts(encoding: str, words: str) -> None:
    raw = f"<rss><channel><item><title>{words}</title></item></channel></rss>".encode(encoding)
    assert decode(raw, f"text/xml; charset={encoding}") == (raw.decode(encoding), 0)


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    "label", ["zlib", "rot13", "unicode_escape", "utf-7", "idna", "hex", "raw_unicode_escape"]
)
def test_what_python_calls_a_codec_is_not_always_a_charset(label: str) -> None:
    assert decode(b"<a>+ADw-b\\u0041</a>", f"text/xml; charset={label}") == ("<a>+ADw-b\\u0041</a>", 0)


def test_a_byte_order_mark_counts_most() -> None:
    assert decode(codecs.BOM_UTF8 + "é".encode(), "text/xml; charset=koi8-r") == ("é", 0)


# --- bombs (139) ---

_ITEM = "<rss><channel><item><description>"
_END = "</description></item></channel></rss>"
_JSON = '{"version": "https://jsonfeed.org/version/1", "items": '


def laughs() -> str:
    more = (f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE r [<!ENTITY a0 "ha">{"".join(more)}]><rss>&a11;</rss>'


def attributes(pattern: str, number: int) -> str:
    return f"<rss {' '.join(pattern.format(n) for n in range(number))}/>"


def parts(number: int, head: str, tail: str) -> str:
    """Parts of JSON, each another one."""
    return ",".join(f"{head}{n:x}{tail}" for n in range(number))


def just_below_the_bounds() -> str:
    """A JSON Feed with as many parts as pass; backslashes hide half of the quotes."""
    objects, strings = parts(395_000, '{"', '\\\\":1.5}'), parts(200_000, '"', '.\\\\"')
    return f"{_JSON}[{objects},{strings},{'1.5,' * 400_000}0]}}"


def five_thousand_entries() -> str:
    html = '<p>Een, twee, "drie" <a href="https://blog.example/x">en verder</a>, zo gaat het door.</p>' * 30
    author = {"name": "Gerrit", "url": "https://blog.example/", "avatar": "https://blog.example/g.png"}
    about = {"title": "x", "content_html": html, "tags": list("abcdefgh"), "authors": [author]}
    items = [{"id": str(n), "url": f"https://blog.example/{n}", **about} for n in range(5000)]
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items})


BOMBS: dict[str, Callable[[], str]] = {
    "a document type": lambda: '<!DOCTYPE rss [<!ELEMENT rss ANY>]><rss version="2.0"/>',
    "an outer document type": lambda: '<!DOCTYPE rss SYSTEM "http://127.0.0.1/x.dtd"><rss/>',
    "a local file": lambda: f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>{_ITEM}&x;{_END}',
    "a file by parameter": lambda: '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><rss/>',
    "a billion laughs": laughs,
    "a quadratic blow-up": lambda: (
        f'<!DOCTYPE r [<!ENTITY a "{"x" * 100_000}">]><rss>{"&a;" * 100_000}</rss>'
    ),
    "an attribute of 19 MB": lambda: f'<rss version="{"x" * 19_000_000}"/>',
    "a comment of 19 MB": lambda: f"<rss><!--{'x' * 19_000_000}--></rss>",
    "an instruction of 19 MB": lambda: f"<rss><?x {'x' * 19_000_000}?></rss>",
    "a name of 19 MB": lambda: f"<{'x' * 19_000_000}/>",
    "a tag without an end": lambda: f'<rss version="{"x" * 19_000_000}',
    "a million attributes": lambda: attributes('a{}=""', 1_000_000),
    "many namespaces": lambda: attributes('xmlns:a{}="u"', 700_000),
    "six million levels": lambda: "<x>" * 6_000_000,
    "levels inside a post": lambda: f"{_ITEM}{'<b>' * 5_000_000}",
    "five million elements": lambda: f"<rss>{'<a/>' * 4_900_000}</rss>",
    "two million comments": lambda: "<!-- x -->" * 1_900_000,
    "three million named characters": lambda: f"{_ITEM}{'&nbsp;' * 3_000_000}{_END}",
    "JSON levels": lambda: _JSON + "[" * 15_000_000,
    "JSON parts": lambda: f"{_JSON}[{'{},' * 6_000_000}0]}}",
    "JSON strings": lambda: _JSON + "[" + parts(1_500_000, '"', '"') + "]}",
    "JSON strings that end in a backslash": lambda: _JSON + "[" + parts(1_200_000, '"', '\\\\"') + "]}",
    "JSON keys": lambda: _JSON + "[{" + parts(1_200_000, '"', '":1') + "}]}",
    "JSON numbers": lambda: _JSON + "[" + "1.5," * 4_000_000 + "0]}",
    "a number of a million digits": lambda: f"{_JSON}[{'9' * 1_000_000}]}}",
}
HARMLESS: dict[str, Callable[[], str]] = {
    "a post of 19 MB": lambda: f"{_ITEM}{'x' * 19_000_000}{_END}",
    "a post of 19 MB in CDATA": lambda: f"{_ITEM}<![CDATA[{'x ' * 9_500_000}]]>{_END}",
    "three million escapes": lambda: f"{_ITEM}{'&amp;' * 3_000_000}{_END}",
}

CHILD = """
import re, sys, time
from pathlib import Path
from pipeline.sources.feed_format import NotAFeed, read_feed
def peak():  # not ru_maxrss, which a child begins with that of its parent
    return int(re.search(r"VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
raw = open(sys.argv[1], "rb").read()
before = peak()
began = time.process_time()
try:
    said = f"{len(read_feed(raw, base='https://blog.example/').entries)} entries"
except NotAFeed as error:
    said = f"refused: {error}"
took = time.process_time() - began
grew = peak() - before
print(took, grew, said, sep="\\n")
"""


def in_a_child(text: str, tmp_path: Path) -> tuple[float, int, str]:
    """CPU seconds of its own, kB that memory grew beyond the bytes themselves, and what came of it."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak of memory in /proc")
    file = tmp_path / "feed"
    file.write_bytes(text.encode())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(file)], capture_output=True, text=True, check=True
    )
    took, grew, said = done.stdout.splitlines()
    return float(took), int(grew), said


@pytest.mark.fault(139)
@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_within_a_second_and_without_growing(name: str, tmp_path: Path) -> None:
    took, grew, said = in_a_child(BOMBS[name](), tmp_path)
    assert said.startswith("refused: ")
    assert "document type" in said or "<!DOCTYPE" not in BOMBS[name]()[:20]
    assert "root:" not in said
    assert took < 1, f"{took} s of CPU"
    assert grew < 200_000, f"{grew} kB"


@pytest.mark.fault(139)
@pytest.mark.parametrize("name", list(HARMLESS))
def test_a_large_post_is_no_bomb(name: str, tmp_path: Path) -> None:
    took, grew, said = in_a_child(HARMLESS[name](), tmp_path)
    assert said == "1 entries"
    assert took < 1, f"{took} s of CPU"
    assert grew < 250_000, f"{grew} kB"


@pytest.mark.fault(97)
def test_a_json_feed_of_as_many_parts_as_pass_stays_small(tmp_path: Path) -> None:
    took, grew, said = in_a_child(just_below_the_bounds(), tmp_path)
    assert said == "5000 entries"
    assert took < 3, f"{took} s of CPU"
    assert grew < 250_000, f"{grew} kB"


def test_a_json_feed_of_as_many_posts_as_are_read() -> None:
    text = five_thousand_entries()
    assert 10_000_000 < len(text) < 20_000_000
    assert len(read(text)) == 5000


@pytest.mark.fault(139)
def test_nothing_is_resolved_even_where_the_document_type_comes_late() -> None:
    assert "document type" in refused("<!-- x -->" * 100_000 + '<!DOCTYPE r [<!ENTITY a "b">]><rss>&a;</rss>')
    assert "not sound XML" in refused('<rss><!ENTITY a "b">&a;</rss>')
    assert "not sound XML" in refused("<rss/><!DOCTYPE rss>")


@pytest.mark.fault(138)
@pytest.mark.parametrize(
    "text", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/feed", "etc/passwd", "."]
)
def test_text_that_looks_like_a_place_is_text(text: str) -> None:
    assert refused(text) == "the answer is neither RSS nor Atom nor JSON Feed"
