# ruff: noqa: E501  # whole sentences are easier to proofread
"""Awkward editions in each language, and the letters beside them. Words of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from emails.edition import Letter, LetterContent, Logo, Newsletter
from emails.merge import split
from emails.render import designs, render
from pipeline.compose import compose
from pipeline.post import Brief, Post, Quote
from tests.letters import DAY, NEWSLETTER, NOTICES, UNSUBSCRIBE, post

QUESTIONS = {
    "nl": "Wat zou er gebeuren als je vandaag één ding niet afmaakt?",
    "en": "What would happen if you left one thing unfinished today?",
    "de": "Was würde geschehen, wenn du heute eine Sache nicht fertig machst?",
    "fr": "Que se passerait-il si vous laissiez une chose inachevée aujourd’hui ?",
    "es": "¿Qué pasaría si hoy dejaras una cosa sin terminar?",
    "ar": "ماذا يحدث لو تركت اليوم شيئاً واحداً دون أن تنهيه؟",
}
EXAMPLES = {
    "nl": "Het aanrecht staat vol en het is half elf. Deze avond doe je het licht uit. De pannen staan er morgen "
    "ook nog, en ze nemen het je niet kwalijk.\n\nDe volgende ochtend was je ze in tien minuten af, met de radio "
    "aan. Er is niets misgegaan. Er is alleen een avond bij gekomen.",
    "en": "The sink is full and it is half past ten. Tonight you turn off the light. The pans will be there "
    "tomorrow, and they bear you no grudge.\n\nNext morning you wash them in ten minutes with the radio on. "
    "Nothing went wrong. There is only one evening more.",
    "de": "Die Spüle ist voll, und es ist halb elf. Heute Abend machst du das Licht aus. Die Töpfe stehen morgen "
    "auch noch da, und sie nehmen es dir nicht übel.\n\nAm nächsten Morgen spülst du sie in zehn Minuten, das "
    "Radio läuft. Nichts ist schiefgegangen. Nur ein Abend ist dazugekommen.",
    "fr": "L’évier est plein et il est dix heures et demie. Ce soir, vous éteignez la lumière. Les casseroles "
    "seront là demain, et elles ne vous en voudront pas.\n\nLe lendemain, vous les lavez en dix minutes, la radio "
    "allumée. Rien n’a mal tourné. Il y a seulement une soirée de plus.",
    "es": "El fregadero está lleno y son las diez y media. Esta noche apagas la luz. Las ollas estarán ahí mañana "
    "y no te guardan rencor.\n\nA la mañana siguiente las lavas en diez minutos, con la radio puesta. Nada salió "
    "mal. Solo hay una noche más.",
    "ar": "الحوض ممتلئ والساعة العاشرة والنصف. في هذا المساء تطفئ الضوء. ستبقى القدور هناك غداً ولن تلومك.\n\n"
    "في الصباح التالي تغسلها في عشر دقائق والراديو يعمل (كما تقول Marijke van Dam). لم يحدث شيء سيئ. هناك فقط "
    "مساء إضافي.",
}
TITLES = {
    "nl": "Het aanrecht mag blijven staan",
    "en": "The sink can wait",
    "de": "Die Spüle darf warten",
    "fr": "L’évier peut attendre",
    "es": "El fregadero puede esperar",
    "ar": "الحوض يمكنه الانتظار",
}
HOSTILE = "</p></td><script>alert(1)</script> {{ 7*7 }} {% raw %} {# # #} *|NAME|* %(x)s <!--[if mso]> & \"a\" 'b' &amp;"
LOGO = Logo(url="https://www.stillewateren.example/merk.png", width=120, height=40)
OWN_COLOURS = (
    ("page", "#f4f1fa", "#17151c"),
    ("accent", "#5b3a8c", "#c4a9ee"),
    ("mark", "#8c6bbd", "#a98bd6"),
)


def _in(language: str) -> Callable[..., LetterContent]:
    def make(
        *, question: str = "", example: str = "", newsletter: Newsletter | None = None, **changes: object
    ) -> LetterContent:
        said = {"title": TITLES[language], "language": language, **changes}
        whole = post(question or QUESTIONS[language], example or EXAMPLES[language], **said)
        letter = newsletter or replace(NEWSLETTER, language=language, sign_off="")
        return compose(_brief(whole, question or QUESTIONS[language], example or EXAMPLES[language]),
                       newsletter=letter, edition=DAY.isoformat(), day=DAY)  # fmt: skip

    return make


def _brief(whole: Post, question: str, example: str) -> Brief:
    quotes = []
    for part in (question, example):
        start = whole.text.index(part)
        quotes.append(Quote(text=part, start=start, end=start + len(part)))
    return Brief(post=whole, question=quotes[0], example=quotes[1])


def editions(language: str) -> dict[str, LetterContent]:
    """Each awkward edition by name."""
    make, plain = _in(language), replace(NEWSLETTER, language=language, sign_off="")
    question, example = QUESTIONS[language], EXAMPLES[language]
    return {
        "usual": make(),
        "very-long-question": make(question=" ".join([question.rstrip("?؟ ") + ","] * 6 + [question])),
        "quotes": make(question=f"«{question}» “‘\"'", example=f"“Nee,” zei ze, ‘zo’: \"{example}\" — 'ja'."),
        "code": make(example=f"if a < b and b > 'c':\n    print(\"{{}} & {{}}\")\n\n{example}"),
        "emoji": make(question=f"🌊 {question} 👩🏽‍🌾🇳🇱", example=f"❤️ {example} 🧑‍🚀"),
        "right-to-left-post": make(
            question=QUESTIONS["ar"], example=EXAMPLES["ar"], title=TITLES["ar"], language="ar"
        ),
        "dutch-post": make(
            question=QUESTIONS["nl"], example=EXAMPLES["nl"], title=TITLES["nl"], language="nl"
        ),
        "no-lead": replace(make(), lead=""),
        "no-link": make(url=None),
        "hostile": make(
            question=f"{question} {HOSTILE}", example=f"{HOSTILE}\n\n{example}", title=f"T {HOSTILE}"
        ),
        "long-words": make(
            question=f"{question} Meervoudigepersoonlijkheidsstoornissen?",
            example=f"{example} https://www.stillewateren.example/{'pad-' * 24}eind " + "a" * 60,
        ),
        "poem": make(example="\n".join(["Eén regel", "nog een regel", "en dan niets"]) + "\n\n" + example),
        "own-look": make(
            newsletter=replace(
                plain,
                logo=LOGO,
                colours=OWN_COLOURS,
                fonts=(("text", "Verdana,Geneva,sans-serif"), ("heading", "Georgia,serif")),
                sign_off="Tot een volgende keer,\nMarijke 🌊",
                address="Kerkpad 12\n8701 GH Bolsward\nKvK 12345678",
                address_form="u",
            )
        ),
        "every-link": replace(
            make(),
            browser_url="https://brief.stillewateren.example/archief/2026-11-29",
            preferences="/preferences",
        ),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One letter that is kept: where, and what it is now."""

    design: str
    language: str
    name: str
    letter: Letter
    content: LetterContent | None = None
    """None for a letter beside the weekly one."""

    @property
    def path(self) -> str:
        return f"{self.design}/{self.language}/{self.name}"

    @property
    def html(self) -> str:
        """As a reader gets it."""
        return split(self.letter).html.fill({"unsubscribe": UNSUBSCRIBE})

    @property
    def text(self) -> str:
        return split(self.letter).text.fill({"unsubscribe": UNSUBSCRIBE})


def golden(design: str, language: str) -> Iterator[Golden]:
    """Every golden letter of a design and language. Needs the words of Arabic (`tests.arabic`)."""
    for name, content in editions(language).items():
        content = replace(content, newsletter=replace(content.newsletter, design=design))
        yield Golden(design=design, language=language, name=name, letter=render(content), content=content)
    newsletter = replace(NEWSLETTER, language=language, design=design, sign_off="")
    for kind, make in NOTICES.items():
        if design == "quiet" or language in ("nl", "ar"):
            yield Golden(design=design, language=language, name=kind, letter=make(newsletter, language))


def families() -> list[tuple[str, str]]:
    """Every design with every language, Arabic too."""
    return [(design, language) for design in designs() for language in QUESTIONS]


__all__ = ["Golden", "editions", "families", "golden"]
