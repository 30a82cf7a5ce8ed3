"""Bytes into posts: Markdown, HTML pages and fragments, WordPress blocks, plain text."""

from __future__ import annotations

import random
import time
import zlib
from datetime import UTC, datetime

import pytest

from pipeline.post import BlockKind, Post
from pipeline.reading import Unreadable, read_post
from pipeline.reading.charsets import misread
from pipeline.reading.frontmatter import parse_date
from pipeline.reading.read import Draft

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read(text: str, name: str = "post.md", **options) -> Post:
    return read_post(text.encode(), name=name, **options)


def blocks(post: Post) -> list[tuple[str, str]]:
    return [(block.kind.value, post.text[block.start : block.end]) for block in post.blocks]


def test_markdown_gives_headings_paragraphs_lists_quotes_and_code():
    post = read(
        "# Kop\n\nEen *regel*\nen [nog](https://example.org) een.\n\n## Twee\n\n- punt\n  - "
        "dieper\n\n> citaat\n\n```\ncode\n```\n"
    )
    assert blocks(post) == [
        ("heading", "Kop"),
        ("paragraph", "Een regel en nog een."),
        ("heading", "Twee"),
        ("list_item", "punt"),
        ("list_item", "dieper"),
        ("quote", "citaat"),
        ("code", "code"),
    ]
    assert [block.level for block in post.blocks] == [1, 0, 2, 0, 1, 0, 0]


def test_front_matter_is_understood():
    post = read(
        "---\ntitle: 'Weih&shy;nacht: het feest'\nlang: nl-BE\ndate: 2024-03-05 08:30:00 +0100\n"
        "canonical_url: https://example.org/feest\ndescription: Kort.\nquestion: Wie ben jij?\n"
        "example: Een stoel.\n---\nTekst.\n"
    )
    assert post.title == "Weihnacht: het feest"
    assert (post.language, post.url, post.lead) == ("nl", "https://example.org/feest", "Kort.")
    assert post.published == datetime(2024, 3, 5, 7, 30, tzinfo=UTC)
    assert (post.question, post.example) == ("Wie ben jij?", "Een stoel.")
    assert post.text == "Tekst."


def test_toml_front_matter_is_understood():
    post = read('+++\ntitle = "Rust"\ndate = 2024-03-05T08:30:00Z\ndraft = false\n+++\nTekst.\n')
    assert (post.title, post.published.year) == ("Rust", 2024)


def test_words_that_look_like_other_types_stay_words():
    post = read("---\ntitle: 1984\nlang: no\n---\nTekst.\n")
    assert (post.title, post.language) == ("1984", "no")


def test_a_rule_across_the_page_is_no_front_matter():
    assert blocks(read("---\nGewone tekst\n\n---\nmeer\n"))[0][1].startswith("Gewone")


def test_a_draft_is_told_apart():
    with pytest.raises(Draft, match="draft"):
        read("---\ndraft: true\n---\nTekst.\n")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"---\ntitle: a: b: c\n---\nTekst\n", "line 2.*not valid YAML.*quotes"),
        (b"+++\ntitle = \n+++\nTekst\n", "not valid TOML"),
        (b"", "no text"),
        (b"   \n\n", "no text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not text"),
        (b"\x81\x8d\x8f\x90\x9d", "UTF-8"),
    ],
)
def test_what_cannot_be_read_says_why_and_names_the_file(raw, says):
    with pytest.raises(Unreadable, match=rf"^post\.md: .*{says}"):
        read_post(raw, name="post.md")


def test_a_file_too_large_for_a_post_is_refused():
    with pytest.raises(Unreadable, match="20 MB"):
        read_post(b"a" * 20_000_001, name="post.md")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding):
    assert read_post("Één café – “ja”".encode(encoding), name="a.txt").text == "Één café – “ja”"


NO_CHARSET = ["undefined", "punycode", "idna", "rot13", "hex", "zlib", "utf-7", "unicode_escape", "no-such"]


