"""Where a tempting question stands decides whether a letter may ask it. One test for each trap."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.condense import condense
from pipeline.post import BlockKind, Condensed
from pipeline.reading import read_post

SEED = Path(__file__).parents[2].parent / "shared" / "seed"

SCENE = (
    "Vorige week zat ik op de trap met mijn jas nog aan. Mijn dochter kwam naast me zitten en vroeg niets. "
    "We keken samen naar de regen tegen het raam. Na een tijdje zei ze dat ze honger had."
)
GOOD = "Wat heb jij vandaag nodig om tot rust te komen?"
OTHER = "Welke gewoonte zou jij vandaag kunnen loslaten?"


def of(text: str, name: str = "post.md") -> Condensed:
    return condense(read_post(text.encode(), name=name, language="nl"))


def test_an_ordinary_post_gives_both():
    found = of(f"{SCENE}\n\n{GOOD}\n")
    assert found.question is not None
    assert found.question.text == GOOD
    assert found.example is not None
    assert found.example.text == SCENE
    assert found.brief() is not None


@pytest.mark.parametrize(
    ("trap", "text"),
    [
        ("a heading", f"## {GOOD}\n\n{SCENE}\n"),
        ("the title", f"# {GOOD}\n\n{SCENE}\n"),
        (
            "an FAQ under its heading",
            f"{SCENE}\n\n## Veelgestelde vragen\n\n{GOOD}\n\nDat verschilt per mens.\n",
        ),
        ("a question in an FAQ's summary", f"{SCENE}\n\n<details><summary>{GOOD}</summary>Rust.</details>\n"),
        ("the sign-up box", f"{SCENE}\n\n{GOOD} Schrijf je in voor de nieuwsbrief.\n"),
        ("a form", f"{SCENE}\n\n<form><p>{GOOD}</p><input></form>\n"),
        ("a teaser for another post", f"{SCENE}\n\n{GOOD} Lees meer in: De kunst van rusten.\n"),
        ("the list of sources", f"{SCENE}\n\n## Lees ook\n\n- {GOOD}\n"),
        ("code", f"{SCENE}\n\n```\n{GOOD}\n```\n"),
        ("an HTML comment", f"{SCENE}\n\n<!-- {GOOD} -->\n"),
        ("a caption", f"{SCENE}\n\n<figure><img src='a.jpg'><figcaption>{GOOD}</figcaption></figure>\n"),
        ("a line of dialogue", f"{SCENE}\n\n“{GOOD}” vroeg mijn dochter.\n"),
        ("a sentence with a footnote mark", f"{SCENE}\n\n{GOOD.replace('nodig', 'nodig[^1]')}\n"),
        ("a sentence with a web address", f"{SCENE}\n\n{GOOD.replace('om', 'van https://example.org om')}\n"),
        ("a request for comments", f"{SCENE}\n\nWat vind jij? Laat het weten in de reacties.\n"),
        ("a call to action", f"{SCENE}\n\nWil jij leren rusten? Meld je aan voor de training.\n"),
        (
            "a question the next sentence answers",
            f"{SCENE}\n\nWaarom is rust zo moeilijk? Omdat we haast hebben.\n",
        ),
    ],
)
def test_trap(trap, text):
    found = of(text)
    assert found.question is None, f"taken from {trap}: {found.question.text}"
    assert found.no_question


def test_an_faq_without_a_heading_is_seen_by_its_shape():
    answers = "Dat is voor iedereen anders, maar het begint met aandacht voor wat er nu al is."
    faq = "\n\n".join(
        f"{question} {answers}" for question in (GOOD, OTHER, "Waar voel jij je het meest thuis?")
    )
    assert of(f"{SCENE}\n\n{faq}\n").question is None


def test_an_interview_question_is_put_to_the_guest_not_to_the_reader():
    talk = "\n\n".join(
        [
            f"MK: {GOOD}",
            "Anna: Een wandeling, en daarna een kop thee aan de keukentafel.",
            f"MK: {OTHER}",
            "Anna: Mijn telefoon. Ik legde hem vorige maand in de la en daar ligt hij nog.",
        ]
    )
    assert of(f"{talk}\n").question is None


def test_comments_navigation_and_cookies_of_a_page_are_not_read():
    page = f"""<!DOCTYPE html><html lang="nl"><head><title>Rust | Mijn blog</title></head><body>
      <nav><a href="/">Wat zoek jij in je leven?</a></nav>
      <div class="cookie-banner"><p>Wat heb jij liever, koekjes of rust?</p></div>
      <article><h1>Rust</h1><p>{SCENE}</p><p>{GOOD}</p>
        <div class="newsletter-signup"><p>Wanneer gun jij jezelf een brief?</p></div></article>
      <section id="comments"><p>Waar houd jij aan vast?</p></section>
      <footer><p>Wie wil jij zijn?</p></footer></body></html>"""
    post = read_post(page.encode(), name="post.html")
    found = condense(post)
    assert found.question is not None
    assert found.question.text == GOOD
    for outside in ("zoek", "koekjes", "gun", "vast", "Wie wil"):
        assert outside not in post.text


def test_a_marked_question_is_taken_without_its_mark():
    found = of(f"{SCENE}\n\n{OTHER}\n\n💡 {GOOD}\n")
    assert found.question is not None
    assert found.question.text == GOOD


def test_a_marked_example_is_taken_without_its_mark():
    found = of(f"{GOOD}\n\nVoorbeeld: {SCENE}\n")
    assert found.example is not None
    assert found.example.text == SCENE


def test_question_and_example_come_from_the_same_section():
    sections = [
        ("Rust", GOOD, SCENE),
        ("Loslaten", OTHER, SCENE.replace("jas", "pyjama").replace("trap", "bank")),
    ]
    text = "\n\n".join(
        f"## {name}\n\nVoorbeeld: {scene}\n\n💡 {question}" for name, question, scene in sections
    )
    found = of(text)
    assert found.question is not None
    assert found.example is not None
    assert found.question.section == found.example.section


def test_a_long_example_is_cut_at_a_sentence_border():
    long = " ".join(f"{SCENE} Dat was op dag {n}." for n in range(1, 12))
    found = of(f"{GOOD}\n\n{long}\n")
    assert found.example is not None
    assert len(found.example.text.split()) <= 165
    assert found.example.text.endswith(".")


def test_no_question_gives_a_reason():
    found = of(f"{SCENE}\n")
    assert found.question is None
    assert found.no_question == "there is no question in the text"
    assert found.brief() is None


def test_a_language_without_rules_gives_none_with_a_reason():
    found = condense(read_post("Vad behöver du i dag?".encode(), name="a.md", language="sv"))
    assert found.question is None
    assert "sv" in (found.no_question or "")
    assert found.no_example


def test_the_seed_gives_its_own_marked_question_and_an_example_of_the_same_section():
    if not SEED.is_dir():
        pytest.skip("the shared folder with the seed post is not beside the checkout")
    file = next(SEED.glob("*.txt"))
    post = read_post(file.read_bytes(), name=file.name, language="nl")
    found = condense(post)
    assert found.question is not None
    assert found.example is not None
    marked = [line[1:].strip() for line in file.read_text("utf-8").splitlines() if line.startswith("💡")]
    assert found.question.text in marked
    assert post.text[: found.example.start].endswith("Voorbeeld: ")
    assert found.question.section == found.example.section != ""
    assert not any(
        block.kind is BlockKind.HEADING and block.start == found.question.start for block in post.blocks
    )
