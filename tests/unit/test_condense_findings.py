"""What the editor is asked to look at before a pick is sent."""

from __future__ import annotations

import pytest

from pipeline.condense import condense
from pipeline.condense.language import load_language
from pipeline.condense.themes import likeness
from pipeline.reading import read_post

SCENE = (
    "Op een avond zat ik op de trap met mijn jas nog aan. Mijn dochter kwam naast me zitten en "
    "vroeg niets. "
    "We keken samen naar de regen tegen het raam. Na een tijdje zei ze dat ze honger had."
)


def findings(
    question: str = "Wat heb jij nodig om tot rust te komen?", example: str = SCENE, **options
) -> str:
    post = read_post(f"{SCENE}\n\n{question}\n".encode(), name="a.md", language="nl")
    return "\n".join(condense(post, question=question, example=example, **options).findings)


def test_a_timeless_pick_has_no_findings():
    assert findings() == ""


@pytest.mark.parametrize(
    ("question", "finding"),
    [
        ("Wat heb jij vorige week losgelaten?", "“vorige week” is bound to a time"),
        ("Wat doe jij op 24 december om tot rust te komen?", "“24 december” is bound to a time"),
        (
            "Waarom geldt, zoals gezegd, voor jou een grens?",
            "“zoals gezegd” makes sense only inside the post",
        ),
        ("Wat geeft deze derde stap jou aan rust?", "“deze derde stap” makes sense only inside the post"),
        ("Wat heb jij nodig en wat laat je los?", "it asks two things"),
        ("Heb jij vandaag rust genomen?", "it can be answered with yes or no"),
        (f"Wat heb jij nodig {'als het stormt en regent ' * 6}om tot rust te komen?", "or fewer read better"),
        ("Wat laat jij vandaag st\ufffdn?", "it has a character that could not be read (\ufffd)"),
        ("Wat laat jij vandaag staan, ZoÃ«?", "“Ã«” was read in a wrong charset"),
        ("Waar verlang jij naar als het â€˜stilâ€™ is?", "“â€” was read in a wrong charset"),
        ("Wat laat jij&nbsp;vandaag liggen?", "“&nbsp;” stands for a character in HTML"),
        ("Waar verlang jij stiekem naar?", ""),
    ],
)
def test_wording_of_the_question(question, finding):
    found = findings(question)
    assert finding in found
    assert bool(finding) == bool(found)


def test_a_long_example_is_found():
    assert "140 or fewer" in findings(example=SCENE * 5)


def test_a_name_introduced_earlier_is_found():
    text = (
        "Mijn collega Jan de Vries houdt van orde.\n\nWat heb jij nodig om tot rust te komen?\n\n"
        "Op een avond belde hij aan bij Jan de Vries thuis, met zijn jas nog aan. Zijn dochter deed "
        "open en vroeg niets. "
        "Ze keken samen naar de regen tegen het raam en later aten ze soep aan de keukentafel."
    )
    found = condense(
        read_post(text.encode(), name="a.md", language="nl"), example=text.rsplit("\n\n", 1)[1]
    ).findings
    assert any("Jan de Vries" in finding for finding in found)


@pytest.mark.parametrize(
    ("code", "sent", "now", "near"),
    [
        ("nl", "Wat heb je nodig om los te laten?", "Wat heb je nodig om los te laten?", True),
        ("nl", "Waar ben je bang voor?", "Wat is je grootste angst?", True),
        ("nl", "Hoe vind jij rust na je werk?", "Wanneer is het stil na jouw baan?", True),
        ("nl", "Waar ben je bang voor?", "Wie luistert er naar jouw verhaal?", False),
        ("en", "What are you afraid of?", "What is it that frightens you most?", True),
        ("en", "What do you need to let go of?", "Who taught you to bake bread?", False),
        ("de", "Wovor hast du Angst?", "Was ist deine größte Furcht?", True),
        ("fr", "De quoi as-tu peur ?", "Qu'est-ce que tu crains ?", True),
        ("es", "¿De qué tienes miedo?", "¿Cuál es tu mayor temor?", True),
        ("es", "¿De qué tienes miedo?", "¿Con quién compartes el pan?", False),
    ],
)
def test_a_paraphrase_of_an_earlier_question_is_near(code, sent, now, near):
    language = load_language(code)
    assert language is not None
    assert (likeness(sent, now, language) >= 0.6) is near


def test_a_near_repeat_is_reported_with_the_earlier_question():
    found = findings("Wat is jouw grootste angst?", sent=["Wie ben jij?", "Waar ben jij bang voor?"])
    assert "close to one already sent: “Waar ben jij bang voor?”" in found