@pytest.mark.fault(96)
@pytest.mark.parametrize("label", [*NO_CHARSET, "utf-16", "utf-16le", "utf-32", "mbcs", "-", "_"])
@pytest.mark.parametrize("written", ["utf-8", "cp1252"])
def test_a_page_that_names_no_charset_of_ours(label, written):
    raw = f"<html><meta charset={label}><p>Één café +ADw- \\u0041 – xn--4ca.</p></html>".encode(written)
    assert read_post(raw, name="a.html").text == "Één café +ADw- \\u0041 – xn--4ca."


@pytest.mark.fault(97)
def test_a_page_is_not_decoded_as_punycode():
    """That takes quadratic time: eleven seconds of CPU for 400 kB."""
    raw = b'<meta charset="punycode"><p>' + b"a " * 100_000 + b"</p>-" + b"a" * 200_000
    began = time.process_time()
    assert read_post(raw, name="a.html").text.startswith("a a ")
    assert time.process_time() - began < 5, "CPU seconds"


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("label", "encoding", "words"),
    [("iso-8859-1", "cp1252", "Één – “ja”"), ("koi8-r", "koi8-r", "Привет"), ("ibm866", "cp866", "Привет"),
     ("Shift_JIS", "shift_jis", "こんにちは"), ("gb2312", "gb2312", "你好")],
)  # fmt: skip
def test_a_charset_that_a_page_names(label, encoding, words):
    raw = f'<html><meta content="text/html; charset={label}"><p>{words}</p></html>'.encode(encoding)
    assert read_post(raw, name="a.html").text == words


MEANT = "<p>💡 Één café – wat laat jij staan, Zoë?</p>"


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    "label", ["iso-8859-1", "windows-1252", "iso-8859-15", "koi8-r", "shift_jis", "us-ascii"]
)
@pytest.mark.parametrize("name", ["a.html", "a.md", "a.txt"])
def test_utf_8_is_utf_8_whatever_a_page_names(label, name):
    page = f'<html><head><meta charset="{label}"></head><body>{MEANT}</body></html>'
    declared = f'<?xml version="1.0" encoding="{label}"?>{page.replace("<meta", "<meta name=x")}'
    header = f"text/html; charset={label}"
    for raw, content_type in ((page, ""), (declared, ""), (f"<html><body>{MEANT}</body></html>", header)):
        post = read_post(raw.encode(), name=name, content_type=content_type)
        assert post.text.endswith("💡 Één café – wat laat jij staan, Zoë?")


@pytest.mark.fault(96)
@pytest.mark.parametrize("label", ["utf-8", "iso-8859-1", "no-such", ""])
@pytest.mark.parametrize("header", ["", "text/html; charset=utf-8", "text/html; charset=ISO-8859-1"])
def test_windows_1252_is_recognised_whatever_a_page_names(label, header):
    page = f'<html><head><meta charset="{label}"></head><body><p>Één café – wat?</p></body></html>'
    assert read_post(page.encode("cp1252"), name="a.html", content_type=header).text == "Één café – wat?"


@pytest.mark.fault(96)
def test_the_header_counts_more_than_the_page_and_a_comment_does_not_count():
    page = "<html><!-- <meta charset=koi8-r> --><meta charset={}><p>Што ты сегодня ОСТАВИШЬ?</p></html>"
    raw = page.format("windows-1251").encode("cp1251")
    assert "ОСТАВИШЬ" in read_post(raw, name="a.html").text
    raw = page.format("koi8-r").encode("cp1251")
    assert "ОСТАВИШЬ" in read_post(raw, name="a.html", content_type="text/html; charset=windows-1251").text


@pytest.mark.fault(96)
def test_a_byte_order_mark_counts_most():
    page = "<html><meta charset=koi8-r><p>Één café</p></html>"
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        raw = page.encode(encoding)
        assert read_post(raw, name="a.html", content_type="text/html; charset=koi8-r").text == "Één café"
    assert read_post(page.encode("utf-16-le"), name="a.html").text == "Één café", "recognised by its tags"


