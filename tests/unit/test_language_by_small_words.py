"""A plain text is known by its small words; what is in doubt goes to the model."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.reading.language import identify

PLAIN = {
    "nl": "Ik heb een tas die ik niet zou kunnen missen. Hij is veel te zwaar om zo ver te dragen, en "
    "er zijn dagen dat ze bij de deur blijft staan. Wij wandelen dan naar het water, zonder "
    "iets mee te nemen. Alleen jij weet wat je uit je eigen huis zou willen bewaren, en wat je "
    "voor altijd kunt laten gaan. Deze week heeft mijn zus haar oude brieven weggegooid, en zij "
    "werd er stil van.",
    "en": "You put the bag by the door and you do not know what is in it. There would be a letter "
    "from her, and the keys of a house that they sold. I have not been there for years, but who "
    "would want to go to a place that we left with so much noise? It was not this that I had in "
    "mind, or as she said, there are things your hands remember that your head does not.",
    "de": "Ich habe eine Tasche, die ich nicht mehr tragen will. Sie ist zu schwer, und wenn wir von "
    "der Arbeit kommen, steht sie noch auf dem Tisch. Aber wie lange wird das dauern? Auch mit "
    "einem Freund habe ich nicht darüber gesprochen, oder nur einmal. Es sind die Dinge, für "
    "die sich niemand Zeit nimmt, dass man sie weglegt und nicht wieder holt. Der Abend war "
    "still und ein Vogel sang.",
}


@pytest.mark.parametrize("code", PLAIN)
def test_a_plain_text_needs_no_model(code: str):
    lines = (
        "import sys; from pipeline.reading.language import identify",
        f"print(identify({PLAIN[code]!r}), 'py3langid' in sys.modules)",
    )
    done = subprocess.run([sys.executable, "-c", ";".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [code, "False"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (
            "Gister het ons op die trap gesit en na die reën teen die venster gekyk, en daarna het ons "
            "sop aan die tafel geëet. Ek weet nie of jy dit nog onthou nie, maar die dae was lank en "
            "ons het baie gepraat oor wat ons wou los en wat ons nog wou hou. Dit is nie altyd maklik "
            "om te sê wat jy voel nie, en tog is dit die moeite werd. Wanneer jy alleen is, kan jy iets "
            "anders hoor. Daar is geen haas nie.",
            "af",
        ),
        (
            "Ontem sentámo-nos na escada e olhámos a chuva na janela, e depois comemos uma sopa à mesa. "
            "Não sei se ainda te lembras, mas os dias eram longos e falávamos muito sobre o que "
            "queríamos largar e o que ainda queríamos guardar. Nem sempre é fácil dizer o que se sente, "
            "e no entanto vale a pena. Quando estás sozinho podes ouvir outra coisa. Não há pressa e "
            "ninguém espera por ti. Estamos aqui.",
            "pt",
        ),
        (
            "Ahir ens vam asseure a l'escala i vam mirar la pluja a la finestra, i després vam menjar "
            "una sopa a taula. No sé si encara te'n recordes, però els dies eren llargs i parlàvem molt "
            "sobre el que volíem deixar anar i el que encara volíem guardar. No sempre és fàcil dir el "
            "que sents, i tanmateix val la pena. Quan estàs sol pots sentir una altra cosa. No hi ha "
            "pressa i ningú t'espera. Som aquí.",
            "ca",
        ),
    ],
)
def test_a_neighbour_of_our_languages_is_not_taken_for_one(text: str, code: str):
    assert identify(text) == code


def test_a_text_in_two_languages_is_left_to_the_model(monkeypatch: pytest.MonkeyPatch):
    class Model:
        def classify(self, sample: str) -> tuple[str, float]:
            assert PLAIN["en"][:40] in sample
            return "en", 0.9

    monkeypatch.setattr("pipeline.reading.language._identifier", Model)
    assert identify(f"{PLAIN['nl']} {PLAIN['en']} {PLAIN['en']}") == "en"
