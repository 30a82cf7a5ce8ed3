"""Posts as they come out of other programs: odd signs, odd line ends, odd marks. Question and example are
still what was written, word for word, and nothing brings the program down."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import pytest

from pipeline.condense import condense
from pipeline.post import Post
from pipeline.reading import Unreadable, read_post
from pipeline.reading.read import Draft
from pipeline.sources.feed_format import read_feed
from pipeline.sources.merging import merged
from tests import faultfeed
from tests.faultfeed import item, rss

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
QUESTION = "Wat draag jij nog met je mee dat je allang had kunnen neerzetten?"
EXAMPLE = (
    "Je komt thuis van je werk en houdt je tas nog vast terwijl je de post bekijkt. Pas na een kwartier merk "
    "je dat je schouder pijn doet. Je zet de tas bij de deur en ademt uit."
)
POST = f"Soms dragen we meer dan we merken.\n\n## Neerzetten\n\nVoorbeeld: {EXAMPLE}\n\n💡 {QUESTION}\n"


def read(text: str, name: str = "post.md") -> Post:
    return read_post(text.encode(), name=name, default_language="nl")


def picked(post: Post) -> tuple[str, str]:
    """Question and example, each of which stands where it says."""
    condensed = condense(post, candidates=True)
    for quote in (condensed.question, condensed.example, *condensed.candidates):
        assert quote is None or post.text[quote.start : quote.end] == quote.text
    question, example = condensed.question, condensed.example
    return (question.text if question else "", example.text if example else "")


def html(text: str) -> str:
    return "".join(f"<p>{part}</p>" for part in text.split("\n\n"))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("\n", "\r\n"),
        ("\n", "\r"),
        ("\n\n", "\r\n\n\r"),
        ("\n\n", "\u2029"),
        ("\n", "\u2028"),
        ("\n\n", "\n\x0b\n\x0c\n"),
        (" ", "\u00a0"),
        ("draag", "dr\u200baag"),
        ("draag", "dr\u200daag"),
        ("draag", "dr\u2060aag"),
        ("draag", "dr\u00adaag"),
        ("draag", "dr&shy;aag"),
        ("draag", "dr\0aag"),
        ("draag", "dr\x1eaag"),
        ("kwartier", "kwar\x1etier"),
        ("draag", "dr\uffffaag"),
        ("draag", "dra\U000e0041ag"),
        ("💡", "\u200b💡\ufe0f\u200b"),
        ("💡 ", "💡"),
        ("💡 ", "💡💡\u00a0"),
        ("💡", "&#128161;"),
        ("💡", "👉🏿"),
        ("💡", "🧘🏽\u200d♀️"),
        ("💡", "\u202b💡"),
        ("💡", "> > 💡"),
        ("💡", "💡 Vraag："),
        ("Voorbeeld:", "Voor\u00adbeeld:"),
        ("Voorbeeld:", "Voorbeeld :"),
        ("Voorbeeld:", "Voorbeeld\u00a0:"),
        ("Voorbeeld:", "Voorbeeld\u202f:"),
        ("Voorbeeld:", "Voorbeeld："),
        ("Voorbeeld:", "Voorbeeld ：\u00a0"),
        ("Voorbeeld:", "**Voorbeeld**:"),
        ("Voorbeeld:", "👩🏽\u200d🏫 Voorbeeld:"),
        ("Soms", "+++\ntitle = 'De tas'\n[params]\nx = 1\n+++\nSoms"),
        ("Soms", "\ufeff\n\n---\ntitle: De tas\n---\nSoms"),
        ("Soms", "```\n💡 Wat doet deze code met jou?\nVoorbeeld: niets\n```\n\nSoms"),
        ("Soms", "> een\n>> twee\n>>> drie\n\nSoms"),
        ("neerzetten?", "neerzetten? 🙏🏽"),
    ],
)  # fmt: skip
def test_question_and_example_are_found_as_they_were_meant(written: str, instead: str) -> None:
    assert picked(read(POST.replace(written, instead))) == (QUESTION, EXAMPLE)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("💡", "> [!question]\n> 💡"),
        ("💡", "> [!tip]- Een vraag\n> 💡"),
        ("💡", '!!! tip "Een vraag"\n    💡'),
        ("💡", "- [ ] 💡"),
        ("💡", "1. [x] 💡"),
        ("💡", ":bulb:"),
        ("💡", "Vraag voor jou: 💡"),
        ("💡", "💡:"),
        ("💡", "💡 –"),
        ("💡", "💡 %%nog nakijken%%"),
        ("💡", "![[foto.png]]\n\n💡"),
        ("nog met je mee", "==nog met je mee=="),
        ("draag", "[[dragen|draag]]"),
        ("draag", "[[draag#kop]]"),
        ("neerzetten?", "neerzetten? ^vraag-1"),
        ("nog", "~~niet~~ nog"),
        (f"Voorbeeld: {EXAMPLE}", f"> [!example] Voorbeeld\n> {EXAMPLE}"),
        (EXAMPLE, f"{EXAMPLE} ^voorbeeld-1"),
    ],
)
def test_what_notebooks_add_to_markdown_is_not_in_the_letter(written: str, instead: str) -> None:
    assert picked(read(POST.replace(written, instead))) == (QUESTION, EXAMPLE)


@pytest.mark.parametrize("text", ["a == b == c", "50%% en 20%", "12:30:45", "2^10 is 1024", "[!] let op"])
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert read(text).text == text


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("💡", '<img src="1f4a1.png" alt="💡" class="wp-smiley" style="height: 1em">'),
        ("💡", "<strong>💡</strong>&nbsp;"),
        ("💡 ", "💡<br>"),
        ("neerzetten", "neer<wbr>zetten"),
        ("neerzetten", "neer<!-- x -->zetten"),
        ("Wat", '<span style="display: none">geheim</span>Wat'),
        ("nog", "<del>niet</del> nog"),
        ("draag", "dr&#30;aag"),
        ("Voorbeeld:", "<b>Voorbeeld</b>&nbsp;:"),
    ],
)
def test_also_in_html(written: str, instead: str) -> None:
    assert picked(read(html(POST).replace(written, instead), "post.html")) == (QUESTION, EXAMPLE)


WEAK = "Hoe ging het met de tas?"


@pytest.mark.parametrize(
    "marked",
    [
        f"💡 {WEAK}",
        f"💡\n\n{WEAK}",
        f"💡  \n{WEAK}",
        f"## 💡\n\n{WEAK}",
        f"### 💡 Vraag voor jou\n\n{WEAK}",
        f"**💡 Vraag:**\n\n{WEAK}",
        f"Nu jij. 💡 {WEAK}",
        f"Vraag: 💡 {WEAK}",
        f'<div class="kg-callout-emoji">💡</div><div class="kg-callout-text">{WEAK}</div>',
        f"<table><tr><td>💡</td><td><p>{WEAK}</p></td></tr></table>",
    ],
)
def test_the_mark_may_stand_by_itself(marked: str) -> None:
    better = "Wat heb jij vandaag nodig om goed voor jezelf te zorgen?"
    text = f"Soms dragen we meer dan we merken. {better}\n\n## Neerzetten\n\nVoorbeeld: {EXAMPLE}\n\n"
    assert picked(read(f"{text}{marked}\n")) == (WEAK, EXAMPLE)
    unmarked = re.sub("💡 ?", "", marked)
    assert picked(read(f"{text}{unmarked}\n"))[0] == better


@pytest.mark.parametrize(
    "other", ["## ✨ Mijn week", "## 🌱 Nieuw", "## 💡 Een lange titel over lampen", "💡 Licht! Ja."]
)
def test_a_sign_for_something_else_marks_no_question(other: str) -> None:
    better = "Wat heb jij vandaag nodig om goed voor jezelf te zorgen?"
    text = f"Soms dragen we meer dan we merken. {better}\n\n## Neerzetten\n\nVoorbeeld: {EXAMPLE}\n\n"
    assert picked(read(f"{text}{other}\n\n{WEAK}\n"))[0] == better


def test_a_feed_whose_emoji_are_pictures_keeps_its_marks() -> None:
    """WordPress draws every emoji of a feed."""
    drawn = faultfeed.story("tas").replace(
        "💡", '<img src="https://s.example/1f4a1.png" alt="💡" class="wp-smiley">'
    )
    feed = read_feed(rss(item("tas", content=drawn)).encode(), base="https://blog.example/feed")
    posts, _ = merged({}, feed.entries, feed="https://blog.example/feed", now=NOON, language="nl")
    (one,) = posts.values()
    assert f"💡 {faultfeed.question('tas')}" in one.post.text
    assert picked(one.post)[0] == faultfeed.question("tas")


@pytest.mark.parametrize("alt", ["Een lamp – aan", "foto", "", "💡" * 17, "é", "•", "–", "*"])
def test_the_words_of_other_pictures_are_no_words_of_the_post(alt: str) -> None:
    assert read(f'<p>Voor <img src="x.png" alt="{alt}"> na.</p>', "a.html").text == "Voor na."


def test_a_flag_of_a_region_stays_whole_and_hidden_tags_go() -> None:
    scotland = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
    assert (
        read(f"{scotland} hallo\U000e0068\U000e007f, 👩‍👩‍👧 en 🙋🏽‍♀️.").text
        == f"{scotland} hallo, 👩‍👩‍👧 en 🙋🏽‍♀️."
    )


def test_mail_that_was_quoted_in_plain_text() -> None:
    quoted = "\n".join(f"> {line}" if line else ">" for line in POST.replace("## ", "").splitlines())
    assert picked(read(quoted.replace("\n>\n", "\n\n"), "post.txt")) == (QUESTION, EXAMPLE)


def test_a_line_that_ends_with_an_emoji_after_its_mark_is_no_heading() -> None:
    assert (
        picked(read(POST.replace("## ", "").replace(f"💡 {QUESTION}", f"{QUESTION} 💡"), "post.txt"))[0]
        == QUESTION
    )


def test_old_references_in_markdown() -> None:
    assert read("It&#146;s &#147;you&#x94; &#150; &#8211;&#145").text == "It’s “you” – –&#145"


def test_a_title_keeps_its_spaces() -> None:
    head = "<html><body><h1>De <em>tas</em> bij<br>de <b>deur</b></h1><p>Tekst.</p></body></html>"
    assert read(head, "a.html").title == "De tas bij de deur"
    page = "<html><head><title>De\n  tas</title></head><body><p>Tekst.</p></body></html>"
    assert read(page, "a.html").title == "De tas"
    assert read('---\ntitle: "De\\x1e\\ntas"\n---\nTekst.').title == "De tas"


def test_a_title_from_an_odd_name_is_one_line_of_letters() -> None:
    assert read("Een zin.", "2026-01-02-de\n\u202e_tas\x1b.md").title == "De tas"


def test_a_draft_after_empty_lines_is_a_draft() -> None:
    with pytest.raises(Unreadable, match="draft"):
        read("\n \n---\ntitle: Tas\ndraft: true\n---\nTekst.")


def test_a_mistake_is_named_by_its_line_also_after_empty_lines() -> None:
    with pytest.raises(Unreadable, match="line 4"):
        read("\n\n---\ntitle: a: b\n---\nTekst.")


@pytest.mark.parametrize("nothing", ["null", "~", "", "Null", "''"])
def test_a_field_that_was_left_empty_says_nothing(nothing: str) -> None:
    post = read(f"---\ntitle: {nothing}\nquestion: {nothing}\nexample: {nothing}\n---\nEen zin.", "de-tas.md")
    assert (post.title, post.question, post.example) == ("De tas", None, None)
    assert read('---\nquestion: "null"\n---\nEen zin.').question == "null"


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "https://x.example/\u202e",
        "https://",
        "ftp://x.example/",
        "https://x:99999/",
    ],
)
def test_what_is_no_address_is_no_link(url: str) -> None:
    assert read(f"---\nurl: '{url}'\n---\nEen zin.").url is None
    page = f'<html><head><link rel="canonical" href="{url}"></head><body><p>Een zin.</p></body></html>'
    assert read(page, "a.html").url is None
    assert (
        read("---\nurl: 'https://x.example:8443/één?a=b#c'\n---\nEen zin.").url
        == "https://x.example:8443/één?a=b#c"
    )


@pytest.mark.parametrize(
    "head",
    ["title: !!timestamp soon", "title: !!bool maybe", "title: !!float x", "? [a]\n: b", "a: " + "[" * 5000],
)
def test_front_matter_that_nobody_expects_is_named(head: str) -> None:
    try:
        read(f"---\n{head}\n---\nEen zin.")
    except Unreadable as error:
        assert re.match(r"post\.md: (?:line \d+: )?the front matter", str(error))


@pytest.mark.parametrize("head", ["a=" + "9" * 9999, "a=" + "[" * 9999, 'a="\\uD800"', "a=1\na=2"])
def test_toml_that_nobody_expects_is_named(head: str) -> None:
    with pytest.raises(Unreadable, match=r"post\.md: the front matter is not valid TOML"):
        read(f"+++\n{head}\n+++\nEen zin.")


def test_front_matter_without_an_end_to_it_is_refused() -> None:
    with pytest.raises(Unreadable, match="longer than 100000 characters"):
        read("---\n" + "a: b\n" * 30_000 + "---\nEen zin.")


def test_what_no_hand_wrote_is_read_as_plain_text() -> None:
    """Markdown of a million lines takes minutes."""
    assert read("|a|b|\n|-|-|\n" * 30_000).text.startswith("|a|b|")


@pytest.mark.parametrize("suffix", ["md", "html", "txt"])
def test_bytes_at_random_bring_nothing_down(suffix: str) -> None:
    chance, base = (
        random.Random(f"weekbrief {suffix}"),
        f"---\ntitle: Tas\n---\n{POST}\n- a\n\n| a |\n|-|\n".encode(),
    )
    odd = (b"\0", b"\xff\xfe", b"\x1e", b"&#0;", b"<p>", b"</div>", b"```", b"---\n", b"\xe2\x80\xa8",
           b"\xed\xa0\x80", b"<!--", b"<pre>", b"{{x}}", b"\r", b"\x81", "💡".encode())  # fmt: skip
    read_so_far = 0
    for _ in range(400):
        raw = bytearray(base)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.choice((0, 0, 1, 9))] = chance.choice((*odd, chance.randbytes(1)))
        try:
            post = read_post(bytes(raw), name=f"a.{suffix}", default_language="nl", drafts=True)
        except Unreadable:
            continue
        picked(post)
        assert not set("\0\x1e\r") & set(post.text + post.title)
        assert "\n" not in post.title
        (post.text + post.title + post.lead).encode()
        read_so_far += 1
    assert read_so_far > 200, "most of it is still text"


@pytest.mark.parametrize("style", ["font-size:0px;line-height:0", "visibility:hidden"])
def test_what_a_builder_of_mail_wraps_its_text_in_hides_nothing(style: str) -> None:
    inside = '<div style="font-size:13px;visibility:visible">Een zin die iedereen ziet.</div>'
    table = f'<table><tr><td style="{style}">{inside}</td></tr></table>'
    page = f"<html><body><article><h1>Brief</h1>{table}</article>"
    assert "Een zin die iedereen ziet." in read(page, "a.html").text


@pytest.mark.parametrize(
    "text",
    [
        "We kregen 10%% korting en later nog eens 20%% erbij.",
        "Een %% hier.\n\nNog een zin.\n\nEn %% daar.",
        "Hij schreef ^2",
        "Met de groeten van ^Piet",
        "==> Doe dit eens <==",
        "Vier > drie == waar, en dat == ook.",
    ],
)
def test_ordinary_words_are_no_signs(text: str) -> None:
    assert read(text).text == text


def test_a_link_whose_words_stand_in_brackets_is_a_link() -> None:
    post = read(
        "Zie bron [[1]](https://example.com/bron) en [[lees meer]](https://example.com/meer).\n\n[[toc]]\n"
    )
    assert post.text == "Zie bron [1] en [lees meer]."


def test_lines_of_a_poem_from_a_word_processor_are_lines() -> None:
    poem = "\x0b".join(["de dag", "gaat open", "als een hand", "die niets", "wil houden"])
    assert read(poem, "a.txt").text.split() == poem.split()


def test_text_between_two_rules_below_an_empty_line_is_no_head() -> None:
    post = read("\n---\nVraag: wat wil jij echt?\n---\n\nDe rest.")
    assert "wat wil jij echt?" in post.text
    with pytest.raises(Draft):
        read("\n\n---\ndraft: true\n---\n\nNog niet.")


def test_more_than_fifty_is_no_quote() -> None:
    assert read("> 50 mensen kwamen er.", "a.txt").text == "> 50 mensen kwamen er."


def test_a_struck_out_word_is_gone_and_a_sign_nobody_closed_takes_nothing_along() -> None:
    assert read("Wat <s>niet</s> nog?").text == "Wat nog?"
    rest = "Een zin om te bewaren. " * 30
    assert rest.strip() in read(f"Ik lees <s> graag. {rest}").text


def test_an_address_with_a_space_is_one_a_browser_would_open() -> None:
    assert read("---\nurl: 'https://x.example/a b'\n---\nEen zin.").url == "https://x.example/a%20b"


@pytest.mark.parametrize(
    "sign",
    [
        "💡 Voorbeeld",
        "### 💡 Voorbeeld",
        "👉 Voorbeeld:",
        "💡 Mijn verhaal",
        "### ❓ Een verhaal",
        "✨",
        "➡️",
        "💡 Tip",
    ],
)
def test_a_sign_above_a_story_makes_no_question_of_what_is_said_in_it(sign: str) -> None:
    story = (
        "Stel, je collega vraagt: kun jij dit even overnemen? Je merkt dat je schouders omhoog gaan en dat "
        "je al ja wilt zeggen. In plaats daarvan zeg je dat je het nakijkt, en je loopt een rondje buiten."
    )
    asked = "Wat heb jij nodig om vandaag rustig nee te zeggen tegen iemand van wie je houdt?"
    post = read(f"Grenzen stellen is niet makkelijk voor wie graag helpt.\n\n{asked}\n\n{sign}\n\n{story}\n")
    question, example = picked(post)
    assert question == asked
    assert example.startswith("Stel, je collega vraagt")