@pytest.mark.fault(96)
@pytest.mark.parametrize("byte", [b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"])
def test_a_byte_that_means_nothing_costs_one_character_and_no_page(byte):
    """It is not dropped: the check `lost-characters` is to see that a letter of a word is missing."""
    raw = "<html><p>Wat laat jij vandaag st?n, en wat neem je mee naar café?</p></html>".encode("cp1252")
    text = read_post(raw.replace(b"?n", byte + b"n"), name="a.html").text
    assert text == "Wat laat jij vandaag st\ufffdn, en wat neem je mee naar café?"


@pytest.mark.fault(96)
def test_broken_utf_8_loses_what_is_broken_alone():
    raw = MEANT.encode().replace("é –".encode(), b"\xe9 \xe2\x80\x93")
    assert read_post(raw, name="a.html").text == "💡 Één caf\ufffd – wat laat jij staan, Zoë?"


def test_controls_are_what_windows_1252_has_there():
    """As browsers read `&#146;`; text that was Windows-1252 and went through ISO-8859-1 is full of them."""
    post = read("<p>It\x92s \x93you\x94 \x96 &#146;\x85</p>", name="a.html")
    assert post.text == "It’s “you” – ’…"
    assert read("st\x81n").text == "st\ufffdn", "there is nothing there that can be meant"


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    "words",
    ["Zoë", "café", "señor", "l’été", "“ja”", "où", "5 €", "💡 Wat?", "naïef", "Ünal", "groß", "→ zo"],
)
def test_what_was_read_in_a_wrong_charset_is_told_apart(words):
    wrong = words.encode().decode("cp1252", "replace")
    assert misread(wrong)
    assert not misread(words)


@pytest.mark.parametrize(
    "words",
    ["«CAFÉ»", "IRMÃ", "“AMANHÔ…", "MAÇÃ»", "Âge", "pâte", "bâton", "Ça va", "AÏE!", "½ kilo à 3 €", "ÂÊÎ"],
)
def test_what_people_write_is_not(words):
    assert not misread(words)


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.txt"])
def test_what_is_packed_is_no_text(name):
    noise = random.Random(7).randbytes(50_000)
    for raw in (
        b"%PDF-1.7\n" + noise,
        b"PK\x03\x04" + noise,
        noise.replace(b"\0", b"a"),
        zlib.compress(noise),
    ):
        with pytest.raises(Unreadable, match=rf"^{name}: is not text"):
            read_post(raw, name=name)


def test_a_stray_control_does_not_make_a_file_unreadable():
    words = "Een gewone zin die lang genoeg is om er een te zijn, en nog een. "
    assert read_post(f"{words}\0\x07{words}".encode(), name="a.md").text == f"{words}{words}".strip()


def test_a_page_at_the_address_of_markdown_is_a_page():
    page = "<!DOCTYPE html>\n<html><head><title>Rust</title></head><body>\n\n    <p>Tekst.</p></body></html>"
    assert blocks(read(page, name="rust.md")) == [("paragraph", "Tekst.")]


def test_the_normalised_text():
    post = read(
        "Weih\u00adnacht\u200b en\u00a0 meer   wit,\ncafe\u0301.\n\n\n\nTwee\r\nregels  \r\nhier.\r\n"
    )
    assert post.text == "Weihnacht en meer wit, café.\n\nTwee regels\nhier."


def test_short_codes_icons_footnotes_and_attributes_are_not_words():
    post = read(
        "{{% remark %}}\nBinnen.\n{{% /remark %}}\n\n{% include figure.html src='a' %}\n\n## "
        "::map:: Kaart\n\n"
        "Zin met voetnoot[^1].\n{: .lead}\n\n[^1]: Weg hiermee.\n"
    )
    assert blocks(post) == [
        ("paragraph", "Binnen."),
        ("heading", "Kaart"),
        ("paragraph", "Zin met voetnoot."),
    ]


def test_html_inside_markdown():
    post = read("<p><p>Een <strong>regel</strong>.</p></p>\n\n<ul><li>punt</li></ul>\n")
    assert blocks(post) == [("paragraph", "Een regel."), ("list_item", "punt")]


def test_wordpress_blocks():
    post = read(
        "<!-- wp:paragraph --><p>Eerste.</p><!-- /wp:paragraph -->"
        "<!-- wp:list --><ul class='wp-block-list'><li>punt</li></ul><!-- /wp:list -->"
        "<!-- wp:quote --><blockquote class='wp-block-quote'><p>Citaat.</p></blockquote><!-- /wp:quote -->"
        "<div class='sharedaddy'><p>Deel dit</p></div>"
        "<div class='wp-block-buttons'><a>Koop nu</a></div>",
        name="post.html",
    )
    assert blocks(post) == [("paragraph", "Eerste."), ("list_item", "punt"), ("quote", "Citaat.")]


def test_two_breaks_part_paragraphs_and_one_stays_a_line():
    post = read("<div>Een.<br>Nog een.<br><br>Twee.</div>", name="feed.html")
    assert blocks(post) == [("paragraph", "Een.\nNog een."), ("paragraph", "Twee.")]


def test_a_bold_line_of_its_own_is_a_heading_but_a_bold_question_is_not():
    post = read("**Fase een**\n\nTekst.\n\n**Wat laat jij los?**\n")
    assert [kind for kind, _ in blocks(post)] == ["heading", "paragraph", "paragraph"]


def test_captions_and_table_cells_are_no_paragraphs():
    post = read(
        "<figure><figcaption>Onderschrift</figcaption></figure><table><tr><td>cel</td></tr></table><p>Tekst.</p>",
        name="a.html",
    )
    assert [kind for kind, _ in blocks(post)] == ["other", "other", "paragraph"]


def test_a_paragraph_in_a_table_that_lays_out_the_page_is_read():
    post = read("<table><tr><td><p>Tekst in een tabel.</p></td></tr></table>", name="a.html")
    assert blocks(post) == [("paragraph", "Tekst in een tabel.")]


PAGE = """<!DOCTYPE html>
<html lang="de"><head><title>Ruhe – Mein Blog</title><meta property="og:title" content="Ruhe">
<link rel="canonical" href="https://example.org/ruhe"><meta name="description" content="Über Ruhe.">
<meta property="article:published_time" content="2025-01-02T03:04:05+01:00"><style>p {{}}</style></head>
<body class="has-sidebar"><header class="site-header"><p>Mein Blog</p></header>
<nav><ul><li>Start</li></ul></nav>
{content}
<aside class="sidebar"><p>Beliebte Beiträge</p></aside>
<div id="comments"><p>Erster Kommentar, lang genug, um gelesen zu werden.</p></div>
<footer><p>Impressum</p></footer><script>var a = 1;</script></body></html>"""
BODY = "".join(
    f"<p>Das ist Absatz {n} über die Ruhe, und er ist lang genug für einen Text.</p>" for n in range(6)
)


@pytest.mark.parametrize(
    "content",
    [
        f"<article><h1>Ruhe</h1>{BODY}</article>",
        f"<main>{BODY}<div class='related-posts'><p>Ähnliches</p></div></main>",
        f"<div class='entry-content'>{BODY}<div class='newsletter'><p>Abonnieren</p></div></div>",
        f"<div id='x1'><div id='x2'>{BODY}</div></div>",
    ],
)
def test_a_whole_page_is_cut_down_to_its_article(content):
    post = read(PAGE.format(content=content), name="page.html")
    assert post.title == "Ruhe"
    assert (post.language, post.url, post.lead) == ("de", "https://example.org/ruhe", "Über Ruhe.")
    assert post.published == datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert "Absatz 0" in post.text
    assert "Absatz 5" in post.text
    for outside in (
        "Mein Blog",
        "Start",
        "Beliebte",
        "Kommentar",
        "Impressum",
        "Ähnliches",
        "Abonnieren",
        "var a",
    ):
        assert outside not in post.text


def test_hidden_elements_are_not_read():
    assert (
        read("<p>Zichtbaar.</p><p hidden>Weg.</p><p style='display: none'>Weg.</p>", name="a.html").text
        == "Zichtbaar."
    )


def test_plain_text_as_pasted():
    post = read(
        "Over rust\n\nEen gewone zin die lang genoeg is. En nog een.\n\nKopje hier\n\n  • punt "
        "een;\n  • punt twee.\n\n1. stap\n",
        name="a.txt",
    )
    assert blocks(post) == [
        ("heading", "Over rust"),
        ("paragraph", "Een gewone zin die lang genoeg is. En nog een."),
        ("heading", "Kopje hier"),
        ("list_item", "punt een;"),
        ("list_item", "punt twee."),
        ("list_item", "stap"),
    ]
    assert post.title == "Over rust"


def test_lines_broken_at_a_fixed_width_are_joined_and_others_are_not():
    wrapped = (
        "Dit is een regel die door een programma is afgebroken\nop een vaste breedte van "
        "ongeveer vijftig tekens, en\nverder gaat.\n"
    )
    assert len(read(wrapped, name="a.txt").blocks) == 1
    assert (
        len(
            read(
                "Kort.\nOok kort.\nEn deze is veel en veel langer dan de andere twee.\n", name="a.txt"
            ).blocks
        )
        == 3
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "Gisteren zaten we op de trap en keken naar de regen tegen het raam, en daarna aten we "
            "soep aan tafel.",
            "nl",
        ),
        (
            "Yesterday we sat on the stairs and watched the rain on the window, and after that we ate soup.",
            "en",
        ),
        (
            "Gestern saßen wir auf der Treppe und sahen dem Regen am Fenster zu, danach aßen wir "
            "Suppe am Tisch.",
            "de",
        ),
        (
            "Hier, nous étions assis dans l'escalier et regardions la pluie sur la vitre, puis nous "
            "avons mangé.",
            "fr",
        ),
        (
            "Ayer nos sentamos en la escalera y miramos la lluvia en la ventana, y después cenamos una sopa.",
            "es",
        ),
        (
            "Igår satt vi i trappan och tittade på regnet mot fönstret, och sedan åt vi soppa vid bordet.",
            "sv",
        ),
    ],
)
def test_the_language_is_recognised(text, code):
    assert read(text, default_language="xx").language == code


def test_who_decides_the_language():
    said = "---\nlang: fr\n---\nKort.\n"
    assert read(said, language="de").language == "de"
    assert read(said).language == "fr"
    assert read("Kort.", default_language="nl").language == "nl"


@pytest.mark.parametrize(
    ("text", "name", "year"),
    [
        ("---\ndate: 2021-01-01\n---\na", "2022-02-02-a.md", 2021),
        ("a", "posts/2022-02-02-a.md", 2022),
        ("a", "20230303.md", 2023),
        ("a", "a.md", 2026),
        ("---\ndate: gisteren\n---\na", "a.md", 2026),
        ("a", "9999-99-99.md", 2026),
    ],
)
def test_where_the_date_comes_from(text, name, year):
    assert read(text, name=name, modified=NOON).published.year == year


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2014-12-10 12:00:00 +01:00", datetime(2014, 12, 10, 11, tzinfo=UTC)),
        ("2013-04-09T21:57:00+00:00", datetime(2013, 4, 9, 21, 57, tzinfo=UTC)),
        ("2022-04-28T11:39:25.393Z", datetime(2022, 4, 28, 11, 39, 25, tzinfo=UTC)),
        ("2021-10-06 17:00", datetime(2021, 10, 6, 17, tzinfo=UTC)),
        ("2021-13-01", None),
        ("soon", None),
        ("", None),
    ],
)
def test_dates(written, meant):
    assert parse_date(written) == meant


@pytest.mark.parametrize(
    ("name", "title"),
    [("2024-01-02-de-kunst.md", "De kunst"), ("rust/index.md", "Rust"), ("a_b.md", "A b")],
)
def test_a_title_from_the_name(name, title):
    assert read("Een gewone zin.", name=name).title == title


def test_an_emoji_made_of_several_signs_stays_whole():
    assert read("👩‍👩‍👧 samen").text == "👩‍👩‍👧 samen"


def test_right_to_left_and_chinese_text_are_kept():
    post = read("שלום עולם\n\n你好，世界。你好吗？\n")
    assert blocks(post) == [("paragraph", "שלום עולם"), ("paragraph", "你好，世界。你好吗？")]
    assert BlockKind.PARAGRAPH.value == "paragraph"
